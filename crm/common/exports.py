"""CSV for spreadsheets: quoted by RFC 4180, and no cell that a spreadsheet runs as a formula (GUARANTEES.md U5)."""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import Any

_DANGEROUS = tuple("=+-@\t\r\n\0＝＋－＠")
_PHONE = re.compile(r"\+\d{6,15}")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


def safe_cell(value: object) -> str:
    """The value as text that a spreadsheet only shows: phone numbers lose their plus, plain numbers stay as they are,
    and any other text that begins like a formula gets an apostrophe before it."""
    text = "" if value is None else str(value)
    if _PHONE.fullmatch(text):
        return text[1:]
    if text.startswith(_DANGEROUS) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


class _Line:
    """A file that hands each written line back."""

    def write(self, line: str) -> str:
        return line


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Lines of a CSV file, one by one, for a streamed answer; a byte-order mark first, by which Excel knows UTF-8."""
    writer = csv.writer(_Line())
    yield "\ufeff"
    for row in rows:
        yield writer.writerow([safe_cell(cell) for cell in row])
