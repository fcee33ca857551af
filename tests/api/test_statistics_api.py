"""Statistics, exact totals and the statement: what the tallies and the ledger say of real messages."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from accounts.models import Client
from crm.common.sql import database_now
from messaging import statistics
from messaging.models import Message, MessageLease, MessageTally
from messaging.providers.base import Outcome
from messaging.reconciliation import tally_differences
from messaging.sending.recording import Receipt, cancel_messages, record_outcomes, record_receipts
from messaging.services.tallies import merge_tallies, recount
from tests.api.caller import fields_of, refusal
from wallet.models import TopUp
from wallet.services import credit_wallet

pytestmark = pytest.mark.django_db


def submit(*ids):
    """As the sending loop leaves them just before the provider is written to."""
    MessageLease.objects.bulk_create(
        MessageLease(message_id=pk, owner="one", submitting=True, until=database_now()) for pk in ids
    )


def fare(acme):
    """Five messages: delivered, failed by report, refused by the provider, on its way, still queued; one cancelled."""
    ids = [acme.send(recipient=f"25471234560{n}").json()["id"] for n in range(6)]
    submit(*ids[:4])
    record_outcomes(
        [Outcome(ids[0], "accepted", provider_message_id="a"), Outcome(ids[1], "accepted", provider_message_id="b"),
         Outcome(ids[2], "rejected", error_code="rejected"), Outcome(ids[3], "accepted", provider_message_id="d")]
    )  # fmt: skip
    record_receipts([Receipt(ids[0], "delivered"), Receipt(ids[1], "failed"), Receipt(ids[0], "failed")])
    cancel_messages(ids=[ids[5]])
    return ids


def test_statistics_count_what_left_and_cost_net_of_refunds(acme):
    nothing = {"sent": 0, "delivered": 0, "failed": 0, "cost": 0}
    assert acme.get("sms/statistics").json()["data"]["today"] == nothing
    fare(acme)
    body = acme.get("sms/statistics").json()
    fared = {"sent": 4, "delivered": 1, "failed": 2, "cost": 3}
    expected = {f"total_{name}": value for name, value in fared.items()} | {"today": fared, "this_month": fared}
    assert body == {"status": "success", **expected, "data": expected}
    assert acme.balance() == 7
    assert tally_differences() == []


def test_tallies_are_what_the_messages_are_before_and_after_merging_and_recounting(acme, stranger):
    fare(acme)
    stranger.send(sender="ZURI")
    before = acme.get("sms/statistics").json()
    assert MessageTally.objects.unscoped().filter(merged=False).exists()
    assert merge_tallies() > 0
    assert not MessageTally.objects.unscoped().filter(merged=False).exists()
    assert merge_tallies() == 0
    assert acme.get("sms/statistics").json() == before
    acme.send()
    merge_tallies()
    assert tally_differences() == []
    MessageTally.objects.unscoped().filter(client=acme.client).update(messages=99)
    (difference,) = tally_differences()
    assert difference.client_id == acme.client.pk
    recount(client_id=acme.client.pk)
    assert tally_differences() == []


def test_today_and_this_month_begin_at_midnight_of_the_clients_time_zone(acme):
    pk = acme.send().json()["id"]
    # 30 September 21:30 UTC is 1 October 00:30 in Nairobi.
    Message.objects.unscoped().filter(pk=pk).update(status="sent", created_at=datetime(2025, 9, 30, 21, 30, tzinfo=UTC))
    recount(client_id=acme.client.pk)
    client = Client.objects.get(pk=acme.client.pk)

    def sent(now):
        return {name: fared.sent for name, fared in statistics.statistics_of(client, now).items()}

    assert sent(datetime(2025, 10, 1, 20, 59, tzinfo=UTC)) == {"total": 1, "today": 1, "this_month": 1}
    assert sent(datetime(2025, 10, 1, 21, 0, tzinfo=UTC)) == {"total": 1, "today": 0, "this_month": 1}
    assert sent(datetime(2025, 10, 31, 21, 0, tzinfo=UTC)) == {"total": 1, "today": 0, "this_month": 0}
    client.time_zone = "Africa/Dakar"
    assert sent(datetime(2025, 10, 1, 0, 30, tzinfo=UTC)) == {"total": 1, "today": 0, "this_month": 0}


@pytest.mark.parametrize(
    "asked",
    [{}, {"status": "queued"}, {"status": "sent"}, {"status": "delivered"}, {"status": "failed"},
     {"status": "cancelled"}, {"status": "scheduled"}, {"status": "read"}, {"channel": "sms"}, {"channel": "email"},
     {"from_date": "2020-01-01"}, {"to_date": "2020-01-01"}, {"status": "failed", "from_date": "2020-01-01"},
     {"sender": "HOSPITAL"}, {"recipient": "254712345600"}, {"from_date": "2020-01-01T00:10:00Z"}],
)  # fmt: skip
def test_the_total_is_the_number_of_rows(acme, asked):
    fare(acme)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    acme.send(schedule_at=later)
    body = acme.get("sms/history", asked).json()
    assert body["meta"]["total"] == len(body["data"])


def test_pages_from_either_end_show_every_message_once(acme):
    sent = [acme.send(recipient=f"25471234560{n}").json()["id"] for n in range(7)]
    pages = [acme.get("sms/history", {"per_page": 2, "page": n}).json()["data"] for n in (1, 2, 3, 4, 5)]
    assert [row["id"] for page in pages for row in page] == sent[::-1]
    assert [len(page) for page in pages] == [2, 2, 2, 1, 0]


def test_the_statement_says_what_each_charge_paid_for(acme, django_assert_max_num_queries):
    ids = fare(acme)
    with django_assert_max_num_queries(12):
        body = acme.get("wallet/transactions").json()
    rows = body["data"]
    assert body["meta"] == {"current_page": 1, "total": 10, "per_page": 20, "last_page": 1}
    assert [row["type"] for row in rows] == ["refund"] * 3 + ["debit"] * 6 + ["credit"]
    debit = next(row for row in rows if row["type"] == "debit" and row["message_id"] == f"MSG-{ids[0]:06d}")
    assert (debit["amount"], debit["description"], debit["status"]) == (1, "SMS to 254712345600", "completed")
    assert debit["campaign_id"] is None
    assert rows[0]["description"] == "Refund: SMS to 254712345605"
    assert rows[0]["balance_after"] == acme.balance() == 7
    assert rows[-1]["balance_after"] == rows[-1]["amount"] == 10


def test_the_statement_is_filtered_and_paged(acme):
    fare(acme)

    def found(**asked):
        body = acme.get("wallet/transactions", asked).json()
        assert body["meta"]["total"] == len(body["data"])
        return [row["type"] for row in body["data"]]

    assert found(type="refund") == ["refund"] * 3
    assert found(type="debit") == ["debit"] * 6
    assert found(type="credit") == ["credit"]
    assert found(to_date="2020-01-01") == []
    page = acme.get("wallet/transactions", {"per_page": 3, "page": 4}).json()
    assert [row["type"] for row in page["data"]] == ["credit"]
    assert page["meta"]["last_page"] == 4
    assert fields_of(refusal(acme.get("wallet/transactions", {"type": "x"}), 400, "INVALID_REQUEST")) == ["type"]


def test_days_of_the_statement_are_the_clients(acme):
    with time_machine.travel(datetime(2025, 9, 30, 21, 30, tzinfo=UTC), tick=False):  # 1 October in Nairobi
        credit_wallet(client=acme.client, amount=Decimal(3), reference="test:1")
    amounts = [row["amount"] for row in acme.get("wallet/transactions", {"to_date": "2025-10-01"}).json()["data"]]
    assert amounts == [3]
    assert acme.get("wallet/transactions", {"to_date": "2025-09-30"}).json()["data"] == []


def test_the_statement_names_the_payment_of_a_top_up(acme):
    top_up = TopUp.objects.create(
        client=acme.client, transaction_id="TXN-20251009-001", day=date(2025, 10, 9), number=1, amount=3,
        currency="KES", state="completed", receipt="PGH7X8Y9Z0", completed_at=datetime.now(UTC),
    )  # fmt: skip
    credit_wallet(client=acme.client, amount=Decimal(3), reference=f"topup:{top_up.transaction_id}")
    newest, opening = acme.get("wallet/transactions").json()["data"]
    assert (newest["type"], newest["amount"], newest["balance_after"]) == ("credit", 3, 13)
    assert (newest["payment_method"], newest["mpesa_receipt"]) == ("mpesa", "PGH7X8Y9Z0")
    assert (opening["payment_method"], opening["mpesa_receipt"]) == (None, None)


def test_a_total_by_sender_goes_on_from_what_was_counted_before(monkeypatch, acme, stranger):
    monkeypatch.setattr(statistics, "_WORTH_KEEPING", 1)
    monkeypatch.setattr(statistics, "_LOOK_AGAIN", 0)
    later = statistics.database_now() + timedelta(minutes=11)

    def total(caller=acme, **asked):
        return caller.get("sms/history", asked).json()["meta"]["total"]

    for n in range(3):
        acme.send(recipient=f"25471234560{n}", sender="HOSPITAL")
    assert total(sender="HOSPITAL") == 3
    monkeypatch.setattr(statistics, "database_now", lambda: later)  # now they are settled, and their number is kept
    assert total(sender="HOSPITAL") == 3
    Message.objects.for_client(acme.client).update(sender="WRONG")  # never so: shows that they are not counted again
    assert total(sender="HOSPITAL") == 3
    Message.objects.for_client(acme.client).update(sender="HOSPITAL")
    acme.send(sender="HOSPITAL")
    assert total(sender="HOSPITAL") == 4
    assert total(sender="HOSPITAL", status="queued") == 4
    assert total(sender="HOSPITAL", channel="email") == total(sender="OTHER") == total(stranger, sender="HOSPITAL") == 0
