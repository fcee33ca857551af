"""Messages by month: keys carry it on PostgreSQL, statements name it, and what is put away stays in every figure."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import Client
from accounts.personal_data import PARTS, Limits, Person
from crm.common import months as numbers
from crm.common import spans
from crm.common.months import MONTH, begin_of, first_of, number_of
from crm.common.sql import allocate_ids, database_now
from messaging import months, open_months, queries
from messaging.models import Campaign, Message, MessageStatus, MessageSum, ProviderAccount, WrittenTo
from messaging.providers.base import Outcome
from messaging.putting_away import MESSAGES, MonthOpen, put_away_before
from messaging.sending.lookups import accounts_to_ask
from messaging.sending.recording import cancel_messages, record_outcomes
from messaging.sending.sweep import close_unreported, queue_due
from messaging.services.expansion import expand_campaign
from messaging.services.reports import process_callbacks
from messaging.services.tallies import recount
from messaging.statistics import count_messages
from tests.messaging.core import world

postgres_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="partitions are PostgreSQL's")
FIRST = f"{MESSAGES.table}_first"


@pytest.fixture
def acme(db: None) -> Client:
    return world.make_sender()


@pytest.fixture
def road(db: None) -> ProviderAccount:
    return world.make_road()


@pytest.fixture
def turn(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Called, the month turns to the first one that has a partition of its own; what was before is in the first."""

    def turn() -> None:
        ahead = spans.border_of(MESSAGES.table) // MONTH - number_of(database_now())
        monkeypatch.setattr(numbers, "_EPOCH", numbers._EPOCH - ahead)
        months.make_months()
        open_months.forget()

    yield turn
    spans.forget_borders()
    open_months.forget()


def place_of(pk: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM messaging_message WHERE id = %s", [pk])
        return str(cursor.fetchone()[0])


@contextmanager
def plans() -> Iterator[list[str]]:
    """How PostgreSQL would do every statement about messages that reads, changes or locks some."""
    found: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "messaging_message " in sql.replace('"', "") and sql.split()[0] in ("SELECT", "UPDATE", "DELETE", "WITH"):
            with connection.cursor() as cursor:
                cursor.cursor.execute(f"EXPLAIN {sql}", params)
                found.append("\n".join(line for (line,) in cursor.cursor.fetchall()) + f"\n{sql}")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield found


@postgres_only
def test_a_key_names_its_month_and_goes_on_from_month_to_month(
    acme: Client, road: ProviderAccount, turn: Callable[[], None]
) -> None:
    (early,) = world.accept(acme)
    assert early // MONTH == number_of(database_now())
    assert place_of(early) == FIRST
    turn()
    (late,) = world.accept(acme, first=1)
    assert late % MONTH > early % MONTH
    assert place_of(late) == f"{MESSAGES.table}_{database_now():%Y_%m}"
    for spelling in (f"MSG-{late}", f"API-{late}", f"msg_{late}", str(late)):
        assert queries.find_message(acme, spelling) == Message.objects.for_client(acme).get(pk=late)
    assert [row.pk for row in queries.messages_for(acme)] == [late, early]
    world.check_books()


@postgres_only
def test_the_sending_path_is_planned_for_the_month_that_it_is_about(
    acme: Client, road: ProviderAccount, turn: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    turn()
    monkeypatch.setattr(open_months, "LOOK_AGAIN", 600.0)
    assert open_months.queued().start  # this look asks about every month
    with plans() as seen:
        pks = world.accept(acme, 5)
        assert world.submit(road) == pks
        record_outcomes([Outcome(pk, "accepted", provider_message_id=f"AT{pk}") for pk in pks[:4]])
        record_outcomes([Outcome(pks[4], "retry", error_code="busy")])
        for pk in pks[:3]:
            world.report(road, f"AT{pk}")
        assert process_callbacks() == 3
        assert len(cancel_messages(ids=[pks[4]])) == 1
        assert (queue_due(), close_unreported(), accounts_to_ask()) == (0, 0, [])
    assert world.statuses(acme) == {"delivered": 3, "sent": 1, "cancelled": 1}
    assert len(seen) > 10
    assert [plan for plan in seen if FIRST in plan or MESSAGES.rest in plan] == []


@postgres_only
def test_what_waits_from_an_earlier_month_leaves_first_and_its_report_is_found(
    acme: Client, road: ProviderAccount, turn: Callable[[], None]
) -> None:
    (old,) = world.accept(acme)
    (held,) = world.accept(acme, first=1)
    (due,) = world.accept(acme, first=2, schedule_at=database_now() + timedelta(days=1))
    Message.objects.unscoped().filter(pk=held).update(status=MessageStatus.HELD)
    turn()
    (new,) = world.accept(acme, first=3)
    assert world.submit(road, 1) == [old]
    assert world.submit(road) == [new]
    record_outcomes([Outcome(pk, "accepted", provider_message_id=f"AT{pk}") for pk in (old, new)])
    Message.objects.unscoped().filter(pk=due).update(schedule_at=database_now())
    Message.objects.unscoped().filter(pk=held).update(status=MessageStatus.QUEUED)
    open_months.forget()  # a moment later
    assert queue_due() == 1
    assert world.submit(road) == [held, due]
    for pk in (old, new):
        world.report(road, f"AT{pk}")
    Message.objects.unscoped().filter(pk=old).update(closed=True)  # nothing is open there but what a sender has
    process_callbacks()
    assert [world.message(pk).status for pk in (old, new)] == ["delivered", "delivered"]


@postgres_only
def test_a_long_list_goes_on_in_the_months_before(
    acme: Client, road: ProviderAccount, turn: Callable[[], None], django_assert_num_queries: Any
) -> None:
    old = world.accept(acme, 3)
    turn()
    new = world.accept(acme, 3, first=3)
    everything = sorted([*old, *new], reverse=True)
    assert [row.pk for row in queries.slice_of(queries.messages_for(acme), size=4).rows] == everything[:4]
    assert [row.pk for row in queries.slice_of(queries.messages_for(acme), size=4, before=new[0]).rows] == old[::-1]
    assert [row.pk for row in queries.slice_of(queries.messages_for(acme), size=9, after=old[2]).rows] == new[::-1]
    with django_assert_num_queries(1):
        found = spans.newest_first(queries.messages_for(acme, since=datetime(2020, 1, 1, tzinfo=UTC)), 6)
    assert [row.pk for row in found] == everything


# --- a campaign writes to an address once -----------------------------------------------------------------------------


def write(client: Client, campaign: Campaign, recipient: str, **more: Any) -> Message:
    return Message.objects.create(
        client=client, campaign=campaign, recipient=recipient, sender="ACME", text="Habari", created_at=timezone.now(),
        **more,
    )  # fmt: skip


def test_a_campaign_writes_to_an_address_once_and_others_may_too(acme: Client) -> None:
    first, second = world.make_draft(acme), world.make_draft(acme)
    write(acme, first, "+254711000001")
    write(acme, second, "+254711000001")
    Message.objects.create(client=acme, recipient="+254711000001", sender="ACME", text="x", created_at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        write(acme, first, "+254711000001", id=7 * MONTH)
    assert WrittenTo.objects.count() == 2


def test_both_addresses_of_a_person_go_though_one_campaign_wrote_to_both(acme: Client) -> None:
    campaign = world.make_draft(acme)
    for recipient in ("+254711000001", "+254711000002", "+254711000003"):
        write(acme, campaign, recipient, status=MessageStatus.DELIVERED)
    person = Person(("+254711000001", "+254711000002"), (), mark="#erased")
    assert PARTS["messaging"].erase(acme.pk, person)[1]
    recipients = Message.objects.for_client(acme).order_by("pk").values_list("recipient", flat=True)
    assert list(recipients) == ["#erased", "#erased", "+254711000003"]
    assert [row.recipient for row in WrittenTo.objects.all()] == ["+254711000003"]


def test_a_number_that_changed_hands_is_left_out_of_the_rest(acme: Client, road: ProviderAccount) -> None:
    group = world.make_group(acme, world.make_contacts(acme, 3))
    campaign = world.confirm(world.make_draft(acme, group))
    WrittenTo.objects.create(campaign_id=campaign.pk, recipient=world.number(1))
    expand_campaign(campaign_id=campaign.pk)
    sent = Message.objects.for_client(acme).order_by("pk").values_list("recipient", flat=True)
    assert list(sent) == [world.number(0), world.number(2)]


# --- putting away -----------------------------------------------------------------------------------------------------


@pytest.fixture
def over(acme: Client, road: ProviderAccount, turn: Callable[[], None]) -> Campaign:
    """A campaign of the month before: two arrived, one failed; besides them a single message. All of it is over, and
    retention took what was personal."""
    group = world.make_group(acme, world.make_contacts(acme, 3))
    campaign = world.confirm(world.make_draft(acme, group))
    expand_campaign(campaign_id=campaign.pk)
    world.accept(acme, first=10)
    pks = world.submit(road)
    record_outcomes(
        [Outcome(pk, "accepted", provider_message_id=f"AT{pk}") for pk in pks[1:]]
        + [world.outcome(pks[0], "rejected", code="blocked")]
    )
    for pk in pks[1:]:
        world.report(road, f"AT{pk}")
    process_callbacks()
    turn()
    Campaign.objects.unscoped().update(confirmed_at=first_of(database_now()) - timedelta(days=3))
    return Campaign.objects.for_client(acme).get(pk=campaign.pk)


def bare(client: Client) -> None:
    now = database_now() + timedelta(days=1)
    PARTS["messaging"].purge(client.pk, Limits(texts=now, numbers=now, logs=now, exports=now), {}, 100, False)


@postgres_only
def test_a_month_that_is_put_away_stays_in_every_figure(acme: Client, over: Campaign, road: ProviderAccount) -> None:
    border = begin_of(spans.border_of(MESSAGES.table) // MONTH)
    progress, total = queries.progress_of([over]), world.statuses(acme).total()
    with pytest.raises(MonthOpen, match="still hold a number or a text"):
        put_away_before(border)
    bare(acme)
    assert WrittenTo.objects.count() == 0
    world.accept(acme, 2, first=20)
    assert months.detach_before(border, only="messages") == [FIRST]
    assert queries.progress_of([over]) == progress
    assert MessageSum.objects.for_client(acme).filter(campaign_id=over.pk).count() == 2
    assert Message.objects.for_client(acme).count() == 2
    assert count_messages(acme, queries.messages_for(acme)) == 2
    world.check_books()
    recount(client_id=acme.pk)
    world.check_books()
    assert total == 4
    assert len(world.submit(road)) == 2  # sending goes on
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {FIRST}")
        assert cursor.fetchone()[0] == 4


@postgres_only
def test_a_month_with_something_to_be_done_stays(acme: Client, over: Campaign) -> None:
    bare(acme)
    Message.objects.unscoped().filter(status="failed").update(status="held")
    with pytest.raises(MonthOpen, match="1 messages of before"):
        months.detach_before(begin_of(spans.border_of(MESSAGES.table) // MONTH))
    assert MESSAGES.months()[0].name == FIRST
    assert not MessageSum.objects.for_client(acme).exists()


def test_on_sqlite_keys_are_plain(db: None) -> None:
    if connection.vendor == "postgresql":
        assert allocate_ids(Message, 1)[0] >= number_of(first_of(database_now())) * MONTH
        return
    with transaction.atomic():
        assert allocate_ids(Message, 1)[0] < MONTH
    assert spans.span_of(Message, [1]) == spans.EVERYTHING
