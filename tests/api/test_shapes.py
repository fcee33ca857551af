"""The documented success bodies, key by key and type by type, in both published ways of reading them."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.opening import open_ready_client
from messaging.api import waiting
from messaging.models import Message, MessageEvent, MessageStatus
from messaging.services.tallies import recount
from tests.api.caller import Caller
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")

MESSAGE = {
    "id": int, "message_id": str, "provider_message_id": (str, type(None)), "channel": str, "recipient": str,
    "sender": str, "status": str, "units": int, "cost": (int, float), "encoding": str, "segments": int,
    "reference": (str, type(None)),
}  # fmt: skip
STORED = {
    "id": int, "message_id": str, "provider_message_id": (str, type(None)), "channel": str, "recipient": str,
    "sender": str, "status": str, "units": int, "cost": (int, float), "campaign_id": (int, type(None)),
    "reference": (str, type(None)), "schedule_at": (str, type(None)), "queued_at": (str, type(None)),
    "sent_at": (str, type(None)), "delivered_at": (str, type(None)), "failed_at": (str, type(None)),
    "error_code": (str, type(None)), "error_message": (str, type(None)),
}  # fmt: skip


def check_shape(value, shape):
    assert set(value) == set(shape)
    for name, kinds in shape.items():
        assert isinstance(value[name], kinds), name
        assert not isinstance(value[name], bool) or kinds is bool, name


def check_both_readings(body):
    """`response.id` and `response.data.id` are the same value, for every field but status."""
    for name, value in body["data"].items():
        if name != "status":
            assert body[name] == value


def set_message(**fields):
    Message.objects.unscoped().update(**fields)
    for client_id in Message.objects.unscoped().values_list("client_id", flat=True).order_by().distinct():
        recount(client_id=client_id)


def test_messages_send(acme):
    response = acme.send(reference="order-7")
    body = response.json()
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    check_shape(body["data"], MESSAGE)
    check_both_readings(body)
    assert (body["status"], body["message"]) == ("success", "Message queued for sending")
    assert set(body) == set(MESSAGE) | {"message", "data"}
    stored = Message.objects.unscoped().get()
    assert body["data"] == {
        "id": stored.pk, "message_id": stored.message_id, "provider_message_id": None, "channel": "sms",
        "recipient": "254712345678", "sender": "HOSPITAL", "status": "queued", "units": 1, "cost": 1,
        "encoding": "GSM-7", "segments": 1, "reference": "order-7",
    }  # fmt: skip
    assert (stored.recipient, stored.text, stored.reference) == ("+254712345678", "Karibu", "order-7")
    assert stored.client_id == acme.client.pk
    assert acme.balance() == 9


@pytest.mark.parametrize("recipient", ["+254712345678", "0712345678", "0712 345 678", 254712345678])
def test_a_recipient_is_read_in_every_published_spelling(acme, recipient):
    assert acme.send(recipient=recipient).json()["recipient"] == "254712345678"


def test_units_and_encoding_of_a_longer_text(acme):
    body = acme.send(body="x" * 161).json()
    assert (body["units"], body["segments"], body["cost"], body["encoding"]) == (2, 2, 2, "GSM-7")
    body = acme.send(body="Habari 🎉").json()
    assert (body["units"], body["segments"], body["encoding"]) == (1, 1, "UCS-2")


@pytest.mark.parametrize("sender", [None, "", "hospital"])
def test_the_default_sender_and_any_letter_case(acme, sender):
    assert acme.send(sender=sender).json()["sender"] == "HOSPITAL"


def test_a_scheduled_message(acme):
    at = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    body = acme.send(schedule_at=at.isoformat()).json()
    assert (body["data"]["status"], body["message"]) == ("scheduled", "Message scheduled")
    shown = acme.get(f"sms/status/{body['message_id']}").json()
    assert shown["schedule_at"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (shown["status"], shown["queued_at"]) == ("scheduled", None)


def test_the_client_id_in_the_body_may_repeat_the_url(acme):
    assert acme.send(client_id=acme.client.pk).status_code == 200
    assert acme.send(client_id=str(acme.client.pk), unknown_field=[1]).status_code == 200


def test_sms_send(acme):
    response = acme.post(
        "sms/send",
        {
            "recipients": ["0712345678", "12", "254712345678", "+254733000111"],
            "message": "Karibu",
            "sender_id": "HOSPITAL",
        },
    )
    body = response.json()
    first, last = Message.objects.unscoped().order_by("pk")
    assert response.status_code == 200
    assert set(body) == {"status", "sent", "failed", "total_cost", "results", "data"}
    check_both_readings(body)
    assert (body["status"], body["sent"], body["failed"], body["total_cost"]) == ("success", 2, 2, 2)
    rows = body["results"]
    assert rows[0] == {"recipient": "0712345678", "status": "queued", "message_id": first.message_id}
    assert rows[3] == {"recipient": "+254733000111", "status": "queued", "message_id": last.message_id}
    assert {name: rows[1][name] for name in ("recipient", "status", "message_id")} == {
        "recipient": "12", "status": "failed", "message_id": None,
    }  # fmt: skip
    assert "Too short" in rows[1]["error"]
    assert rows[2]["recipient"] == "254712345678"
    assert "twice" in rows[2]["error"]
    assert acme.balance() == 8


@pytest.mark.parametrize("names", [("recipient", "sender"), ("recipient", "sender_id")])
def test_sms_send_as_published_programs_write_it(acme, names):
    body = acme.post("sms/send", {names[0]: "254712345678", "message": "Karibu", names[1]: "Taarifa-SMS"}).json()
    assert (body["sent"], body["data"]["sent"]) == (1, 1)
    assert Message.objects.unscoped().get().sender == "Taarifa-SMS"


def test_sms_send_without_a_sender_uses_the_default(acme):
    acme.post("sms/send", {"recipients": ["254712345678"], "message": "Karibu"})
    assert Message.objects.unscoped().get().sender == "HOSPITAL"


def test_sms_status(acme):
    sent = acme.send().json()
    at = datetime(2025, 10, 9, 14, 30, 0, 987_654, tzinfo=UTC)
    set_message(
        status=MessageStatus.DELIVERED,
        provider_message_id="ATXid_7",
        sent_at=at,
        delivered_at=at + timedelta(seconds=15),
    )
    body = acme.get(f"sms/status/{sent['message_id']}").json()
    check_shape(body["data"], STORED | {"events": list})
    check_both_readings(body)
    assert (body["status"], body["data"]["status"]) == ("delivered", "delivered")
    assert (body["sent_at"], body["delivered_at"]) == ("2025-10-09T14:30:00Z", "2025-10-09T14:30:15Z")
    assert (body["message_id"], body["recipient"]) == (sent["message_id"], "254712345678")
    assert TIME.fullmatch(body["queued_at"])
    assert [event["event"] for event in body["events"]] == ["queued"]
    check_shape(body["events"][0], {"event": str, "code": type(None), "detail": type(None), "at": str})
    for identifier in (sent["id"], "ATXid_7", sent["message_id"].lower()):
        assert acme.get(f"sms/status/{identifier}").json() == body


@pytest.mark.parametrize(
    ("stored", "shown"),
    [("held", "queued"), ("sent", "sent"), ("read", "read"),
     ("failed", "failed"), ("cancelled", "cancelled")],
)  # fmt: skip
def test_inner_states_are_shown_in_documented_words(acme, stored, shown):
    sent = acme.send().json()
    set_message(status=stored)
    assert acme.get(f"sms/status/{sent['id']}").json()["status"] == shown


def test_sms_history(acme):
    for number in range(5):
        acme.send(recipient=f"25471234567{number}", body=f"Habari {number}", reference=f"order-{number}")
    body = acme.get("sms/history", {"per_page": "2", "page": "2"}).json()
    assert set(body) == {"status", "data", "meta"}
    assert body["status"] == "success"
    assert [row["message"] for row in body["data"]] == ["Habari 2", "Habari 1"]
    for row in body["data"]:
        check_shape(row, STORED | {"message": str})
    assert {**body["meta"], "next_cursor": None} == {
        "current_page": 2, "total": 5, "per_page": 2, "last_page": 3, "next_cursor": None,
    }  # fmt: skip


def test_sms_history_defaults_bounds_and_the_page_past_the_last(acme):
    acme.send()
    assert acme.get("sms/history").json()["meta"] == {
        "current_page": 1, "total": 1, "per_page": 20, "last_page": 1, "next_cursor": None,
    }  # fmt: skip
    assert acme.get("sms/history", {"per_page": "1000"}).json()["meta"]["per_page"] == 100
    past = acme.get("sms/history", {"page": "9" * 30}).json()
    assert past["data"] == []
    assert past["meta"]["total"] == 1


def test_sms_history_by_cursor_sees_each_message_once(acme):
    for number in range(5):
        acme.send(body=f"Habari {number}", recipient=f"25471234567{number}")
    seen, cursor = [], None
    for _ in range(5):
        body = acme.get("sms/history", {"per_page": "2"} | ({"cursor": cursor} if cursor else {})).json()
        seen += [row["message"] for row in body["data"]]
        cursor = body["meta"]["next_cursor"]
        if not cursor:
            break
    assert seen == [f"Habari {number}" for number in (4, 3, 2, 1, 0)]


def test_sms_history_filters(acme):
    acme.send(reference="a")
    acme.send(recipient="254733000111", sender="Taarifa-SMS")
    Message.objects.unscoped().filter(reference="a").update(
        status="failed", created_at=datetime(2025, 1, 31, 21, 30, tzinfo=UTC)
    )
    recount(client_id=acme.client.pk)

    def found(**params):
        return [row["recipient"] for row in acme.get("sms/history", params).json()["data"]]

    assert found(status="failed") == ["254712345678"]
    assert found(status="queued") == ["254733000111"]
    assert found(status="ALL") == ["254733000111", "254712345678"]
    assert found(sender="Taarifa-SMS") == ["254733000111"]
    assert found(reference="a") == ["254712345678"]
    assert found(recipient="0712345678") == ["254712345678"]
    assert found(recipient="+25473") == ["254733000111"]
    assert found(recipient="25473") == ["254733000111"]
    assert found(channel="email") == []
    assert found(campaign="999999999999999999999") == []
    # 21:30 UTC on the last of January is already February in Nairobi.
    assert found(to_date="2025-01-31") == []
    assert found(from_date="2025-02-01", to_date="2025-02-01") == ["254712345678"]
    assert found(to_date="2025-01-31T21:30:01Z") == ["254712345678"]
    assert found(from_date="2025-02-01T00:30:00+03:00", to_date="2025-02-02") == ["254712345678"]


def test_history_takes_the_same_queries_however_many_rows(acme, django_assert_num_queries):
    acme.send()
    with CaptureQueriesContext(connection) as one:
        acme.get("sms/history")
    queries = len(one)
    acme.post("sms/send", {"recipients": [f"25471234{n:04}" for n in range(5)], "message": "Karibu"})
    with django_assert_num_queries(queries):
        acme.get("sms/history")


def test_client_balance(acme):
    body = acme.get("client/balance").json()
    assert set(body) == {"status", "balance", "currency", "units", "price_per_unit", "low_balance", "data"}
    check_both_readings(body)
    assert body["status"] == "success"
    assert body["data"] == {"balance": 10, "currency": "KES", "units": 10, "price_per_unit": 1, "low_balance": True}
    assert body["low_balance"] is True


def test_money_has_at_most_two_decimals_and_is_a_number(road):
    fine = Caller(
        open_ready_client(
            name="Fine", email="fine@acme.test", password=PASSWORD, credit=Decimal("5.10"),
            price_per_unit=Decimal("0.305"), sender_ids=["FINE"],
        )
    )  # fmt: skip
    assert b'"balance":5.1,' in fine.get("client/balance").content
    assert b'"cost":0.31' in fine.send(sender="FINE").content
    assert fine.get("client/balance").json()["balance"] == 4.8  # 4.795
    assert MessageEvent.objects.unscoped().count() == 1


def test_prefer_wait_holds_the_answer_until_the_message_has_left(acme, monkeypatch):
    monkeypatch.setattr(waiting.time, "sleep", lambda _: set_message(status="sent", provider_message_id="ATXid_7"))
    response = acme.post(
        "messages/send", {"channel": "sms", "recipient": "254712345678", "body": "Karibu"}, Prefer="wait=60"
    )
    body = response.json()
    assert (body["status"], body["data"]["status"]) == ("success", "sent")
    assert (body["provider_message_id"], body["data"]["provider_message_id"]) == ("ATXid_7", "ATXid_7")
    assert response["Preference-Applied"] == "wait=10"


def test_prefer_wait_ends_with_its_seconds(acme):
    response = acme.post(
        "messages/send",
        {"channel": "sms", "recipient": "254712345678", "body": "Karibu"},
        Prefer="respond-async, wait=0",
    )
    assert response.json()["data"]["status"] == "queued"
