"""Files for spreadsheets, CSV by RFC 4180 and XLSX: no cell that a spreadsheet runs as a formula (GUARANTEES.md U5)."""

import csv
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

_DANGEROUS = tuple("=+-@\t\r\n\0＝＋－＠")
_PHONE = re.compile(r"\+\d{6,15}")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
ROWS_PER_SHEET = 1_000_000  # a sheet ends at 1,048,576
_LONGEST_CELL = 32_767


def safe_cell(value: object) -> str:
    """The value as text that a spreadsheet only shows: phone numbers lose their plus, plain numbers stay as they are,
    and any other text that begins like a formula gets an apostrophe before it."""
    text = "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
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


def write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """Write `rows`, of which the first is the heading, to `path`."""
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        file.writelines(csv_lines(rows))


def write_xlsx(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    """As write_csv, a workbook; one row in memory at a time, and a further sheet with the heading at every million.

    Integers and decimals become numbers; anything else, such as the number of a phone, is text.
    """
    from xlsxwriter import Workbook  # large, and few processes ever write one

    options = {"constant_memory": True, "tmpdir": str(path.parent), "strings_to_formulas": False}
    with Workbook(str(path), options) as book:
        bold = book.add_format({"bold": True})
        heading: list[str] = []
        sheet, place = book.add_worksheet(), 0
        sheet.freeze_panes(1, 0)
        for row in rows:
            if not heading:
                heading = [safe_cell(cell) for cell in row]
                sheet.write_row(0, 0, heading, bold)
                continue
            if place == ROWS_PER_SHEET:
                sheet, place = book.add_worksheet(), 0
                sheet.freeze_panes(1, 0)
                sheet.write_row(0, 0, heading, bold)
            place += 1
            for column, cell in enumerate(row):
                _write_cell(sheet, place, column, cell)


def _write_cell(sheet: Any, row: int, column: int, value: object) -> None:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, _NOT_IN_XML.sub("\ufffd", safe_cell(value))[:_LONGEST_CELL])
