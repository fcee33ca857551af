"""One row of a file as a contact to be, or the reason why it cannot be one."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from phonenumbers import PhoneMetadata

from contacts.importing.reading import Cells
from contacts.importing.values import BadValueError, read_value
from contacts.models import DEPARTMENT_LENGTH, EMAIL_LENGTH, NAME_LENGTH
from crm.common.figures import figure
from crm.common.phones import InvalidPhone, PhoneReader

ATTRIBUTE_LENGTH = 500
# Words people put where there is nothing to put.
_NOTHING = frozenset({"", "-", "--", ".", "n/a", "na", "none", "null", "nil", "aucun", "néant", "hakuna"})
_SPREADSHEET_ERROR = re.compile(
    r"#(?:REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|N/A|SPILL!|NOM\s?\?|VALEUR\s?!|NOMBRE\s?!|NUL\s?!)", re.IGNORECASE
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Entry(NamedTuple):
    """A row that can be stored. phone is E.164 or None; email, name, department are "" where the row says nothing."""

    row: int
    phone: str | None
    email: str
    name: str
    department: str
    attributes: dict[str, str]
    assigned: bool
    cells: Cells


class Refusal(NamedTuple):
    """A row that is not taken. `reason` groups equal causes, `sentence` says it to a person."""

    row: int
    field: str
    value: str
    reason: str
    sentence: str
    cells: Cells


class _BadCellError(Exception):
    def __init__(self, field: str, value: str, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = (field, value, reason, sentence)


class RowReader:
    """Reads the rows of one file.

    mapping, edits: as ContactImport keeps them; region: the country of local numbers.
    """

    def __init__(
        self,
        mapping: Sequence[dict[str, Any]],
        region: str | None,
        edits: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._edits = edits or {}
        metadata = PhoneMetadata.metadata_for_region(region) if region else None
        self._has_trunk = bool(metadata and metadata.national_prefix)
        self._phones = PhoneReader(region)
        self._width = len(mapping)
        self._column = {match["field"]: index for index, match in enumerate(mapping) if match["field"] != "attribute"}
        self._in_parts = bool({"first_name", "last_name"} & self._column.keys())
        self._attributes = [
            (i, match["key"], match.get("kind", "text"), match.get("choices", ()))
            for i, match in enumerate(mapping)
            if match["field"] == "attribute"
        ]

    def read(self, row: int, cells: Cells | None) -> Entry | Refusal:
        """Row `row` of the file; cells None means that the reader could not tell where the row ends."""
        if cells is None:
            sentence = _("A quotation mark is opened in this row and never closed.")
            return _refuse(row, [], "row", "", "open_quote", sentence)
        if self._edits and (edit := self._edits.get(str(row))):
            cells = [edit.get(str(index), cell) for index, cell in enumerate(cells + [""] * (self._width - len(cells)))]
        try:
            return self._read(row, cells)
        except _BadCellError as bad:
            return _refuse(row, cells, *bad.refusal)

    def phone_in(self, row: int, cells: Cells | None) -> str | None:
        """The number in the row, in E.164, and nothing else of it; None where there is none that can be read."""
        column = self._column.get("phone")
        if cells is None or column is None:
            return None
        edit = self._edits.get(str(row), {}) if self._edits else {}
        try:
            return self._phones.read(edit.get(str(column), cells[column]).strip()).e164
        except (InvalidPhone, IndexError):
            return None

    def repair(self, entry: Entry) -> str:
        """What was done to the row's number besides adding the country: "zero" (a spreadsheet had dropped the leading
        zero), "ivorian" (an 8-digit number of before 2021 was brought up to date), or ""."""
        return _repair(self._cell(entry.cells, "phone"), entry.phone, self._has_trunk) if entry.phone else ""

    def _read(self, row: int, cells: Cells) -> Entry:
        self._check_shape(cells)
        column = self._column
        department = self._text(cells, "department", DEPARTMENT_LENGTH)
        name = self._text(cells, "name", NAME_LENGTH)
        attributes = self._extra(cells) if self._attributes else {}
        if self._in_parts:
            parts = [(key, self._text(cells, key, NAME_LENGTH // 2 - 1)) for key in ("first_name", "last_name")]
            attributes.update((key, value) for key, value in parts if value)
            name = name or " ".join(value for _, value in parts if value)
        email = self._email(cells) if "email" in column else ""
        phone = self._cell(cells, "phone")
        if e164 := self._phones.ordinary(phone):
            return Entry(row, e164, email, name, department, attributes, True, cells)
        if phone.casefold() in _NOTHING:
            if email:
                return Entry(row, None, email, name, department, attributes, True, cells)
            field = "phone" if "phone" in column else "email"
            raise _BadCellError(field, phone, "missing", str(_MISSING[field]))
        if _SPREADSHEET_ERROR.fullmatch(phone):
            raise _spreadsheet_error("phone", phone)
        try:
            read = self._phones.read(phone)
        except InvalidPhone as error:
            raise _BadCellError("phone", phone, error.facts.get("reason", "phone"), str(error)) from None
        return Entry(row, read.e164, email, name, department, attributes, read.assigned, cells)

    def _check_shape(self, cells: Cells) -> None:
        if len(cells) > self._width and any(map(str.strip, cells[self._width :])):
            raise _BadCellError(
                "row", "", "too_many_cells",
                _(
                    "This row has %(cells)s cells, the table has %(columns)s columns: "
                    "a value that contains the separator must stand in quotation marks."
                ) % {"cells": figure(len(cells)), "columns": self._width},
            )  # fmt: skip
        whole = "".join(cells)
        if "\x00" in whole:
            sentence = _("This row contains a NUL character: the file is damaged here.")
            raise _BadCellError("row", next(cell for cell in cells if "\x00" in cell), "nul", sentence)
        if "\n" in whole and (long := next((cell for cell in cells if cell.count("\n") > 50), "")):
            raise _BadCellError(
                "row", long, "open_quote",
                _(
                    "A quotation mark is opened here and not closed in its line: %(lines)s lines "
                    "were read as one cell."
                ) % {"lines": figure(long.count("\n") + 1)},
            )  # fmt: skip

    def _cell(self, cells: Cells, field: str) -> str:
        index = self._column.get(field)
        return cells[index].strip() if index is not None and index < len(cells) else ""

    def _text(self, cells: Cells, field: str, longest: int) -> str:
        text = self._cell(cells, field)
        return _checked_text(text, field, longest) if text else ""

    def _email(self, cells: Cells) -> str:
        text = self._cell(cells, "email")
        if text.casefold() in _NOTHING:
            return ""
        if _SPREADSHEET_ERROR.fullmatch(text):
            raise _spreadsheet_error("email", text)
        email = text.removeprefix("mailto:").lower()
        try:
            if len(email) > EMAIL_LENGTH:
                raise ValidationError("too long")
            validate_email(email)
        except ValidationError:
            raise _BadCellError("email", text, "email", _("This is not an email address.")) from None
        return email

    def _extra(self, cells: Cells) -> dict[str, str]:
        attributes = {}
        for index, key, kind, choices in self._attributes:
            if index < len(cells) and (text := cells[index].strip()):
                text = _checked_text(text, key, ATTRIBUTE_LENGTH)
                if kind != "text" and text.casefold() not in _NOTHING:
                    try:
                        text = read_value(kind, text, choices)
                    except BadValueError as error:
                        raise _BadCellError(key, text, kind, str(error)) from None
                attributes[key] = text
        return attributes


def _repair(typed: str, e164: str, has_trunk: bool) -> str:
    """What reading did to a number: see Entry.repaired. has_trunk: local numbers begin with a zero that can be lost."""
    digits = "".join(char for char in typed if char.isdigit())
    if e164.startswith("+225"):
        return "ivorian" if len(digits.removeprefix("00").removeprefix("225")) == 8 else ""
    whole = not has_trunk or typed.lstrip("'( ")[:1] in ("0", "+") or e164.startswith("+" + digits[:3])
    return "" if whole else "zero"


_FIELD_WORDS = {
    "name": gettext_lazy("Name"), "department": gettext_lazy("Department"),
    "first_name": gettext_lazy("First name"), "last_name": gettext_lazy("Last name"),
}  # fmt: skip
_MISSING = {
    "phone": gettext_lazy("There is no phone number in this row."),
    "email": gettext_lazy("There is no email address in this row."),
}


def clean_text(text: str) -> str:
    """Text on one line in composed form, without control characters; letters of any script and emoji stay."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text
    return " ".join(_CONTROLS.sub(" ", unicodedata.normalize("NFC", text)).split())


def _checked_text(text: str, field: str, longest: int) -> str:
    if text[0] != "#" and len(text) <= longest and text.isascii() and text.isprintable() and "  " not in text:
        return text
    if text[0] == "#" and _SPREADSHEET_ERROR.fullmatch(text):
        raise _spreadsheet_error(field, text)
    text = clean_text(text)
    if len(text) > longest:
        sentence = _("“%(column)s” has %(long)s characters here; %(most)s are allowed.")
        facts = {"column": _FIELD_WORDS.get(field, field), "long": figure(len(text)), "most": longest}
        raise _BadCellError(field, text, "too_long_text", sentence % facts)
    return text


def _spreadsheet_error(field: str, text: str) -> _BadCellError:
    sentence = _("The spreadsheet holds an error here (%(error)s): a formula did not work.") % {"error": text}
    return _BadCellError(field, text, "formula", sentence)


def _refuse(row: int, cells: Cells, field: str, value: str, reason: str, sentence: str) -> Refusal:
    safe = [cell.replace("\x00", "\ufffd") for cell in cells]
    return Refusal(row, field[:20], value.replace("\x00", "\ufffd")[:100], reason[:20], sentence[:300], safe)
