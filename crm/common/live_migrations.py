"""Steps of migrations for tables that are large and in use (docs/operating/upgrading.md)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any

from django.db import migrations, transaction
from django.db.utils import OperationalError

LOCK_SECONDS, TRIES = 2, 60


def in_a_moment(connection: Any, work: Callable[[Any], None]) -> None:
    """`work(cursor)` in one transaction that waits for no lock longer than LOCK_SECONDS, so that writers wait no longer
    behind it; again where it had to wait too long.
    """
    for tried in range(1, TRIES + 1):
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS} s'")
                work(cursor)
            return
        except OperationalError:
            if tried == TRIES:
                raise
            time.sleep(1)


def add_number(connection: Any, table: str, column: str) -> None:
    """A column of whole numbers that is 0 in every row, on both databases without writing a row."""
    with connection.cursor() as cursor:
        if column in {found.name for found in connection.introspection.get_table_description(cursor, table)}:
            return  # an earlier run got so far
    # Django would write the table anew on SQLite, and its triggers would go with the old one.
    words = f"ALTER TABLE {table} ADD COLUMN {column} integer NOT NULL DEFAULT 0"
    if connection.vendor == "postgresql":
        in_a_moment(connection, lambda cursor: cursor.execute(words))
    else:
        with connection.cursor() as cursor:
            cursor.execute(words)


@dataclass(frozen=True, slots=True)
class Months:
    """A table of PostgreSQL that becomes partitioned by ranges of `column`; what is there becomes the first partition,
    up to `border`, without a row being copied.

    checks: conditions by name that hold from now on, in every partition. unique: by name the columns of a unique
    constraint of the model, which has the column of the partitions besides. within_first: unique indexes of the model
    that cannot be made so, and are the first partition's alone. references: its foreign keys, column and table.
    before, after: SQL of the step that swaps the tables, of the old and of the new one.
    """

    table: str
    column: str
    border: int
    references: Mapping[str, str]
    checks: Mapping[str, str] = field(default_factory=dict)
    unique: Mapping[str, Sequence[str]] = field(default_factory=dict)
    within_first: Sequence[str] = ()
    before: Sequence[str] = ()
    after: Sequence[str] = ()

    @property
    def first(self) -> str:
        return f"{self.table}_first"

    @property
    def rest(self) -> str:
        return f"{self.table}_rest"

    def is_made(self, connection: Any) -> bool:
        return _partitions(connection, self.table) is not None

    def make(self, connection: Any) -> None:
        """All of it; what an interrupted run did already is taken as it is. Outside of a transaction."""
        if self.is_made(connection):
            return
        in_first = {f"{self.table}_in_first": f"{self.column} < {self.border}"}
        for name, condition in [*self.checks.items(), *in_first.items()]:
            self._check(connection, name, condition)
        for name, columns in self.unique.items():
            _index_live(connection, f"{self.first}_{name}", f"UNIQUE INDEX {{}} ON {self.table} ({', '.join(columns)})")
        in_a_moment(connection, self._swap)

    def _check(self, connection: Any, name: str, condition: str) -> None:
        """Added without looking, in a moment, and then validated while everything goes on."""
        drop = f"ALTER TABLE {self.table} DROP CONSTRAINT IF EXISTS {name}"
        add = f"ALTER TABLE {self.table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID"

        def work(cursor: Any) -> None:
            cursor.execute(drop)
            cursor.execute(add)

        in_a_moment(connection, work)
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {name}")

    def _swap(self, cursor: Any) -> None:
        table, first, rest, execute = self.table, self.first, self.rest, cursor.execute
        execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
        sequence = cursor.fetchone()[0]
        execute(f"ALTER SEQUENCE {sequence} INCREMENT BY 1")  # nobody takes a number from here on
        execute(f"SELECT nextval('{sequence}')")
        following = cursor.fetchone()[0] + 1
        for words in self.before:
            execute(words)
        indexes = self._indexes(cursor)
        for name in indexes:
            execute(f"ALTER INDEX {name} RENAME TO {first}_{name}")
        for name in self.unique:
            execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        execute(f"ALTER TABLE {table} ALTER COLUMN id DROP IDENTITY")
        execute(f"ALTER TABLE {table} RENAME TO {first}")
        execute(
            f"CREATE TABLE {table} (LIKE {first} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) "
            f"PARTITION BY RANGE ({self.column})"
        )
        execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_in_first")
        execute(
            f"ALTER TABLE {table} ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY "
            f"(SEQUENCE NAME {table}_id_seq START WITH {following})"
        )
        for words in indexes.values():
            execute(words)
        for name, columns in self.unique.items():
            execute(f"ALTER TABLE {first} ADD CONSTRAINT {first}_{name} UNIQUE USING INDEX {first}_{name}")
            execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({', '.join(columns)})")
        execute(f"ALTER TABLE {table} ATTACH PARTITION {first} FOR VALUES FROM (MINVALUE) TO ({self.border})")
        execute(f"ALTER TABLE {first} DROP CONSTRAINT {table}_in_first")
        execute(f"CREATE TABLE {rest} PARTITION OF {table} (PRIMARY KEY (id)) DEFAULT")
        for column, other in self.references.items():
            execute(f"ALTER TABLE {rest} ADD FOREIGN KEY ({column}) REFERENCES {other} DEFERRABLE INITIALLY DEFERRED")
        for words in self.after:
            execute(words)

    def _indexes(self, cursor: Any) -> dict[str, str]:
        """The indexes that the partitioned table has too, with the words that make them."""
        cursor.execute(
            "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
            "WHERE i.indrelid = %s::regclass AND NOT i.indisprimary",
            [self.table],
        )
        left_out = {*self.within_first, *self.unique, *(f"{self.first}_{name}" for name in self.unique)}
        return {name: words for name, words in cursor.fetchall() if name not in left_out}


class AddIndexLive(migrations.AddIndex):
    """An index that is made while writers go on: on PostgreSQL CONCURRENTLY, which needs `atomic = False`; of a table
    by month in each partition, one after the other.

    What an interrupted run left invalid is made anew, and an index that is there already is taken as it is.
    """

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        if not self.allow_migrate_model(connection.alias, model):
            return
        if connection.vendor != "postgresql":
            schema_editor.add_index(model, self.index)
            return
        if connection.in_atomic_block:
            raise RuntimeError(f"the migration of {self.index.name} needs atomic = False")
        table = model._meta.db_table
        words = str(self.index.create_sql(model, schema_editor))
        words = words.replace(f'INDEX "{self.index.name}"', "INDEX {}").replace(f'ON "{table}" ', "ON {} ")
        partitions = _partitions(connection, table)
        if partitions is None:
            _index_live(connection, self.index.name, words.removeprefix("CREATE ").format("{}", table))
            return
        with connection.cursor() as cursor:
            cursor.execute(words.format(f"IF NOT EXISTS {self.index.name}", f"ONLY {table}"))
        for partition in partitions:
            name = f"{partition}_{self.index.name}"
            _index_live(connection, name, words.removeprefix("CREATE ").format("{}", partition))
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER INDEX {self.index.name} ATTACH PARTITION {name}")

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.remove_index(model, self.index)


def _partitions(connection: Any, table: str) -> list[str] | None:
    """Its partitions; None where it has none to have."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)", [table])
        if not cursor.fetchone()[0]:
            return None
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass(%s) ORDER BY c.relname",
            [table],
        )
        return [name for (name,) in cursor.fetchall()]


def _index_live(connection: Any, name: str, words: str) -> None:
    """words: what follows CREATE, with {} in the place of the name."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name])
        found = cursor.fetchone()
        if found and found[0]:
            return
        if found:
            cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
        kind, following = words.split("INDEX ", 1)
        cursor.execute(f"CREATE {kind}INDEX CONCURRENTLY {following.format(name)}")


class DropReferencesLive(migrations.AlterField):
    """A foreign key that the database checks no more (`db_constraint=False`), while writers go on; needs
    `atomic = False`.

    Each constraint, that of a partition too, goes in a transaction that waits for no lock longer than LOCK_SECONDS, so
    that nobody waits longer behind it, and is tried again. SQLite keeps it: there it costs little, and taking it away
    would copy the table.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        if not self.allow_migrate_model(connection.alias, model) or connection.vendor != "postgresql":
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.conrelid::regclass::text, quote_ident(c.conname) FROM pg_constraint c JOIN pg_attribute a "
                "ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f' AND c.conparentid = 0 "
                "AND cardinality(c.conkey) = 1 AND a.attname = %s AND (c.conrelid = to_regclass(%s) OR c.conrelid IN "
                "(SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%s)))",
                [model._meta.get_field(self.name).column, model._meta.db_table, model._meta.db_table],
            )
            found = cursor.fetchall()
        for table, constraint in found:
            in_a_moment(
                connection, methodcaller("execute", f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}")
            )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing: what was written meanwhile was not checked."""
