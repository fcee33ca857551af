"""Timelines by month: partitions on PostgreSQL, one table on SQLite; nothing is refused, old months go."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from crm.common import partitions
from crm.common.months import first_of
from crm.common.sql import database_now
from messaging import months
from messaging.models import Message, MessageEvent
from messaging.months import TIMELINES
from messaging.queries import events_for
from messaging.services.timeline import write_events
from tests.messaging.core.world import accept, make_road, make_sender

postgres_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="partitions are PostgreSQL's")


@pytest.fixture
def message(db: None) -> Message:
    client = make_sender()
    make_road()
    accept(client)
    return Message.objects.unscoped().get()


def note(message: Message, at: datetime, detail: str = "") -> None:
    write_events([(message.pk, message.client_id, "report", "", detail)], at=at)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # as a commit would; what waits to be checked stands in the way of DDL
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def place_of(detail: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM messaging_messageevent WHERE detail = %s", [detail])
        return str(cursor.fetchone()[0])


def test_first_of_a_month_crosses_years() -> None:
    moment = datetime(2026, 11, 28, 13, tzinfo=UTC)
    assert first_of(moment) == datetime(2026, 11, 1, tzinfo=UTC)
    assert first_of(moment, 2) == datetime(2027, 1, 1, tzinfo=UTC)
    assert first_of(moment, -11) == datetime(2025, 12, 1, tzinfo=UTC)


@postgres_only
def test_months_to_come_are_made_once_and_take_their_rows(message: Message) -> None:
    begins = first_of(database_now(), partitions.AHEAD)
    assert TIMELINES.make_months()
    assert TIMELINES.make_months() == []
    ends = [month.ends for month in TIMELINES.months()]
    assert ends[-2:] == [first_of(begins, 1), None]
    note(message, begins + timedelta(days=1), "ahead")
    note(message, database_now(), "now")
    assert place_of("ahead") == f"messaging_messageevent_{begins:%Y_%m}"
    assert place_of("now") == "messaging_messageevent_first"
    assert [event.detail for event in events_for(message)][-2:] == ["ahead", "now"]


@postgres_only
def test_what_has_no_month_is_kept_and_moves_when_it_is_made(message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    TIMELINES.make_months()
    later = first_of(database_now(), partitions.AHEAD + 1) + timedelta(days=3)
    note(message, later, "early")
    assert place_of("early") == "messaging_messageevent_rest"
    assert TIMELINES.rows_without_month() == 1
    monkeypatch.setattr(partitions, "AHEAD", partitions.AHEAD + 1)
    assert TIMELINES.make_months() == [f"messaging_messageevent_{later:%Y_%m}"]
    assert place_of("early") == f"messaging_messageevent_{later:%Y_%m}"
    assert TIMELINES.rows_without_month() == 0
    assert [event.detail for event in events_for(message)][-1] == "early"


@postgres_only
def test_old_months_are_detached_or_dropped_and_the_others_stay(message: Message) -> None:
    TIMELINES.make_months()
    first = TIMELINES.months()[0]
    assert first.ends
    note(message, first.ends, "stays")
    with pytest.raises(CommandError, match="has not begun"):
        call_command("months", drop_before=first.ends)
    assert TIMELINES.detach_before(first.ends, drop=False) == ["messaging_messageevent_first"]
    assert [event.detail for event in events_for(message)] == ["stays"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM messaging_messageevent_first")
        assert cursor.fetchone()[0] >= 1
    note(message, database_now(), "of a month that is gone")  # accepted all the same
    assert place_of("of a month that is gone") == "messaging_messageevent_rest"
    second = TIMELINES.months()[0]
    assert TIMELINES.detach_before(second.ends or database_now(), drop=True) == [second.name]


def test_timelines_older_than_is_kept_go_by_themselves(message: Message, settings) -> None:
    old = first_of(database_now(), -20)
    note(message, old, "old")
    if connection.vendor == "postgresql":
        pytest.skip("what was there before the months were goes with its partition; see above")
    MessageEvent.objects.unscoped().filter(detail="old").update(id=0)  # written first, as it would have been
    months.keep_months()
    assert MessageEvent.objects.unscoped().filter(detail="old").exists()  # 0: all are kept
    settings.EVENT_MONTHS_KEPT = 13
    months.keep_months()
    assert not MessageEvent.objects.unscoped().filter(detail="old").exists()
    assert len(events_for(message)) == 1


def test_the_command_says_where_there_are_none(message: Message) -> None:
    if connection.vendor == "postgresql":
        output = io.StringIO()
        call_command("months", detach_before=datetime(2020, 1, 1, tzinfo=UTC), stdout=output)
        assert "messaging_messageevent_rest: without a month" in output.getvalue()
        return
    with pytest.raises(CommandError, match="PostgreSQL"):
        call_command("months")
