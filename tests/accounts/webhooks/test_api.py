"""The native API of webhooks: made, read, changed, rotated, tested, their log, sent again; never another client's."""

import json
from datetime import timedelta

import pytest
from django.test import Client as Browser

from accounts.models import WebhookEndpoint
from accounts.services.events import record_events
from crm.common.sql import database_now
from tests.accounts.webhooks.conftest import deliver, deliveries, fresh, make_endpoint
from tests.api.caller import refusal
from tests.factories import make_key

pytestmark = pytest.mark.django_db(transaction=True)
URL = "https://example.com/webhooks"


class Program:
    def __init__(self, client):
        self.client, self.key = client, make_key(client).api_key

    def call(self, method, path="", body=None, **headers):
        raw = b"" if body is None else json.dumps(body).encode()
        url = f"/api/{self.client.pk}/webhooks{path}"
        headers = {"X-API-KEY": self.key, **headers}
        return Browser().generic(method, url, raw, content_type="application/json", headers=headers)

    def data(self, *args, **kwargs):
        answer = self.call(*args, **kwargs)
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]


@pytest.fixture
def program(acme):
    return Program(acme)


@pytest.fixture
def stranger(zuri):
    return Program(zuri)


def test_a_webhook_is_made_as_documented(program):
    answer = program.call(
        "POST", "", {"url": URL, "events": ["message.delivered", "topup.completed"], "format": "flat"}
    )
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "success")
    assert {"id", "url", "events", "format", "secret", "active", "created_at"} <= set(body["data"])
    assert {name: value for name, value in body["data"].items() if name != "status"}.items() <= body.items()
    made = fresh(WebhookEndpoint.objects.for_client(program.client).get())
    assert (made.secret, made.format, made.active) == (body["secret"], "flat", True)
    read = program.data("GET", f"/{made.pk}")
    assert "secret" not in read
    assert read["events"] == ["message.delivered", "topup.completed"]
    listed = program.call("GET").json()
    assert [row["id"] for row in listed["data"]] == [made.pk]
    assert listed["meta"]["total"] == 1
    assert body["secret"] not in json.dumps(listed)


def test_defaults_and_an_own_secret(program):
    made = program.data("POST", "", {"url": URL, "secret": "my-own-secret-of-20c"})
    assert (made["events"], made["format"], made["secret"]) == (["*"], "envelope", "my-own-secret-of-20c")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"), ({"url": ""}, "url"), ({"url": "http://127.0.0.1/h"}, "url"), ({"url": 5}, "url"),
        ({"url": URL, "events": []}, "events"), ({"url": URL, "events": ["nope"]}, "events"),
        ({"url": URL, "events": "*"}, "events"), ({"url": URL, "events": [None]}, "events.0"),
        ({"url": URL, "format": "xml"}, "format"), ({"url": URL, "secret": "short"}, "secret"),
        ({"url": URL, "secret": "x" * 129}, "secret"), ({"url": URL, "secret": "has a space in between"}, "secret"),
        ({"url": "x" * 5000}, "url"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_made(program, body, field):
    told = refusal(program.call("POST", "", body), 400, "INVALID_REQUEST")
    assert field in [error["field"] for error in told["errors"]]
    assert not WebhookEndpoint.objects.for_client(program.client).exists()


def test_change_pause_resume_rotate_delete(program):
    pk = program.data("POST", "", {"url": URL})["id"]
    changed = program.data("PATCH", f"/{pk}", {"events": ["topup.failed"], "active": False})
    assert (changed["events"], changed["active"], changed["url"]) == (["topup.failed"], False, URL)
    refusal(program.call("POST", f"/{pk}/test", {}), 409, "CONFLICT")
    assert program.data("PATCH", f"/{pk}", {"active": True})["active"] is True
    refusal(program.call("PATCH", f"/{pk}", {"url": "https://10.0.0.1/"}), 400, "INVALID_REQUEST")
    before = WebhookEndpoint.objects.for_client(program.client).get().secret
    rotated = program.data("POST", f"/{pk}/rotate", {})
    now = WebhookEndpoint.objects.for_client(program.client).get()
    assert (now.secret, now.previous_secret) == (rotated["secret"], before)
    assert program.data("DELETE", f"/{pk}") == {"id": pk}
    refusal(program.call("GET", f"/{pk}"), 404, "NOT_FOUND")


def test_I1_the_same_key_makes_one_webhook(program):
    first = program.call("POST", "", {"url": URL}, **{"Idempotency-Key": "a"})
    again = program.call("POST", "", {"url": URL}, **{"Idempotency-Key": "a"})
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
    assert WebhookEndpoint.objects.for_client(program.client).count() == 1


@pytest.mark.usefixtures("open_doors")
def test_test_event_log_and_redelivery(program, acme, receiver):
    pk = program.data("POST", "", {"url": receiver.url()})["id"]
    endpoint = WebhookEndpoint.objects.for_client(acme).get()
    tested = program.data("POST", f"/{pk}/test", {"event": "campaign.completed"}, **{"Idempotency-Key": "t"})
    assert tested["status"] == "waiting"
    receiver.answers = [(500, {}), (200, {})]
    deliver()
    (row,) = program.call("GET", f"/{pk}/deliveries").json()["data"]
    assert (row["id"], row["event"], row["attempts"], row["response_status"]) == (
        tested["id"],
        "campaign.completed",
        1,
        500,
    )
    again = program.data("POST", f"/{pk}/deliveries/{row['id']}/redeliver", {})
    assert again["id"] == row["id"]
    deliver()
    whole = program.data("GET", f"/{pk}/deliveries/{row['id']}")
    assert [attempt["response_status"] for attempt in whole["attempt_log"]] == [500, 200]
    assert whole["body"] == receiver.got[0].body.decode() == receiver.got[1].body.decode()
    assert '"test":true' in whole["body"]
    assert whole["event_id"] == receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"]
    assert program.call("GET", f"/{pk}/deliveries?status=delivered").json()["meta"]["total"] == 1
    assert program.call("GET", f"/{pk}/deliveries?status=failed").json()["data"] == []
    assert program.call("GET", f"/{pk}/deliveries?event=topup.failed").json()["data"] == []
    refusal(program.call("GET", f"/{pk}/deliveries?status=maybe"), 400, "INVALID_REQUEST")
    refusal(program.call("POST", f"/{pk}/test", {"event": "nope"}), 400, "INVALID_REQUEST")
    receiver.answers = [(500, {})] * 2
    record_events(acme.pk, [("topup.failed", {"transaction_id": "T"})] * 2)
    deliver()
    since = (database_now() - timedelta(hours=1)).isoformat()
    assert program.data("POST", f"/{pk}/deliveries/redeliver", {"since": since}) == {"redelivered": 2}
    refusal(program.call("POST", f"/{pk}/deliveries/redeliver", {}), 400, "INVALID_REQUEST")
    deliver()
    assert all(row.state == "delivered" for row in deliveries(endpoint))


def test_T1_another_clients_webhook_is_like_none(acme, program, stranger):
    theirs = make_endpoint(acme, URL).endpoint
    record_events(acme.pk, [("topup.failed", {"transaction_id": "T"})])
    delivery = deliveries(theirs)[0]
    none = 987_654
    for method, path in (
        ("GET", "/{}"), ("PATCH", "/{}"), ("DELETE", "/{}"), ("POST", "/{}/rotate"), ("POST", "/{}/test"),
        ("GET", "/{}/deliveries"), ("POST", "/{}/deliveries/redeliver"), ("GET", f"/{{}}/deliveries/{delivery.pk}"),
        ("POST", f"/{{}}/deliveries/{delivery.pk}/redeliver"),
    ):  # fmt: skip
        for body in (None if method == "GET" else {},):
            foreign = stranger.call(method, path.format(theirs.pk), body)
            assert foreign.content == stranger.call(method, path.format(none), body).content
            refusal(foreign, 404, "NOT_FOUND")
    own = make_endpoint(stranger.client, URL).endpoint
    refusal(stranger.call("GET", f"/{own.pk}/deliveries/{delivery.pk}"), 404, "NOT_FOUND")
    assert fresh(theirs).active


@pytest.mark.parametrize("pk", ["0", "9" * 19, "9" * 40])
def test_U1_odd_ids_are_not_found(program, pk):
    refusal(program.call("GET", f"/{pk}"), 404, "NOT_FOUND")
    refusal(program.call("POST", f"/{pk}/deliveries/{pk}/redeliver", {}), 404, "NOT_FOUND")
