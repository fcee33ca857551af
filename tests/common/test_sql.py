"""The database's clock in the text that Django keeps on SQLite: what is due now is due at once."""

import pytest
from django.db import connection

from accounts.models import Client
from crm.common.sql import DatabaseNow, as_datetime, database_now, later_sql, now_sql

pytestmark = pytest.mark.django_db


def stored(value) -> str:
    return str(connection.ops.adapt_datetimefield_value(value))


def test_the_clock_is_written_as_django_writes_times():
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL compares times, not texts")
    Client.objects.create(name="Acme")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql()}, {later_sql(-1)}", [])
        now, earlier = cursor.fetchone()
    by_orm = Client.objects.values_list(DatabaseNow(), flat=True)[0]
    for text in (now, earlier):
        assert text.startswith(stored(as_datetime(text)))  # Django leaves six noughts out
        assert len(text) == len("2026-11-28 13:05:00.123000")
    assert as_datetime(now) <= by_orm <= database_now()


def test_what_was_written_this_very_moment_is_due():
    """In one statement the clock stands still on both databases."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now_sql()}, {now_sql()}", [])
        first, second = cursor.fetchone()
        assert first == second
        cursor.execute("SELECT %s <= %s", [stored(as_datetime(first)), str(first)])
        assert cursor.fetchone()[0]
