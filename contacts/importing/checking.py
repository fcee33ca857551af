"""What an import would do, before it does anything: the same reading and sorting, without the writing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection
from django.utils.translation import gettext_lazy as _

from contacts.importing.engine import read_chunks
from contacts.importing.reading import Table
from contacts.importing.rows import Entry, Refusal, RowReader
from contacts.importing.screening import ConsecutiveNumbers
from contacts.importing.sorting import Sorted, find_known, merged, sort_rows, without_erased
from contacts.models import Channel, Contact, OptOut
from crm.common.sql import as_json, rows_sql

CHECK_ROWS = 20_000
SAMPLE_ROWS = 10
MAX_EDITS = 200
_EXAMPLES = 3
_OF_THE_ROW = ("open_quote", "too_many_cells", "nul")

REMEDIES = {
    "excel": _("In Excel, format the column as text before you type or paste the numbers, then save again."),
    "formula": _("Replace the formula by its value, then save again."),
    "letters": _("Write the number with digits only."),
    "landline": _("Give a mobile number: landlines receive no messages."),
    "missing": _("Fill in the cell, or leave the row out."),
    "too_many_cells": _("Put values that contain the separator in quotation marks."),
    "open_quote": _("Close the quotation mark, or remove it."),
    "email": _("Correct the address, or empty the cell."),
    "number": _("Write digits, with a comma or a point before decimals, or make the column a text."),
    "date": _("Write the day as 2026-11-20 or 20/11/2026, or make the column a text."),
    "choice": _("Use one of the listed words, or add yours under Contacts, Fields."),
}


@dataclass
class Problem:
    """Rows refused for one cause, with up to three (row, value) examples."""

    reason: str
    sentence: str
    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    @property
    def remedy(self) -> str:
        return str(REMEDIES.get(self.reason, ""))


@dataclass
class Check:
    """Totals over the first `rows` rows; `complete` says whether that is the whole file.

    unchanged: met, left alone. repaired, ivorian: numbers that lost a zero, or are of before 2021. refused: the first
    MAX_EDITS rows that are rejected. longest_run: the most numbers that follow one another without a gap.
    """

    rows: int = 0
    complete: bool = True
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    rejected: int = 0
    opted_out: int = 0
    unassigned: int = 0
    repaired: int = 0
    ivorian: int = 0
    longest_run: int = 0
    refused: list[Refusal] = field(default_factory=list)
    sample: list[Entry | Refusal] = field(default_factory=list)
    problems: dict[str, Problem] = field(default_factory=dict)

    def in_order(self) -> list[Problem]:
        """What is wrong with the shape of rows first, then what is wrong in cells; the most frequent first."""
        return sorted(self.problems.values(), key=lambda problem: (problem.reason not in _OF_THE_ROW, -problem.count))


def check_file(
    *, client_id: int, table: Table, reader: RowReader, start: int, policy: str, limit: int = CHECK_ROWS
) -> Check:
    """Go through at most `limit` rows from row `start` on. Reads the book, writes nothing."""
    check = Check()
    seen: dict[str, int] = {}
    runs = ConsecutiveNumbers()
    for rows, _next_row in read_chunks(table, reader, start=start):
        if check.rows >= limit:
            check.complete = False
            break
        rows = [*without_erased(client_id, rows[: limit - check.rows])]
        entries = [row for row in rows if isinstance(row, Entry)]
        known = find_known(client_id, entries)
        result = sort_rows(rows, known, policy=policy, seen=seen)
        for entry in entries:
            runs.add(entry.phone)
        if not check.sample:
            check.sample = [
                row if isinstance(row, Refusal) else merged(row, known.get(row.phone or row.email), policy)
                for row in rows[:SAMPLE_ROWS]
            ]
        _count(check, len(rows), result, reader)
        check.opted_out += _opted_out(client_id, result.taken)
    check.longest_run = runs.longest()
    return check


def _count(check: Check, rows: int, result: Sorted, reader: RowReader) -> None:
    check.rows += rows
    check.new += len(result.new)
    check.updated += len(result.changed)
    check.unchanged += len(result.unchanged)
    check.duplicates += len(result.duplicates)
    check.rejected += len(result.refused)
    check.unassigned += sum(not entry.assigned for entry in result.new)
    repairs = [reader.repair(entry) for entry in result.taken]
    check.repaired += repairs.count("zero")
    check.ivorian += repairs.count("ivorian")
    check.refused += result.refused[: MAX_EDITS - len(check.refused)]
    for refusal in result.refused:
        problem = check.problems.setdefault(refusal.reason, Problem(refusal.reason, refusal.sentence))
        problem.count += 1
        if len(problem.examples) < _EXAMPLES:
            problem.examples.append((refusal.row, refusal.value))


def _opted_out(client_id: int, entries: Sequence[Entry]) -> int:
    """How many of the numbers want no SMS from any sender."""
    phones = [(entry.phone,) for entry in entries if entry.phone]
    if not phones:
        return 0
    statement = (
        f'SELECT COUNT(*) FROM "{OptOut._meta.db_table}" WHERE "client_id" = %s AND "channel" = %s AND "sender" = %s '
        f'AND "address" IN (SELECT "phone" FROM {rows_sql(Contact, ["phone"])})'
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [client_id, Channel.SMS, "", as_json(phones)])
        return cursor.fetchone()[0]
