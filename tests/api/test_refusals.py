"""Every documented error, reached by a real request; and nothing moved."""

import logging
from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from accounts import errors as _accounts_errors  # noqa: F401 - defines codes that the table of errors must have
from accounts.models import ApiKey, Client
from accounts.services.clients import suspend_client
from accounts.services.keys import revoke_api_key
from crm.common.api.errors import DOMAIN_ERRORS, HTTP_ERRORS
from crm.common.errors import DomainError
from messaging.models import Message
from tests.api.caller import Caller, fields_of, refusal
from tests.clock import wait_for_room_in_the_minute
from tests.factories import make_key
from wallet.models import LedgerEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def untouched(acme):
    """What the refused call must leave as it was: no message, no entry but the opening one, the same balance."""
    yield
    assert not Message.objects.unscoped().exists()
    assert LedgerEntry.objects.unscoped().filter(wallet_id=acme.client.pk).count() == 1
    Client.objects.update(state="active", rate_limit=None)
    assert Caller.balance(acme) == 10


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"channel": None}, "channel"),
        ({"channel": "fax"}, "channel"),
        ({"channel": "whatsapp"}, "channel"),
        ({"channel": "email", "recipient": "amina@acme.test"}, "subject"),
        ({"channel": ["sms"]}, "channel"),
        ({"recipient": None}, "recipient"),
        ({"recipient": ""}, "recipient"),
        ({"recipient": "12"}, "recipient"),
        ({"recipient": "0203000000"}, "recipient"),
        ({"recipient": ["254712345678"]}, "recipient"),
        ({"recipient": True}, "recipient"),
        ({"recipient": "2" * 255}, "recipient"),
        ({"sender": "NOTMINE"}, "sender"),
        ({"sender": "x" * 5000}, "sender"),
        ({"sender": {"name": "HOSPITAL"}}, "sender"),
        ({"body": None}, "body"),
        ({"body": ""}, "body"),
        ({"body": " \n"}, "body"),
        ({"body": "x" * 481}, "body"),
        ({"body": ["Karibu"]}, "body"),
        ({"schedule_at": "tomorrow"}, "schedule_at"),
        ({"schedule_at": "2020-01-01T00:00:00Z"}, "schedule_at"),
        ({"schedule_at": "2999-01-01T00:00:00Z"}, "schedule_at"),
        ({"schedule_at": "0001-01-01T00:00:00+14:00"}, "schedule_at"),
        ({"schedule_at": 5}, "schedule_at"),
        ({"reference": "x" * 101}, "reference"),
        ({"client_id": 999_999}, "client_id"),
        ({"client_id": "x"}, "client_id"),
        ({"client_id": 10**40}, "client_id"),
        ({"client_id": [1]}, "client_id"),
    ],
)
def test_messages_send_names_the_wrong_field(acme, untouched, change, field):
    body = refusal(acme.send(**change), 400, "INVALID_REQUEST")
    assert fields_of(body) == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": "Karibu"}, "recipients"),
        ({"message": "Karibu", "recipients": []}, "recipients"),
        ({"message": "Karibu", "recipients": "254712345678"}, "recipients"),
        ({"message": "Karibu", "recipients": {"0": "254712345678"}}, "recipients"),
        ({"message": "Karibu", "recipients": ["254712345678"] * 1001}, "recipients"),
        ({"message": "Karibu", "recipients": ["254712345678", None]}, "recipients.1"),
        ({"message": "Karibu", "recipients": ["254712345678", ["254712345678"]]}, "recipients.1"),
        ({"message": "Karibu", "recipient": ""}, "recipient"),
        ({"recipients": ["254712345678"]}, "message"),
        ({"message": "x" * 481, "recipients": ["254712345678"]}, "message"),
        ({"message": "Karibu", "recipients": ["254712345678"], "sender_id": "NOTMINE"}, "sender_id"),
        ({"message": "Karibu", "recipients": ["254712345678"], "client_id": 999_999}, "client_id"),
        ({"message": "Karibu", "recipients": ["12"]}, "recipients.0"),
    ],
)
def test_sms_send_names_the_wrong_field(acme, untouched, body, field):
    assert fields_of(refusal(acme.post("sms/send", body), 400, "INVALID_REQUEST")) == [field]


def test_a_bulk_call_with_nobody_left_says_why_for_each(acme, untouched):
    body = refusal(
        acme.post("sms/send", {"message": "Karibu", "recipients": ["12", "", "abc"]}), 400, "INVALID_REQUEST"
    )
    assert fields_of(body) == ["recipients.0", "recipients.1", "recipients.2"]
    assert "None of the recipients" in body["message"]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("sms/history", {"page": "0"}),
        ("sms/history", {"page": "-1"}),
        ("sms/history", {"page": "x"}),
        ("sms/history", {"page": "1.5"}),
        ("sms/history", {"page": "٣"}),
        ("sms/history", {"per_page": "0"}),
        ("sms/history", {"status": "lost"}),
        ("sms/history", {"channel": "fax"}),
        ("sms/history", {"from_date": "09/10/2025"}),
        ("sms/history", {"from_date": "2025-02-30"}),
        ("sms/history", {"to_date": "9999-12-31"}),
        ("sms/history", {"from_date": "0001-01-01"}),
        ("sms/history", {"recipient": "amina"}),
        ("sms/history", {"recipient": "\x00"}),
        ("sms/history", {"sender": "\x00"}),
        ("sms/history", {"reference": "x" * 300}),
        ("sms/history", {"campaign": "x"}),
        ("sms/history", {"cursor": "abc"}),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named(acme, path, params):
    assert fields_of(refusal(acme.get(path, params), 400, "INVALID_REQUEST")) == list(params)


@pytest.mark.parametrize("headers", [{}, {"X-API-KEY": ""}, {"X-API-KEY": "tk_live_00000000_x"}, {"X-API-KEY": "\xff"},
                                     {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"},
                                     {"Authorization": "Bearer"}])  # fmt: skip
def test_401_without_a_key_that_lives(acme, untouched, headers):
    for path in ("messages/send", "sms/send"):
        response = Browser().post(acme.url(path), {}, content_type="application/json", headers=headers)
        refusal(response, 401, "INVALID_API_KEY")
        assert response["WWW-Authenticate"] == "Bearer"
    refusal(Browser().get(acme.url("client/balance"), headers=headers), 401, "INVALID_API_KEY")


def test_401_for_the_secret_the_application_key_and_a_key_in_the_query(acme):
    issued = make_key(acme.client)
    for value in (issued.api_secret, issued.app_key):
        refusal(Browser().get(acme.url("client/balance"), headers={"X-API-KEY": value}), 401, "INVALID_API_KEY")
    refusal(Browser().get(acme.url("client/balance"), {"api_key": issued.api_key}), 401, "INVALID_API_KEY")


def test_401_from_the_next_request_after_revoking_and_after_expiry(acme):
    issued = make_key(acme.client, expires_at=timezone.now() + timedelta(hours=1))
    other = make_key(acme.client)
    for key in (issued, other):
        assert Browser().get(acme.url("client/balance"), headers={"X-API-KEY": key.api_key}).status_code == 200
    revoke_api_key(key=other.key)
    ApiKey.objects.unscoped().filter(pk=issued.key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    for key in (issued, other):
        refusal(Browser().get(acme.url("client/balance"), headers={"X-API-KEY": key.api_key}), 401, "INVALID_API_KEY")
    assert acme.get("client/balance").status_code == 200


@pytest.mark.parametrize("header", ["X-API-KEY", "X-API-Key", "x-api-key", "X-Api-Key"])
def test_T5_the_key_in_any_letter_case_and_as_a_bearer_token(acme, header):
    assert Browser().get(acme.url("client/balance"), headers={header: acme.key}).status_code == 200
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {acme.key}"}
        assert Browser().get(acme.url("client/balance"), headers=headers).status_code == 200


def test_using_a_key_is_noted(acme):
    acme.get("client/balance")
    assert timezone.now() - ApiKey.objects.unscoped().get().last_used_at < timedelta(seconds=10)


def test_M9_402_has_the_balance_and_no_effect(acme, untouched):
    body = refusal(acme.post("sms/send", {"message": "Karibu", "recipients": [f"25471234{n:04}" for n in range(11)]}),
                   402, "INSUFFICIENT_BALANCE")  # fmt: skip
    assert body["balance"] == 10
    assert body["message"] == "Your account balance is too low. Current balance: KES 10.00"
    assert isinstance(body["balance"], int | float)


def test_T1_another_clients_url_is_403_and_its_messages_look_unknown(acme, stranger):
    foreign = stranger.send(sender="ZURI").json()
    intruder = Caller.__new__(Caller)
    intruder.client, intruder.key, intruder.browser = stranger.client, acme.key, acme.browser
    refusal(intruder.get("client/balance"), 403, "UNAUTHORIZED")
    refusal(intruder.get(f"sms/status/{foreign['message_id']}"), 403, "UNAUTHORIZED")
    refusal(intruder.send(), 403, "UNAUTHORIZED")
    refusal(acme.browser.get("/api/999999/client/balance", headers={"X-API-KEY": acme.key}), 403, "UNAUTHORIZED")
    huge = acme.browser.get(f"/api/{10**60}/client/balance", headers={"X-API-KEY": acme.key})
    refusal(huge, 403, "UNAUTHORIZED")
    unknown = acme.get("sms/status/MSG-999999")
    refusal(unknown, 404, "NOT_FOUND")
    for identifier in (foreign["message_id"], foreign["id"]):
        assert acme.get(f"sms/status/{identifier}").content == unknown.content
    assert acme.get("sms/history").json()["data"] == []
    assert Message.objects.unscoped().count() == 1


@pytest.mark.parametrize(
    "identifier", ["0", "MSG-", "MSG-x", "9" * 19, "9" * 5000, "%00", "%ED%A0%80", "ä", "-1", "1%27--", " "]
)
def test_404_for_message_ids_of_every_kind(acme, identifier):
    refusal(acme.get(f"sms/status/{identifier}"), 404, "NOT_FOUND")


def test_403_for_a_suspended_client_with_the_reason(acme, untouched):
    suspend_client(client=acme.client, reason="Unpaid since May")
    assert "Unpaid since May" in refusal(acme.send(), 403, "UNAUTHORIZED")["message"]
    refusal(acme.post("campaigns", {"name": "x", "message": "y"}), 403, "UNAUTHORIZED")
    refusal(acme.post("contacts", {"name": "x", "phone": "0712000001"}), 403, "UNAUTHORIZED")


def test_a_suspended_client_reads_and_pays(acme):
    before = acme.balance()
    suspend_client(client=acme.client, reason="Unpaid since May")
    assert acme.balance() == before
    for path in ("sms/history", "contacts", "campaigns", "wallet/transactions"):
        assert acme.get(path).status_code == 200, path
    paid = refusal(acme.post("wallet/topup", {}), 400, "INVALID_REQUEST")  # judged as anybody's
    assert "amount" in [error["field"] for error in paid["errors"]]


def test_403_outside_the_scopes_of_the_key(acme, untouched):
    key = make_key(acme.client, scopes=["messages:read"])
    reader = Caller.__new__(Caller)
    reader.client, reader.key, reader.browser = acme.client, key.api_key, acme.browser
    assert reader.get("sms/history").status_code == 200
    assert "messages:send" in refusal(reader.send(), 403, "UNAUTHORIZED")["message"]
    refusal(reader.post("sms/send", {}), 403, "UNAUTHORIZED")
    refusal(reader.get("client/balance"), 403, "UNAUTHORIZED")


def test_403_outside_the_addresses_of_the_key(acme, settings):
    key = make_key(acme.client, allowed_addresses=["192.0.2.0/24"]).api_key

    def call(address, **headers):
        headers = {"X-API-KEY": key, **headers}
        return acme.browser.get(acme.url("client/balance"), headers=headers, REMOTE_ADDR=address)

    assert call("192.0.2.77").status_code == 200
    refusal(call("198.51.100.1"), 403, "UNAUTHORIZED")
    refusal(call("198.51.100.1", **{"X-Forwarded-For": "192.0.2.77"}), 403, "UNAUTHORIZED")
    settings.TRUSTED_PROXY_COUNT = 1
    assert call("198.51.100.1", **{"X-Forwarded-For": "10.0.0.1, 192.0.2.77"}).status_code == 200
    refusal(call("198.51.100.1", **{"X-Forwarded-For": "192.0.2.77, 10.0.0.1"}), 403, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "path", ["", "nothing", "sms", "sms/send/", "client/balance/", "sms/status/", "sms/status/1/2", "%00", "ä"]
)
def test_404_for_unknown_paths_with_and_without_a_key(acme, path):
    refusal(acme.get(path), 404, "NOT_FOUND")
    refusal(Browser().post(acme.url(path), "{", content_type="application/json"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path", ["/api/0/", "/api/1/", "/api/x/sms/send", "/api/-1/sms/send", "/api//sms/send", f"/api/{'9' * 5000}/x"]
)
def test_404_is_json_everywhere_under_api(db, path):
    refusal(Browser().get(path), 404, "NOT_FOUND")


def test_404_elsewhere_is_a_page(db):
    response = Browser().get("/apiary")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("path", "methods"), [("messages/send", "POST"), ("sms/send", "POST"), ("sms/history", "GET, HEAD"),
                          ("sms/status/1", "GET, HEAD"), ("client/balance", "GET, HEAD")],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_405_names_what_is_allowed(acme, path, methods, verb):
    if verb in methods:
        return
    for headers in ({}, {"Idempotency-Key": "order-7"}):
        response = acme.browser.generic(verb, acme.url(path), headers={"X-API-KEY": acme.key, **headers})
        refusal(response, 405, "METHOD_NOT_ALLOWED")
        assert response["Allow"] == methods


def test_400_for_a_host_that_is_not_ours(acme):
    refusal(acme.get("client/balance", Host="evil.example"), 400, "INVALID_REQUEST")


@pytest.mark.urls("tests.api.probes")
def test_500_is_the_documented_body_and_tells_nothing(acme, caplog):
    with caplog.at_level(logging.ERROR):
        response = acme.get("broken")
    refusal(response, 500, "SERVER_ERROR")
    assert b"0712345678" not in response.content
    assert "RuntimeError" in caplog.text


@pytest.mark.urls("tests.api.probes")
def test_T3_a_view_that_names_no_scope_serves_nobody(acme):
    refusal(acme.get("scopeless"), 403, "UNAUTHORIZED")


@pytest.mark.urls("tests.api.probes")
def test_times_and_money_are_printed_as_documented(acme):
    assert acme.get("values").content == (
        b'{"status":"success","at":"2025-10-09T14:30:00Z","half":0.13,"whole":50,'
        b'"data":{"at":"2025-10-09T14:30:00Z","half":0.13,"whole":50,"status":"own"}}'
    )


def test_L1_429_with_its_headers_for_refusals_too(acme, untouched):
    wait_for_room_in_the_minute()
    Client.objects.filter(pk=acme.client.pk).update(rate_limit=3)
    answers = [acme.get("client/balance"), acme.send(channel="fax"), acme.get("nothing"), acme.get("sms/status/0")]
    now = timezone.now().timestamp()
    assert [answer.status_code for answer in answers] == [200, 400, 404, 404]
    counted = [answers[0], answers[1], answers[3]]
    assert [answer["X-RateLimit-Limit"] for answer in counted] == ["3", "3", "3"]
    assert [answer["X-RateLimit-Remaining"] for answer in counted] == ["2", "1", "0"]
    assert all(now < int(answer["X-RateLimit-Reset"]) <= now + 61 for answer in counted)
    refused = acme.send()
    refusal(refused, 429, "RATE_LIMIT_EXCEEDED")
    assert (refused["X-RateLimit-Limit"], refused["X-RateLimit-Remaining"]) == ("3", "0")
    assert 1 <= int(refused["Retry-After"]) <= 60
    other = make_key(acme.client)
    assert Browser().get(acme.url("client/balance"), headers={"X-API-KEY": other.api_key}).status_code == 200


def test_L1_the_default_limit_is_the_settings(acme, settings):
    settings.API_RATE_PER_MINUTE = 7
    assert acme.get("client/balance")["X-RateLimit-Limit"] == "7"


def _subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def test_the_table_of_errors_is_complete():
    """A code of a service is in the table, or is something wrong in the request: 400. Codes in the table exist."""
    codes = {kind.code for kind in _subclasses(DomainError)}
    assert set(DOMAIN_ERRORS) <= codes
    for kind in _subclasses(DomainError):
        parents = {parent.code for parent in kind.__mro__ if hasattr(parent, "code")} - {DomainError.code}
        inherited = {DOMAIN_ERRORS[code] for code in parents if code in DOMAIN_ERRORS}
        assert {DOMAIN_ERRORS.get(kind.code)} == (inherited or {None}), f"{kind.__name__} has no row of its own"
    documented = {
        400: "INVALID_REQUEST", 401: "INVALID_API_KEY", 403: "UNAUTHORIZED", 404: "NOT_FOUND",
        405: "METHOD_NOT_ALLOWED", 413: "PAYLOAD_TOO_LARGE", 429: "RATE_LIMIT_EXCEEDED", 500: "SERVER_ERROR",
    }  # fmt: skip
    assert HTTP_ERRORS.items() >= documented.items()
