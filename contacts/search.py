"""Finding a part of a name, number or address among a million contacts.

`contacts_search` is an index of three-letter pieces: FTS5 on SQLite, pg_trgm on PostgreSQL (migration 0006). It is
written behind the book, by `index_contacts` from the sweep, so that imports pay nothing for it; what changed since is
found by reading it. What the index says is checked against the book, so that stale rows in it do no harm.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from contacts.models import SearchMark
from crm.common.sql import database_now, on_postgres

log = logging.getLogger(__name__)

SHORTEST = 3  # letters: shorter texts are in every other name
MOST_FOUND = 10_000  # an index that says more than this is no help: the book is read from its newest end instead
CHUNK = 5000
# A change is indexed when it is this old: by then its transaction, begun earlier, has committed.
_SETTLED = timedelta(seconds=30)
_START = datetime(2000, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1)
def has_index() -> bool:
    """Whether this database has the index; it does not come or go while a process lives."""
    with connection.cursor() as cursor:
        return "contacts_search" in connection.introspection.table_names(cursor)


def _mark() -> SearchMark:
    return SearchMark.objects.order_by("pk").first() or SearchMark(updated_at=_START)


def _pieces(client_id: int, parts: list[str]) -> tuple[str, list]:
    """SELECT of the ids of the client's contacts in which one of the parts stands, by the index."""
    if on_postgres():
        like = ["%" + p.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" for p in parts]
        match, params = " OR ".join(["s.text LIKE %s"] * len(parts)), like
        key = "contact_id"
    else:
        params = [" OR ".join('"' + part.replace('"', '""') + '"' for part in parts)]
        match, key = "s.text MATCH %s", "rowid"
    return (
        f"SELECT k.id FROM contacts_search s JOIN contacts_contact k ON k.id = s.{key} "
        f"WHERE ({match}) AND k.client_id = %s LIMIT {MOST_FOUND + 1}",
        [*params, client_id],
    )


def candidates(client_id: int, parts: list[str]) -> tuple[Q | None, bool]:
    """(a condition that every contact with one of the parts meets, whether more than MOST_FOUND contacts do).

    None where the index is no help. One query, whatever the size of the book.
    """
    parts = [part for part in parts if part]
    if not parts or min(map(len, parts)) < SHORTEST or not has_index():
        return None, False
    statement, params = _pieces(client_id, parts)
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        ids = [row[0] for row in cursor.fetchall()]
    if len(ids) > MOST_FOUND:
        return None, True
    fresh = Q(updated_at__gte=_mark().updated_at)
    return Q(pk__in=RawSQL(_values(ids), [])) | fresh if ids else fresh, False  # noqa: S611 - integers of our own


def _values(ids: list[int]) -> str:
    """The ids as a list in SQL: as parameters they would be more than SQLite allows."""
    return f"SELECT value FROM json_each('{ids}')" if not on_postgres() else f"SELECT unnest(ARRAY{ids})"


def index_contacts(*, most: int = 40 * CHUNK) -> int:
    """Bring the index up to changes older than _SETTLED, at most `most` contacts; returns how many were written."""
    if not has_index():
        return 0
    done = 0
    while done < most and (count := _index_chunk()):
        done += count
    return done


@transaction.atomic
def _index_chunk() -> int:
    mark = _mark()
    until = database_now() - _SETTLED
    text = "LOWER(k.name || ' ' || COALESCE(k.phone, '') || ' ' || k.email || ' ' || k.department)"
    moment = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT k.id, k.updated_at, {text} FROM contacts_contact k "
            "WHERE (k.updated_at, k.id) > (%s, %s) AND k.updated_at <= %s "
            f"ORDER BY k.updated_at, k.id LIMIT {CHUNK}",
            [moment(mark.updated_at), mark.contact_id, moment(until)],
        )
        rows = cursor.fetchall()
        if not rows:
            return 0
        if on_postgres():
            cursor.execute(
                "INSERT INTO contacts_search (contact_id, text) SELECT * FROM unnest(%s::bigint[], %s::text[]) "
                "ON CONFLICT (contact_id) DO UPDATE SET text = excluded.text "
                "WHERE contacts_search.text <> excluded.text",
                [[row[0] for row in rows], [row[2] for row in rows]],
            )
        else:
            cursor.executemany(
                "INSERT OR REPLACE INTO contacts_search (rowid, text) VALUES (%s, %s)", [(r[0], r[2]) for r in rows]
            )
    last = rows[-1][1]
    read = datetime.fromisoformat(last) if isinstance(last, str) else last
    mark.updated_at = read if read.tzinfo else read.replace(tzinfo=UTC)  # SQLite keeps UTC without saying so
    mark.contact_id = rows[-1][0]
    mark.save()
    return len(rows)


def forget(contact_ids: Sequence[int]) -> None:
    """Take these contacts out of the index now, in the caller's transaction: they were erased."""
    if contact_ids and has_index():
        key = "contact_id" if on_postgres() else "rowid"
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM contacts_search WHERE {key} IN ({_values([int(pk) for pk in contact_ids])})")


def forget_deleted() -> int:
    """Take out of the index whoever is no longer in the book, at most once an hour; returns how many.

    The index holds names and numbers. Whoever is erased leaves it at once (`forget`); this is for all others, and for
    who was being indexed in the moment of the erasure.
    """
    if not has_index() or not cache.add("contacts.search.forgotten", 1, 3600):
        return 0
    key = "contact_id" if on_postgres() else "rowid"
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM contacts_search WHERE NOT EXISTS "
            f"(SELECT 1 FROM contacts_contact k WHERE k.id = contacts_search.{key})"
        )
        return max(cursor.rowcount, 0)
