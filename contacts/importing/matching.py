"""Which column is the phone, which the name: by the column's title in English, French or Swahili, then by content."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from contacts.importing.reading import Cells
from contacts.models import ContactField
from crm.common.errors import InvalidInput
from crm.common.phones import InvalidPhone, PhoneReader

# What a column may become. "attribute" keeps it under its own title, "ignore" leaves it out.
FIELDS = {
    "phone": _("Phone"),
    "name": _("Name"),
    "first_name": _("First name"),
    "last_name": _("Last name"),
    "email": _("Email"),
    "department": _("Department"),
    "attribute": _("Own field: text"),
    "attribute_number": _("Own field: number"),
    "attribute_date": _("Own field: date"),
    "ignore": _("Do not import"),
}
OWN = "own:"  # before the key of a field that the client has already
MAX_ATTRIBUTES = 100
_ONCE = ("phone", "name", "first_name", "last_name", "email", "department")

# Titles as `plain_title` leaves them: no accents, lower case, single spaces.
TITLES = {
    "phone": """phone|phones|phone number|phone no|phone nr|phone num|telephone|telephone number|telephone no|tel|tel no
        |tel number|mobile|mobile number|mobile no|mobile phone|cell|cell number|cell phone|cellphone|msisdn|number
        |contact number|contact no|phone 1|phone 1 value|mobile 1|whatsapp|whatsapp number|recipient|gsm|e164
        |numero|no|num|numero de telephone|n de telephone|no de telephone|no telephone|numero telephone|numero tel
        |n tel|no tel|numero mobile|numero de mobile|portable|telephone portable|telephone mobile|cellulaire|contact
        |simu|namba|nambari|namba ya simu|nambari ya simu|namba za simu|nambari za simu|simu ya mkononi|simu ya mkono
        |rununu""",
    "name": """name|names|full name|fullname|contact name|customer name|customer|client name|display name|member name
        |student name|patient name|parent name|person
        |nom et prenom|nom et prenoms|nom prenom|nom prenoms|noms et prenoms|prenom et nom|prenoms et nom|nom complet
        |nom du contact|nom du client
        |jina|majina|jina kamili|jina la mteja|jina la mwanachama|jina la mwanafunzi|jina la mgonjwa""",
    "first_name": """first name|firstname|given name|forename|prenom|prenoms|jina la kwanza""",
    "last_name": """last name|lastname|surname|family name|second name|nom de famille|jina la ukoo|jina la familia
        |jina la mwisho|jina la pili""",
    "email": """email|e mail|email address|e mail address|emails|mail|e mail 1 value|courriel|adresse email
        |adresse e mail|adresse mail|adresse electronique|mel|barua pepe|baruapepe|anwani ya barua pepe""",
    "department": """department|dept|division|section|unit|branch|class|form|stream|departement|service|direction
        |filiere|classe|succursale|agence|idara|kitengo|tawi|darasa""",
}
_BY_TITLE = {title.strip(): field for field, titles in TITLES.items() for title in titles.split("|")}

HOW = {
    "chosen": _("chosen by you"),
    "title": _("recognised by its title"),
    "content": _("recognised by its contents"),
    "before": _("as in your last file with these titles"),
    "extra": _("kept under its own title"),
    "empty": _("every cell is empty"),
    "own": _("a field that you have already"),
    "many": _("left out: a contact has at most 100 fields of its own"),
}


@dataclass(frozen=True, slots=True)
class Match:
    """What a column becomes: a field of the contact or "attribute" or "ignore", and how we know (a key of HOW).

    For an attribute also its name, its FieldKind, and what may stand in it.
    """

    field: str
    key: str = ""
    how: str = "extra"
    kind: str = "text"
    choices: tuple[str, ...] = ()

    def stored(self) -> dict[str, Any]:
        """As ContactImport.mapping keeps it."""
        plain = {"field": self.field, "key": self.key, "how": self.how}
        return plain | {"kind": self.kind, "choices": list(self.choices)} if self.field == "attribute" else plain


def plain_title(title: str) -> str:
    """`N° de Téléphone` → "n de telephone": what titles are compared by."""
    letters = unicodedata.normalize("NFKD", title.replace("°", " ").replace("º", " "))
    bare = "".join(char for char in letters if not unicodedata.combining(char)).casefold()
    return " ".join(re.sub(r"[\W_]+", " ", bare).split())


def attribute_key(title: str, column: int) -> str:
    """The name of an extra field, fit to be written as {name} in a text: letters, digits, inner spaces and hyphens."""
    key = unicodedata.normalize("NFC", " ".join(re.sub(r"[^\w -]", " ", title).split())).strip(" -")[:60].rstrip(" -")
    if not key:
        return f"Column {column}"
    return f"Column {key}"[:60].rstrip(" -") if key[0].isdigit() or key[0] == "_" else key


def looks_like_header(first: Cells, following: Sequence[Cells], reader: PhoneReader) -> bool:
    """Whether the first row names the columns: a title we know, or words above a column of numbers or addresses."""
    if has_contact(first, reader):
        return False
    if any(plain_title(cell) in _BY_TITLE for cell in first):
        return True
    return any(has_contact(cells, reader) for cells in following)


def has_contact(cells: Cells, reader: PhoneReader) -> bool:
    """Whether a cell looks like a phone number or an email address."""
    return any(_kind(cell, reader) for cell in cells)


def match_columns(
    headers: Sequence[str], samples: Sequence[Cells], *, titled: bool, reader: PhoneReader
) -> list[Match]:
    """One match per column, no field twice. `samples` are rows below the header; without one, `titled` is False."""
    found: list[Match | None] = [None] * len(headers)
    taken: set[str] = set()
    if titled:
        for column, header in enumerate(headers):
            field = _BY_TITLE.get(plain_title(header), "")
            if field and field not in taken:
                found[column] = Match(field, how="title")
                taken.add(field)
        # "Nom" is the family name beside "Prénom", and the whole name alone.
        for column, header in enumerate(headers):
            if found[column] is None and plain_title(header) in ("nom", "noms"):
                field = "last_name" if "first_name" in taken else "name"
                if field not in taken:
                    found[column] = Match(field, how="title")
                    taken.add(field)
    values = [[cells[column] for cells in samples if column < len(cells) and cells[column].strip()]
              for column in range(len(headers))]  # fmt: skip
    for field in ("phone", "email"):
        if field not in taken:
            likely = _most_like(field, values, found, reader)
            if likely is not None:
                found[likely] = Match(field, how="content")
                taken.add(field)
    if not titled and "name" not in taken:
        worded = next((c for c, cells in enumerate(values) if found[c] is None and _worded(cells)), None)
        if worded is not None:
            found[worded] = Match("name", how="content")
    return _with_keys(headers, found, values)


def _with_keys(headers: Sequence[str], found: Sequence[Match | None], values: Sequence[Sequence[str]]) -> list[Match]:
    matches: list[Match] = []
    keys: set[str] = set()
    for column, match in enumerate(found):
        if match is None and not headers[column].strip() and not values[column]:
            match = Match("ignore", how="empty")
        if match is None and len(keys) >= MAX_ATTRIBUTES:
            match = Match("ignore", how="many")
        if match is None:
            match = Match("attribute", key=unused_key(attribute_key(headers[column], column + 1), keys))
            keys.add(match.key.casefold())
        matches.append(match)
    return matches


def unused_key(key: str, keys: set[str]) -> str:
    """`key`, or "key 2", "key 3" … when another column of the file has it; a contact's own fields count as taken."""
    number, candidate = 1, key
    while candidate.casefold() in keys or candidate.casefold() in _ONCE:
        number += 1
        candidate = f"{key} {number}"
    return candidate


def mapping_from_choices(
    headers: Sequence[str], choices: Sequence[str], own: Iterable[ContactField] = ()
) -> list[dict[str, Any]]:
    """The mapping a person chose: per column a key of FIELDS, or "own:" and the key of one of the client's fields.

    Raises: InvalidInput (`mapping`).
    """
    fields = {field.key: field for field in own}
    known = FIELDS.keys() | {OWN + key for key in fields}
    if len(choices) != len(headers) or any(choice not in known for choice in choices):
        raise InvalidInput({"mapping": [gettext("Choose for each column what it is.")]})
    for field in [*_ONCE, *(OWN + key for key in fields)]:
        if choices.count(field) > 1:
            word = FIELDS.get(field, field.removeprefix(OWN))
            sentence = gettext("Two columns cannot both be “%(field)s”: keep one.") % {"field": word}
            raise InvalidInput({"mapping": [sentence]})
    if "phone" not in choices and "email" not in choices:
        sentence = gettext("Say which column holds the phone number (or at least the email address).")
        raise InvalidInput({"mapping": [sentence]})
    if sum(choice.startswith(("attribute", OWN)) for choice in choices) > MAX_ATTRIBUTES:
        sentence = gettext("A contact has at most %(most)s fields of its own: leave some out.")
        raise InvalidInput({"mapping": [sentence % {"most": MAX_ATTRIBUTES}]})
    keys = {choice.removeprefix(OWN).casefold() for choice in choices if choice.startswith(OWN)}
    mapping = []
    for column, choice in enumerate(choices):
        match = Match(choice)
        if choice.startswith(OWN):
            mine = fields[choice.removeprefix(OWN)]
            match = Match("attribute", mine.key, "own", mine.kind, tuple(mine.choices))
        elif choice.startswith("attribute"):
            key = unused_key(attribute_key(headers[column], column + 1), keys)
            keys.add(key.casefold())
            match = Match("attribute", key, kind=choice.partition("_")[2] or "text")
        mapping.append(match.stored())
    return mapping


def with_own_fields(mapping: Iterable[dict[str, Any]], own: Iterable[ContactField]) -> list[dict[str, Any]]:
    """The mapping with the kinds and the spelling of the fields that the client has already."""
    fields = {field.key.casefold(): field for field in own}
    result = []
    for match in mapping:
        field = fields.get(match["key"].casefold()) if match["field"] == "attribute" else None
        if field:
            match = match | {"key": field.key, "kind": field.kind, "choices": list(field.choices)}
            match["how"] = "own" if match["how"] == "extra" else match["how"]
        result.append(match)
    return result


def chosen_in(match: dict[str, Any], own: Iterable[ContactField]) -> str:
    """The choice, among FIELDS and own fields, that gives this match of a mapping."""
    if match["field"] != "attribute":
        return match["field"]
    if any(field.key == match["key"] for field in own):
        return OWN + match["key"]
    return "attribute" if match.get("kind", "text") == "text" else f"attribute_{match['kind']}"


def _kind(cell: str, reader: PhoneReader) -> str:
    text = cell.strip()
    if "@" in text:
        return "email" if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text) else ""
    digits = sum(char.isdigit() for char in text)
    if digits < 7 or digits < len(text) // 2:
        return ""
    try:
        reader.read(text)
    except InvalidPhone as error:
        return "phone" if error.facts.get("reason") == "excel" else ""
    return "phone"


def _most_like(
    field: str, values: Sequence[Sequence[str]], found: Sequence[Match | None], reader: PhoneReader
) -> int | None:
    """The column with the most cells of the kind, if they are at least half of it."""
    best, most = None, 0
    for column, cells in enumerate(values):
        hits = sum(_kind(cell, reader) == field for cell in cells)
        if found[column] is None and hits > most and hits * 2 >= len(cells):
            best, most = column, hits
    return best


def _worded(cells: Sequence[str]) -> bool:
    words = sum("@" not in cell and any(char.isalpha() for char in cell) for cell in cells)
    return words * 2 > len(cells)
