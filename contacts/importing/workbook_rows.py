"""Turns the first sheet of an XLSX workbook into CSV, in a process of its own with bounded memory.

Started by contacts/importing/workbooks.py as `python workbook_rows.py SOURCE TARGET MEGABYTES MAX_ROWS`; prints one
JSON object. It imports nothing of the product: whatever a hostile workbook unpacks to, it is this process that runs
out of memory, not the one that serves pages.
"""

import csv
import json
import sys
from datetime import date, datetime, time, timedelta
from typing import Any

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

SECONDS = 120


def cell_text(value: Any) -> str:
    """A cell as a person sees it in a column formatted as text: whole numbers without a point, days without a time."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return str(value)


def convert(source: str, target: str, max_rows: int) -> dict[str, Any]:
    """Write the first visible sheet that has contents; blank rows stay blank lines, so that row numbers agree."""
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    workbook = CalamineWorkbook.from_path(source)
    names = [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible
    ]
    chosen, others = "", 0
    for name in names:
        sheet = workbook.get_sheet_by_name(name)
        if not sheet.height:
            continue
        if chosen:
            others += 1
            continue
        chosen = name
        if sheet.height > max_rows:
            return {"error": "too_many_rows"}
        with open(target, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            for row in sheet.iter_rows():
                cells = [cell_text(value) for value in row]
                if any(cells):
                    writer.writerow(cells)
                else:
                    file.write("\r\n")
        del sheet
    return {"sheet": chosen, "others": others} if chosen else {"error": "empty"}


def main() -> None:
    source, target, megabytes, max_rows = sys.argv[1:]
    if resource is not None:
        size = int(megabytes) << 20
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = convert(source, target, int(max_rows))
    except MemoryError:
        answer = {"error": "too_large"}
    except BaseException as error:  # calamine's panics are no Exceptions
        answer = {"error": "damaged", "detail": f"{type(error).__name__}: {error}"[:300]}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
