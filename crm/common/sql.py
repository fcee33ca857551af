"""Set-based writes that mean the same on SQLite and PostgreSQL: one statement for thousands of rows.

Rows travel as one JSON array of arrays, which both databases unpack themselves; measured 10 to 50 times faster than
`bulk_create` and `bulk_update`. Column types come from the model's fields. Values may be str, int, bool, None, aware
datetimes, and for a JSONField anything that JSON holds; text must not contain NUL.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models.functions import Now

from crm.common.copying import WORTH_IT, copy_rows
from crm.common.months import MONTH
from crm.common.months import now_sql as month_now_sql
from crm.common.spans import has_months, span_of

Row = Sequence[Any]
Insert = tuple[type[models.Model], Sequence[str], Sequence[Row]]  # what goes into a table: model, columns, rows


@dataclass(frozen=True, slots=True)
class Part:
    """One of several reads: expressions over `source`, the SQL after FROM. crm/common/reading.py puts them together.

    Values arrive as JSON has them: on SQLite booleans are 0 and 1, moments are text. Order is not promised.
    """

    columns: Sequence[str]
    source: str
    params: Sequence[Any] = ()


@cache  # asked dozens of times in a send, each time through the proxy of the thread's connection
def on_postgres() -> bool:
    return connection.vendor == "postgresql"


def prepared_cursor() -> Any:
    """A cursor whose statements PostgreSQL reads and plans once a connection, not at every run; elsewhere a usual one.

    Reading and planning a wide INSERT takes four times as long as running it. For statements of one good plan: inserts,
    and reads of few rows by an index. A plan made while a table was nearly empty holds until the table is analysed or
    the connection ends (CONN_MAX_AGE), so nothing that sums or joins large tables. PgBouncer must be in session mode.
    What is counted and logged of other statements is so of these.
    """
    held: Any = connections[DEFAULT_DB_ALIAS]  # itself: every name asked of `connection` finds it again
    if not on_postgres():
        return held.cursor()
    from django.db.backends.postgresql.base import ServerBindingCursor

    held.close_if_health_check_failed()
    held.ensure_connection()
    with held.wrap_database_errors:
        cursor = ServerBindingCursor(held.connection)  # type: ignore[call-arg]
        return held._prepare_cursor(cursor)


def now_sql() -> str:
    """SQL for the database's own clock (D11), in the text form Django keeps on SQLite: six digits of the second.

    With the three that SQLite counts, what is written now would not be due until the next millisecond, as a text.
    Percent signs are escaped: execute it with parameters, were it an empty list, or SQLite reads them as they stand.
    """
    return "STATEMENT_TIMESTAMP()" if on_postgres() else "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW')"


def later_sql(seconds: float) -> str:
    """SQL for the database's clock plus `seconds`, which may be negative."""
    seconds = float(seconds)
    if on_postgres():
        return f"(STATEMENT_TIMESTAMP() + INTERVAL '{seconds} seconds')"
    return f"STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW', '{seconds:+} seconds')"


class DatabaseNow(Now):
    """The database's clock in a query, to compare stored times with: `now_sql()` for the ORM."""

    def as_sqlite(self, compiler, connection, **extra_context):
        return self.as_sql(
            compiler, connection, template="STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f000', 'NOW')", **extra_context
        )


# In a statement of a transaction on PostgreSQL whose `wait_for_disk` follows on its commit.
COMMIT_BEFORE_DISK = Part(("set_config('synchronous_commit', 'off', true)",), "(SELECT 1) AS once")


def wait_for_disk() -> None:
    """Return when everything this connection committed is on the disk (and its synchronous replicas); PostgreSQL.

    A transaction that waits for the disk within its commit keeps its row locks meanwhile, so that whoever needs the
    same row waits for one disk write after another. One that began with COMMIT_BEFORE_DISK gives them back first, and
    this waits: the log is written in order, and many wait for the same write. Nobody may be answered before.
    """
    with prepared_cursor() as cursor:
        cursor.execute("SELECT pg_logical_emit_message(true, '', '')", [])


def skip_locked() -> str:
    """Lets several claimers pass each other on PostgreSQL; SQLite has one writer at a time and needs nothing."""
    return "FOR UPDATE SKIP LOCKED" if on_postgres() else ""


def plan_by_index_order(cursor: Any) -> None:
    """Until the transaction ends, plan without sorting: for the first few of what waits in an index, in its order.

    Statistics were usually taken while nothing waited. By them, the hundred thousand that a campaign has queued since
    are a handful, which PostgreSQL would gather and sort for every five hundred that are taken.
    """
    if on_postgres():
        ways = ("enable_sort", "enable_bitmapscan", "enable_seqscan", "jit")  # what is forbidden only counts as dear
        off = ", ".join(f"set_config('{way}', 'off', true)" for way in ways)
        cursor.execute(f"SELECT {off}")


def in_key_order(alias: str = "") -> str:
    """Ends the inner SELECT of an UPDATE that may wait for other writers: rows are locked in the order of their keys.

    Two statements that lock the same rows in different orders deadlock on PostgreSQL. SQLite has one writer at a time.
    """
    if not on_postgres():
        return ""
    return f"ORDER BY {alias}.id FOR UPDATE OF {alias}" if alias else "ORDER BY id FOR UPDATE"


def one_of(found: str) -> str:
    """Ends a condition: is among what a SELECT finds. It runs once: as IN, while statistics do not know how few or many
    there are, PostgreSQL runs a bracket that locks again for every row beside it."""
    return f"= ANY(ARRAY({found}))" if on_postgres() else f"IN ({found})"


def among_ids() -> str:
    """Ends a condition on a column of keys: is among those that are the parameter, `listed_ids` of them.

    Without statistics too this leaves PostgreSQL one way to go, key by key. The list travels as text, which is read
    when the statement runs: it knows how many there are, but does not look which partition each lies in. A Span tells.
    """
    return "= ANY(%s::text::bigint[])" if on_postgres() else "IN (SELECT value FROM json_each(%s))"


def listed_ids(ids: Iterable[int]) -> str:
    """The parameter of `among_ids`."""
    listed = ",".join(map(str, ids))
    return f"{{{listed}}}" if on_postgres() else f"[{listed}]"


def lock_rows(model: type[models.Model], ids: Iterable[int]) -> None:
    """Lock rows in key order before an `update_rows` whose order nobody knows. Inside the caller's transaction."""
    if on_postgres():
        wanted = sorted(ids)
        span = span_of(model, wanted).sql()
        with connection.cursor() as cursor:
            cursor.execute(
                f'SELECT id FROM "{model._meta.db_table}" WHERE id {among_ids()}{span} ORDER BY id FOR UPDATE',
                [listed_ids(wanted)],
            )


def database_now() -> datetime:
    """The database's clock as an aware UTC datetime."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql()}", [])
        value = cursor.fetchone()[0]
    return as_datetime(value)


def as_datetime(value: Any) -> Any:
    """A timestamp read by raw SQL as an aware datetime: SQLite hands out text, or for a column a naive one."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value).__str__()
    raise TypeError(f"{type(value).__name__} cannot travel in a bulk statement")


def as_json(rows: Iterable[Any]) -> str:
    """`rows` as the JSON text that `rows_sql` unpacks."""
    # PostgreSQL reads moments as JSON writes them; SQLite keeps them as text, in Django's form.
    option = None if on_postgres() else orjson.OPT_PASSTHROUGH_DATETIME
    return orjson.dumps(list(rows), default=_plain, option=option).decode()


def rows_sql(model: type[models.Model], columns: Sequence[str], alias: str = "v") -> str:
    """A subquery (SELECT …) giving one row per element of the JSON parameter, with the columns' types and names.

    `columns` are database column names of `model`. The caller passes `as_json(rows)` as the parameter.
    """
    return _rows_sql(model, tuple(columns), alias, on_postgres())


@cache  # a handful of statements, whose text cost a fifth of a single send's Python
def _rows_sql(model: type[models.Model], columns: tuple[str, ...], alias: str, postgres: bool) -> str:
    fields = {field.column: field for field in model._meta.concrete_fields}
    parts = []
    for index, column in enumerate(columns):
        field = fields[column]
        if postgres:
            kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
            as_it_is = isinstance(field, models.JSONField)
            value = f"NULLIF(value->{index}, 'null'::jsonb)" if as_it_is else f"(value->>{index})::{kind}"
        else:
            value = f"json_extract(value, '$[{index}]')"
        parts.append(f'{value} AS "{column}"')
    source = "jsonb_array_elements(%s::jsonb) AS value" if postgres else "json_each(%s)"
    return f"(SELECT {', '.join(parts)} FROM {source})" + (f" AS {alias}" if alias else "")


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def allocate_ids(model: type[models.Model], count: int) -> list[int]:
    """`count` fresh primary keys, ascending, to be inserted by `insert_rows` in this same transaction.

    Known ids let one transaction write a message, its ledger entry and its events without asking back for each.
    On SQLite the caller must be inside `atomic`, where the write lock (BEGIN IMMEDIATE) keeps the range ours.
    """
    if count <= 0:
        return []
    if on_postgres():
        part = ids_part(model, count)
        with prepared_cursor() as cursor:
            cursor.execute(f"SELECT {part.columns[0]} FROM {part.source}", part.params)
            return sorted(row[0] for row in cursor.fetchall())
    with connection.cursor() as cursor:
        if not connection.in_atomic_block:
            raise RuntimeError("allocate_ids needs a transaction on SQLite")
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [model._meta.db_table])
        found = cursor.fetchone()
        first = (found[0] if found else 0) + 1
        return list(range(first, first + count))


def ids_part(model: type[models.Model], count: int) -> Part:
    """`allocate_ids` of PostgreSQL as a part of a statement that reads other things as well; in no promised order.

    Keys that carry months are the month's first one and the number of the sequence, which goes on from month to month.
    """
    month = f"{month_now_sql()} * {MONTH}" if has_months(model) else "0"
    # The sequence is looked up once: per row it cost seven times as much as taking the number.
    sequence = (
        f"(SELECT pg_get_serial_sequence(%s, 'id')::regclass AS name, {month} AS month OFFSET 0) s, "
        "generate_series(1, %s)"
    )
    return Part(("s.month + nextval(s.name)",), sequence, [model._meta.db_table, count])


def insert_rows(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Row], *, suffix: str = ""
) -> list[tuple]:
    """Insert `rows` in one statement. `suffix` is SQL after it, such as ON CONFLICT … or RETURNING …

    Returns the rows of RETURNING, in no promised order, or an empty list.
    """
    if not rows:
        return []
    if not suffix and _is_worth_copying(rows):
        copy_rows(model, columns, rows)
        return []
    with prepared_cursor() as cursor:
        cursor.execute(f"{_insert_sql(model, tuple(columns))} {suffix}", [as_json(rows)])
        return cursor.fetchall() if "RETURNING" in suffix else []


def insert_together(*inserts: Insert) -> None:
    """`insert_rows` into several tables; few rows by one statement on PostgreSQL, so that one answer is waited for.

    Rows of one may name rows of another where the foreign key is checked at the commit, as Django's are.
    """
    filled = [insert for insert in inserts if insert[2]]
    if not on_postgres() or any(_is_worth_copying(rows) for _, _, rows in filled):
        for insert in filled:
            insert_rows(*insert)
        return
    if not filled:
        return
    *before, last = (_insert_sql(model, tuple(columns)) for model, columns, _ in filled)
    named = ", ".join(f"i{number} AS ({statement})" for number, statement in enumerate(before))
    with prepared_cursor() as cursor:
        cursor.execute(f"WITH {named} {last}" if named else last, [as_json(rows) for _, _, rows in filled])


def _is_worth_copying(rows: Sequence[Row]) -> bool:
    return len(rows) >= WORTH_IT and on_postgres()


def _insert_sql(model: type[models.Model], columns: tuple[str, ...]) -> str:
    """Parameter: the rows as JSON."""
    return (
        f'INSERT INTO "{model._meta.db_table}" ({_quoted(columns)}) '
        f"SELECT {_quoted(columns)} FROM {rows_sql(model, columns)} WHERE true"
    )


def update_rows(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    key: str = "id",
    assign: str = "",
    where: str = "",
    params: Sequence[Any] = (),
    returning: Sequence[str] = (),
) -> list[tuple]:
    """Update one table from `rows`, matched by `key`, which is the first of `columns`, in one statement.

    Every further column is set to the row's value; a column whose name starts with "-" is only carried for use in
    `assign` (extra SET clauses) and `where` (extra conditions), where the table is `t` and the row is `v`.
    Returns the columns `returning` of each row changed, or an empty list. Give no key twice: which one wins is not
    defined.
    """
    if not rows:
        return []
    names = [column.removeprefix("-") for column in columns]
    sets = [f'"{name}" = v."{name}"' for column, name in zip(columns, names, strict=True) if column == name != key]
    if assign:
        sets.append(assign)
    statement = (
        f'UPDATE "{model._meta.db_table}" AS t SET {", ".join(sets)} FROM {rows_sql(model, names)} '
        f'WHERE t."{key}" = v."{key}"'
    )
    if key == "id" and has_months(model):
        # The rest as one opaque condition: without statistics PostgreSQL would think that hardly a row of the month
        # meets it, and begin with looking for all that do instead of going key by key.
        statement += span_of(model, [row[0] for row in rows]).sql("t")
        where = where and f"CASE WHEN {where} THEN true ELSE false END"
    statement += f" AND {where}" if where else ""
    if returning:  # SQLite knows no alias here, PostgreSQL needs one to tell the table from the rows
        table = "t." if on_postgres() else ""
        statement += " RETURNING " + ", ".join(f'{table}"{column}"' for column in returning)
    with connection.cursor() as cursor:
        cursor.execute(statement, [as_json(rows), *params])
        return cursor.fetchall() if returning else []
