"""Cheap reads for calls that come hundreds of times a second: several in one statement, and SQL that is built once.

Nothing that was read is kept, so what is changed holds on the next call (GUARANTEES.md T4, M7).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import orjson
from django.db import connection, models
from django.db.models.query import get_related_populators

from crm.common.sql import Part, on_postgres, prepared_cursor

__all__ = ["CompiledRead", "Part", "json_column", "read_part", "read_together"]


def json_column(name: str) -> str:
    """A JSONField's column within a Part, so that its value arrives as what it holds."""
    return name if on_postgres() else f"json({name})"


def read_together(parts: Mapping[str, Part]) -> dict[str, list[list[Any]]]:
    """The rows of every part by its name, in one statement, which is planned once a connection."""
    names, array, text = list(parts), "json_array", ""
    if on_postgres():
        array, text = "json_build_array", "::text"
    statement = " UNION ALL ".join(
        f"SELECT {number}, {array}({', '.join(part.columns)}){text} FROM {part.source}"
        for number, part in enumerate(parts.values())
    )
    found: dict[str, list[list[Any]]] = {name: [] for name in names}
    with prepared_cursor() as cursor:
        cursor.execute(statement, [value for part in parts.values() for value in part.params])
        for number, row in cursor.fetchall():
            found[names[number]].append(orjson.loads(row))
    return found


def read_part(part: Part) -> list[list[Any]]:
    """The rows of one part alone."""
    return read_together({"": part})[""]


_Row = TypeVar("_Row", bound=models.Model)
_VALUE = "the value that is asked for"


class CompiledRead(Generic[_Row]):
    """The first row of a query that differs from call to call by one text. Its SQL is built once a thread.

    Building the SQL of a join costs several times what running it does. The rows are read as a queryset reads them.
    """

    def __init__(self, query: Callable[[str], models.QuerySet[_Row]]) -> None:
        self._query = query
        self._of_thread = threading.local()

    def first(self, value: str) -> _Row | None:
        """The row for `value`, with what its query selects beside it."""
        compiler, sql, params, converters = self._compiled()
        with prepared_cursor() as cursor:
            cursor.execute(sql, [value if param == _VALUE else param for param in params])
            rows = cursor.fetchall()  # all: SQLite ends the statement when it has no row left
        if not rows:
            return None
        selected, kinds = compiler.select, compiler.klass_info
        row = next(iter(compiler.apply_converters(rows[:1], converters))) if converters else rows[0]
        columns = kinds["select_fields"]
        names = [selected[place][0].target.attname for place in columns]
        found = kinds["model"].from_db(connection.alias, names, row[columns[0] : columns[-1] + 1])
        for related in get_related_populators(kinds, selected, connection.alias):  # type: ignore[call-arg]
            related.populate(row, found)
        return found

    def _compiled(self) -> tuple[Any, str, Sequence[Any], Any]:
        held = getattr(self._of_thread, "held", None)
        if held is None or held[0] != connection.vendor:
            queryset = self._query(_VALUE)
            query = queryset.query.clone()
            query.set_limits(high=1)
            compiler = query.get_compiler(connection.alias)
            sql, params = compiler.as_sql()
            converters = compiler.get_converters([expression for expression, *_ in compiler.select])
            held = self._of_thread.held = (connection.vendor, compiler, sql, params, converters)
        return held[1:]
