"""Filling texts in from contacts: which fields there are, what a person has for them, which language somebody reads."""

from collections.abc import Callable, Sequence
from operator import itemgetter

from contacts import queries as contacts
from crm.common.merge_fields import MergeTemplate, parse_template
from crm.common.plain_letters import plain_spaces

# What every contact has; further columns of an imported file are fields by their title.
OPT_OUT_LINK = "opt_out_link"
BUILT_IN = ("name", "first_name", "last_name", "phone", "email", "department", OPT_OUT_LINK)


# Languages by their code or name, as files spell them; what a contact's own field of one of these titles holds.
_LANGUAGE_TITLES = ("language", "lang", "langue", "lugha")
_LANGUAGE_WORDS = {
    "en": "en", "english": "en", "anglais": "en", "kiingereza": "en",
    "fr": "fr", "french": "fr", "français": "fr", "francais": "fr", "kifaransa": "fr",
    "sw": "sw", "swahili": "sw", "kiswahili": "sw",
}  # fmt: skip


def language_of(contact: Sequence) -> str:
    """The code of the language that a contact prefers; "" where the book does not say."""
    for title, value in contact[5].items():
        if title.casefold() in _LANGUAGE_TITLES:
            return _LANGUAGE_WORDS.get(str(value).strip().casefold()[:20].split("-")[0], "")
    return ""


class Filler:
    """Fills a text in from a contact. Field names ignore letter case, as people type them from memory."""

    def __init__(self, text: str) -> None:
        self.template: MergeTemplate = parse_template(text)
        self.with_fallback = list(dict.fromkeys(self.template.fallbacks))
        self._readers = [(name, _reader(name)) for name in self.template.fields]

    def values(self, contact: Sequence) -> dict[str, str]:
        """The values of the template's own fields for one row of contacts.queries.audience."""
        return {name: _plain(read(contact)) for name, read in self._readers}

    def fallbacks(self, values: dict[str, str]) -> list[tuple[str, str]]:
        """(field, what stands in for it) where the person has no value and the text a fallback."""
        return [(name, words) for name, words in self.with_fallback if not values.get(name)]

    def missing(self, values: dict[str, str]) -> list[str]:
        """Fields that would leave a gap: no value and no fallback."""
        return [name for name in self.template.without_fallback if not values.get(name)]


def _plain(value: str | None) -> str:
    """With plain spaces: the gap in an amount or a date of a French spreadsheet alone would make an SMS Unicode."""
    return plain_spaces(value or "")  # no phone is None


def _first_name(contact: Sequence) -> str:
    return contact[2].split(" ", 1)[0]


def _last_name(contact: Sequence) -> str:
    return contact[2].rsplit(" ", 1)[1] if " " in contact[2] else ""


def _opt_out_link(contact: Sequence) -> str:
    return contacts.sample_opt_out_url()  # as long as the person's own, which Renderer.make_links makes


_READERS: dict[str, Callable[[Sequence], str]] = {
    "name": itemgetter(2),
    "first_name": _first_name,
    "last_name": _last_name,
    "phone": itemgetter(1),
    "email": itemgetter(3),
    "department": itemgetter(4),
    OPT_OUT_LINK: _opt_out_link,
}


def _reader(field_name: str) -> Callable[[Sequence], str]:
    """What finds the value of a field in a row: made once for a text, asked for each of a million people."""
    key = field_name.casefold()
    if key in _READERS:
        return _READERS[key]

    def read(contact: Sequence) -> str:
        attributes = contact[5]
        if field_name in attributes:
            return str(attributes[field_name])
        return next((str(value) for title, value in attributes.items() if title.casefold() == key), "")

    return read


def field_values(contact: Sequence) -> dict[str, str]:
    """All that a contact has for merge fields, by name in lower case."""
    own = {title.casefold(): plain_spaces(str(value)) for title, value in contact[5].items()}
    return own | {name: _plain(_READERS[name](contact)) for name in BUILT_IN}
