"""Which column is the phone, which the name: by the column's title in English, French or Swahili, then by content."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from contacts.importing.reading import Cells
from crm.common.errors import InvalidInput
from crm.common.phones import InvalidPhone, PhoneReader

# What a column may become. "attribute" keeps it under its own title, "ignore" leaves it out.
FIELDS = {
    "phone": "Phone",
    "name": "Name",
    "first_name": "First name",
    "last_name": "Last name",
    "email": "Email",
    "department": "Department",
    "attribute": "Extra field",
    "ignore": "Do not import",
}
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
    "chosen": "chosen by you",
    "title": "recognised by its title",
    "content": "recognised by its contents",
    "before": "as in your last file with these titles",
    "extra": "kept under its own title",
    "empty": "every cell is empty",
}


@dataclass(frozen=True, slots=True)
class Match:
    """What a column becomes: a key of FIELDS, for an attribute its name, and how we know (a key of HOW)."""

    field: str
    key: str = ""
    how: str = "extra"

    def stored(self) -> dict[str, str]:
        return {"field": self.field, "key": self.key, "how": self.how}


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
    """Whether a cell looks like a phone number or an e-mail address."""
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


def mapping_from_choices(headers: Sequence[str], choices: Sequence[str]) -> list[dict[str, str]]:
    """The mapping a person chose: a key of FIELDS per column. Raises: InvalidInput (`mapping`)."""
    if len(choices) != len(headers) or any(choice not in FIELDS for choice in choices):
        raise InvalidInput({"mapping": ["Choose for each column what it is."]})
    for field in _ONCE:
        if choices.count(field) > 1:
            raise InvalidInput({"mapping": [f"Two columns cannot both be “{FIELDS[field]}”: keep one."]})
    if "phone" not in choices and "email" not in choices:
        raise InvalidInput({"mapping": ["Say which column holds the phone number (or at least the email address)."]})
    keys: set[str] = set()
    mapping = []
    for column, choice in enumerate(choices):
        key = ""
        if choice == "attribute":
            key = unused_key(attribute_key(headers[column], column + 1), keys)
            keys.add(key.casefold())
        mapping.append(Match(choice, key).stored())
    return mapping


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
