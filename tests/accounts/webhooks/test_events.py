"""Where events happen: messages, campaigns, credit, opt-outs, imports, a low balance (W1), each in its transaction."""

import json
from decimal import Decimal

import pytest
from django.db import transaction

from accounts.events import EVENTS
from accounts.models import WebhookDelivery
from accounts.services.events import record_events
from contacts.services import record_opt_out
from messaging.models import Message, MessageStatus
from messaging.sending.recording import Receipt, record_outcomes, record_receipts
from messaging.sending.simulation import advance_simulated
from messaging.services.campaigns import finish_campaigns
from messaging.services.expansion import expand_campaign
from tests.accounts.webhooks.conftest import make_endpoint, run_sql
from tests.messaging.core import world
from wallet.low_balances import tell_low_balances
from wallet.services import credit_wallet, debit_wallet

pytestmark = pytest.mark.django_db
URL = "https://example.com/h"


@pytest.fixture
def sender():
    return world.make_sender()


@pytest.fixture
def listener(sender):
    make_endpoint(sender, URL)
    return sender


def told(client, event=""):
    rows = WebhookDelivery.objects.for_client(client).order_by("pk")
    bodies = [json.loads(row.body) for row in rows]
    return [body["data"] for body in bodies if body["event"].startswith(event)]


def names(client):
    return [row.event for row in WebhookDelivery.objects.for_client(client).order_by("pk")]


def test_a_message_is_told_of_at_each_documented_step(listener):
    road = world.make_road()
    pk = world.send_one(listener, road)
    (sent,) = told(listener, "message.sent")
    assert set(sent) == set(EVENTS["message.sent"].sample)
    message = Message.objects.for_client(listener).get(pk=pk)
    assert (sent["id"], sent["message_id"], sent["status"]) == (pk, message.message_id, "sent")
    assert sent["recipient"] == message.recipient.removeprefix("+")
    assert sent["sent_at"] == message.sent_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    record_receipts([Receipt(pk, "delivered")])
    record_receipts([Receipt(pk, "delivered"), Receipt(pk, "failed")])
    record_receipts([Receipt(pk, "read")])
    assert names(listener) == ["message.sent", "message.delivered", "message.read"]
    (delivered,) = told(listener, "message.delivered")
    assert (delivered["status"], delivered["delivered_at"] is None) == ("delivered", False)


def test_a_failure_says_why_and_a_retry_or_a_cancelled_message_says_nothing(listener):
    road = world.make_road()
    ids = world.accept(listener, 2)
    assert world.submit(road) == ids
    record_outcomes([world.outcome(ids[0], "rejected", code="blocked"), world.outcome(ids[1], "retry")])
    assert names(listener) == ["message.failed"]
    (failed,) = told(listener)
    assert (failed["id"], failed["error_code"], failed["status"]) == (ids[0], "blocked", "failed")


def test_the_late_answer_to_an_unconfirmed_message_is_no_second_event(listener):
    road = world.make_road()
    (pk,) = world.accept(listener)
    world.submit(road)
    record_outcomes([world.outcome(pk, "ambiguous")])
    record_outcomes([world.outcome(pk, "accepted", "AT1")])
    assert names(listener) == ["message.sent"]


def test_what_is_undone_is_not_told(listener):
    before = names(listener)
    with transaction.atomic():
        record_events(listener.pk, [("topup.failed", {"transaction_id": "T"})])
        assert names(listener) == [*before, "topup.failed"]
        transaction.set_rollback(True)
    assert names(listener) == before


def test_a_batch_costs_the_same_number_of_statements_and_one_more_where_nobody_listens(
    sender, django_assert_max_num_queries
):
    road = world.make_road()
    ids = world.accept(sender, 60)
    world.submit(road)
    counts = []
    for part in (ids[:10], ids[10:60]):
        with django_assert_max_num_queries(30) as captured:
            record_outcomes([world.outcome(pk, "accepted", f"AT{pk}") for pk in part])
        counts.append(len(captured))
        assert sum("webhook" in query["sql"] for query in captured.captured_queries) == 1
    assert counts[0] == counts[1]
    make_endpoint(sender, URL)
    counts = []
    for part in (ids[:10], ids[10:60]):
        with django_assert_max_num_queries(40) as captured:
            record_receipts([Receipt(pk, "delivered") for pk in part])
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert names(sender) == ["message.delivered"] * 60


def test_simulated_messages_are_told_of_too():
    client = world.make_sender(simulation=True)
    make_endpoint(client, URL)
    world.accept(client, 3)
    advance_simulated()
    assert names(client) == ["message.sent"] * 3
    assert Message.objects.for_client(client).filter(status=MessageStatus.SENT).count() == 3


def test_a_campaign_is_told_of_when_everybody_was_written_to(listener):
    road = world.make_road()
    group = world.make_group(listener, world.make_contacts(listener, 3))
    campaign = world.confirm(world.make_draft(listener, group))
    expand_campaign(campaign_id=campaign.pk)
    ids = world.submit(road)
    finish_campaigns()
    assert told(listener, "campaign.completed") == []
    record_outcomes([world.outcome(pk, "accepted", f"AT{pk}") for pk in ids])
    finish_campaigns()
    finish_campaigns()
    (done,) = told(listener, "campaign.completed")
    assert set(done) == set(EVENTS["campaign.completed"].sample)
    assert (done["campaign_id"], done["status"], done["recipients"], done["sent"]) == (campaign.pk, "done", 3, 3)


def test_credit_is_told_with_both_balances(listener):
    credit_wallet(client=listener, amount=Decimal("49.50"), reference="topup:TXN-20251009-001")
    assert told(listener, "balance.updated") == [
        {"old_balance": 1000, "new_balance": 1049.5, "amount_added": 49.5, "transaction_id": "TXN-20251009-001"}
    ]


def test_a_low_balance_is_told_once_per_fall_and_at_most_once_a_day(listener):
    assert tell_low_balances() == 0
    debit_wallet(client=listener, amount=Decimal(950), reference="x:1")
    assert (tell_low_balances(), tell_low_balances()) == (1, 0)
    assert told(listener, "balance.low") == [{"balance": 50, "threshold": 100, "currency": "KES"}]
    credit_wallet(client=listener, amount=Decimal(500), reference="topup:2")
    assert tell_low_balances() == 0
    debit_wallet(client=listener, amount=Decimal(500), reference="x:2")
    assert tell_low_balances() == 0  # the same day
    run_sql("UPDATE accounts_client SET low_balance_told_at = '2026-01-01 00:00:00+00:00'")
    assert tell_low_balances() == 0  # it is still low: the same fall
    credit_wallet(client=listener, amount=Decimal(500), reference="topup:3")
    assert tell_low_balances() == 0
    debit_wallet(client=listener, amount=Decimal(500), reference="x:3")
    assert tell_low_balances() == 1


def test_an_opt_out_is_told_once(listener):
    for _ in range(2):
        record_opt_out(client_id=listener.pk, channel="sms", address="+254712345678", sender="ACME", source="stop")
    (found,) = told(listener, "contact.opted_out")
    assert set(found) == set(EVENTS["contact.opted_out"].sample)
    assert (found["recipient"], found["sender"], found["source"]) == ("254712345678", "ACME", "stop")


def test_an_unknown_event_is_the_programmers_mistake(listener):
    with pytest.raises(KeyError):
        record_events(listener.pk, [("message.sentt", {})])
