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
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import RawSQL

from contacts.models import Contact, SearchMark
from crm.common.sql import database_now, on_postgres

log = logging.getLogger(__name__)

SHORTEST = 3  # letters: shorter texts are in every other name
MOST_FOUND = 2000  # nobody reads further, and nobody counts further
SMALL_BOOK = 2000  # contacts: a book of so many is simply read, and of a larger one so many of the newest tell
_COMMON = 100  # a text that stands in so many of them is common: the index would list half the book
_COUNTED = 10_000  # contacts, the newest, among which the finds of a common text are counted
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
        match, params = f"({' OR '.join(['s.text LIKE %s'] * len(parts))})", like
        key = "contact_id"
        order = "contact_id + 0"  # sorted, or PostgreSQL may read all texts from the newest on
    else:
        params = [" OR ".join('"' + part.replace('"', '""') + '"' for part in parts)]
        match, key, order = "s.text MATCH %s", "rowid", "rowid"
    # The newest first, each then looked up in the book, and no more of them than are wanted: a join read all.
    return (
        f"SELECT f.id FROM (SELECT s.{key} AS id FROM contacts_search s WHERE {match} ORDER BY s.{order} DESC) f "
        f"WHERE (SELECT k.client_id FROM contacts_contact k WHERE k.id = f.id) = %s LIMIT {MOST_FOUND + 1}",
        [*params, client_id],
    )


def is_small(book: QuerySet[Contact]) -> bool:
    """Whether the client's book is so small that it is read faster than the index, which is of all clients."""
    return _oldest_of(book, SMALL_BOOK) is None


def common(book: QuerySet[Contact], condition: Q) -> int:
    """How many contacts at least meet the condition, where the newest ones of the book show it to be common; else 0."""
    newest = book.filter(pk__gt=_oldest_of(book, SMALL_BOOK) or 0)
    if newest.filter(condition).count() < _COMMON:
        return 0
    more = book.filter(pk__gt=_oldest_of(book, _COUNTED) or 0)
    return min(more.filter(condition).count(), MOST_FOUND)


def _oldest_of(book: QuerySet[Contact], newest: int) -> int | None:
    """The contact before the `newest` ones; None where there is none."""
    return book.order_by("-pk").values_list("pk", flat=True)[newest : newest + 1].first()


def candidates(client_id: int, parts: list[str], condition: Q) -> tuple[Q | None, int]:
    """(which contacts to look at, how many meet the condition at least if they are too many to count, else 0).

    condition: that one of the parts stands in the contact. None where the index is no help. Of more than MOST_FOUND
    contacts the newest are looked at. Three queries, whatever the size of the book.
    """
    parts = [part for part in parts if part]
    if not parts or min(map(len, parts)) < SHORTEST or not has_index():
        return None, 0
    statement, params = _pieces(client_id, parts)
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        ids = [row[0] for row in cursor.fetchall()]
    many = _too_many(ids)
    # Apart, because a condition "of these or changed since" made PostgreSQL read the whole book.
    fresh = Contact.objects.for_client(client_id).filter(condition, updated_at__gte=_mark().updated_at)
    ids += fresh.order_by().values_list("pk", flat=True)[:MOST_FOUND]
    return _among(ids), many


def newest(rows: QuerySet[Contact]) -> tuple[Q, int]:
    """As `candidates`, for rows that an index of the book itself finds."""
    # Sorted by what no index has, or PostgreSQL may read the whole book from the newest on.
    ids = list(rows.order_by((F("pk") + 0).desc()).values_list("pk", flat=True)[: MOST_FOUND + 1])
    return _among(ids), _too_many(ids)


def _too_many(ids: list[int]) -> int:
    return MOST_FOUND if len(ids) > MOST_FOUND else 0


def _among(ids: list[int]) -> Q:
    """With the first and the last, so that a database which walks the book from its newest end begins where they do."""
    if not ids:
        return Q(pk__lt=0)
    return Q(pk__gte=min(ids), pk__lte=max(ids), pk__in=RawSQL(_values(ids), []))  # noqa: S611 - integers of our own


def _values(ids: list[int]) -> str:
    """The ids as a list in SQL: as parameters they would be more than SQLite allows."""
    return f"SELECT value FROM json_each('{ids}')" if not on_postgres() else f"SELECT unnest(ARRAY{ids})"


def index_contacts(*, most: int = 40 * CHUNK, settled: timedelta = _SETTLED) -> int:
    """Bring the index up to changes older than `settled`, at most `most` contacts; returns how many were written."""
    if not has_index():
        return 0
    done = 0
    while done < most and (count := _index_chunk(settled)):
        done += count
    return done


@transaction.atomic
def _index_chunk(settled: timedelta) -> int:
    mark = _mark()
    until = database_now() - settled
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
