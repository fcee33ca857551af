"""Many rows into a table of PostgreSQL by COPY: the text it reads is made a column at a time.

Of one INSERT whose rows are JSON, unpacking them is a third of what the database does, and it takes each row by itself.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any

import orjson
from django.db import connection, models

WORTH_IT = 200  # rows; below it one more answer to wait for costs more than it saves

_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_rows(model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert `rows`, at least one; what is wrong with them is raised as by an INSERT."""
    names = ", ".join(f'"{column}"' for column in columns)
    statement = f'COPY "{model._meta.db_table}" ({names}) FROM STDIN'
    text = "\n".join(map("\t".join, zip(*map(_written, zip(*rows, strict=True)), strict=False)))

    def run(sql: str, params: Any, many: bool, context: Any) -> None:
        with connection.wrap_database_errors, cursor.cursor.copy(sql) as taken:
            taken.write(text)

    with connection.cursor() as cursor:
        # By way of the wrappers, so that what is counted and logged of other statements is so of these.
        cursor._execute_with_wrappers(statement, None, many=False, executor=run)


def _written(column: tuple[Any, ...]) -> Iterable[str]:
    """A column as COPY reads it. Most are the same all the way down, or need no look at the single value."""
    first = column[0]
    if column.count(first) == len(column):
        return repeat(_field(first), len(column))
    kinds = set(map(type, column))
    if kinds == {int}:
        return map(str, column)
    if kinds == {str} and not _SPECIAL.search("".join(column)):
        return column
    return map(_field, column)


def _field(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPED) if _SPECIAL.search(value) else value
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode().translate(_ESCAPED)
    return str(value)
