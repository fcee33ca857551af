"""A provider that its operator describes: what may be wrong is said, and no text of a message changes the request."""

import json
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client as Browser
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from messaging.providers.base import Callback, Credentials, HttpResponse, UnreadableCallback, UnusableCredentials
from messaging.providers.registry import get_adapter
from messaging.services.dry_run import HIDDEN, show_request
from messaging.services.providers import connect_provider
from tests.factories import PASSWORD
from tests.messaging.providers.cases import CREDENTIALS, FORM, batch

GENERIC = get_adapter("generic")
DESCRIBED = dict(CREDENTIALS["generic"])
BASE = "http://127.0.0.1:9/v1"
CASE = HttpResponse(200, (), b"[]")
NASTY = 'Zoë "1" & 50% {api_key}\r\nHost: x \\ </a> {to} 😀'


def ask(text=NASTY, **changes):
    message = replace(batch("+254711000001")[0], text=text)
    credentials = Credentials(DESCRIBED | changes)
    return GENERIC.for_account(credentials).request_for([message], credentials, BASE)


def test_a_json_body_is_filled_inside_its_strings():
    request = ask()

    assert (request.method, request.url) == ("POST", f"{BASE}/sms/sendsms")
    assert dict(request.headers) == {"h_api_key": "generic_canary", "Content-Type": "application/json"}
    assert json.loads(request.body) == {
        "mobile": "254711000001",
        "response_type": "json",
        "sender_name": "ACME",
        "service_id": 0,
        "message": NASTY,
    }


def test_a_form_and_a_query_are_encoded_value_by_value():
    form = ask(body_kind="form", body="to = {to}\nmessage = {text}\nkind = a b", query="key = {api_key}")

    assert parse_qsl(form.body.decode(), keep_blank_values=True) == [
        ("to", "+254711000001"),
        ("message", NASTY),
        ("kind", "a b"),
    ]
    assert parse_qsl(urlsplit(form.url).query) == [("key", "generic_canary")]
    assert dict(form.headers)["Content-Type"] == FORM


def test_a_get_carries_everything_in_its_address():
    request = ask(method="GET", body_kind="none", body="", path="/send/{to_digits}", query="m = {text}")

    parts = urlsplit(request.url)
    assert (request.method, request.body, parts.path) == ("GET", b"", "/v1/send/254711000001")
    assert parse_qsl(parts.query) == [("m", NASTY)]


@given(text=st.text(min_size=1))
def test_whatever_the_text_only_its_own_value_changes(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    wire = json.loads(ask(text).body)
    assert wire.pop("message") == text
    assert wire == {"mobile": "254711000001", "response_type": "json", "sender_name": "ACME", "service_id": 0}
    request = ask(text, method="GET", body_kind="none", body="", query="m = {text}\nlast = 1")
    assert parse_qsl(urlsplit(request.url).query, keep_blank_values=True) == [("m", text), ("last", "1")]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("path", "", "needs this"),
        ("path", "https://elsewhere.example/x", "only what follows the base URL"),
        ("path", "/send?x=1", "go into the query"),
        ("path", "/send/{phone}", "There is no placeholder {phone}"),
        ("query", "to {to}", "name = value"),
        ("headers", "h_api_key {api_key}", "name : value"),
        ("headers", "X-Text: {text}", "cannot travel in a header"),
        ("headers", "Content-Length: 5", "set by itself"),
        ("headers", "X Y: 5", "no header"),
        ("body", '{"a": ', "not JSON"),
        ("body", '"text"', "object or list"),
        ("body", '{"a": "{nobody}"}', "no placeholder {nobody}"),
        ("success", "", "how a success looks"),
        ("success", "fine", "no condition"),
        ("success", "a..b = 1", "no place in an answer"),
        ("id_at", "data[x]", "no place in an answer"),
        ("refusals", "1003 = wrong_number", "none of our codes"),
        ("refusal_at", "", "where the reason"),
        ("report_words", "DELIVRD = arrived", "not sent, delivered"),
        ("report_words", "UNDELIV = failed odd", "not sent, delivered"),
        ("report_words", "", "every message stays sent"),
        ("report_status_at", "", "where the status"),
        ("method", "PATCH", "Choose one of"),
        ("method", "GET", ""),
    ],
)
def test_each_mistake_is_said_in_a_sentence_at_its_field(field, value, words):
    problems = GENERIC.problems_with(DESCRIBED | {field: value})

    at = "body_kind" if (field, value) == ("method", "GET") else field
    assert words in problems[at]
    assert problems[at].endswith(".")


def test_an_account_that_cannot_be_read_sends_nothing_and_says_why():
    with pytest.raises(UnusableCredentials, match="body"):
        ask(body="{")
    broken = GENERIC.for_account(Credentials(DESCRIBED | {"body": "{"}))
    assert {one.kind for one in broken.outcomes_of(batch("+254711000001"), CASE)} == {"ambiguous"}
    with pytest.raises(UnreadableCallback):
        broken.parse_callback(Callback("delivery", "application/json", "", b"{}", {}))
    credentials = CREDENTIALS["generic"]
    with pytest.raises(UnusableCredentials, match="base_url"):
        GENERIC.for_account(credentials).request_for(batch("+254711000001"), credentials, "")


def test_a_report_by_get_or_form_is_read_as_the_json_one():
    described = Credentials(DESCRIBED | {"report_id_at": "id", "report_status_at": "s", "report_to_at": "n"})
    adapter = GENERIC.for_account(described)
    query = "id=7&s=delivrd&n=254711000001&ref=MSG-000009"

    for callback in (
        Callback("delivery", "", query, b"", {}, "GET"),
        Callback("delivery", FORM, "ref=MSG-000009", b"id=7&s=DELIVRD&n=254711000001", {}),
    ):
        (report,) = adapter.parse_callback(callback)
        assert (report.provider_message_id, report.status, report.recipient) == ("7", "delivered", "+254711000001")
        assert report.reference == "MSG-000009"


def test_without_a_place_for_the_id_our_own_is_used_and_reports_name_it():
    credentials = Credentials(
        DESCRIBED | {"id_at": "", "success": "text contains OK", "refusal_at": "", "refusals": ""}
    )
    adapter = GENERIC.for_account(credentials)

    (outcome,) = adapter.outcomes_of(batch("+254711000001"), replace(CASE, body=b"OK: queued"))

    assert (outcome.kind, outcome.provider_message_id) == ("accepted", "msg_1")


@pytest.fixture
def account(db):
    return connect_provider(name="Described", adapter="generic", credentials=DESCRIBED, base_url=BASE)


@pytest.fixture
def browser(db):
    browser = Browser()
    browser.force_login(User.objects.create_superuser("staff@tarishi.test", PASSWORD))
    return browser


def test_the_dry_run_shows_the_request_without_its_secrets(account):
    shown = show_request(account, to="+254711000001", text="Habari", sender="ACME")

    assert (shown.method, shown.url) == ("POST", f"{BASE}/sms/sendsms")
    assert dict(shown.headers)["h_api_key"] == HIDDEN
    assert '"message": "Habari"' in shown.body
    assert "canary" not in str(shown)


def test_the_page_shows_the_request_and_how_an_answer_would_be_read(account, browser):
    address = reverse("provider_dry_run", args=[account.pk])
    assert browser.get(address).status_code == 200
    form = {"to": "0711 000001 x", "sender": "ACME", "text": "Habari"}
    assert browser.post(address, form).status_code == 422

    answer = '[{"status_code": "1003", "message_id": "0"}]'
    page = browser.post(address, form | {"to": "+254711000001", "status": 200, "body": answer}).content.decode()

    assert "POST http://127.0.0.1:9/v1/sms/sendsms" in page
    assert "generic_canary" not in page
    assert "Refused for good (invalid_number)" in page


def test_the_page_is_for_staff(account, client):
    assert client.get(reverse("provider_dry_run", args=[account.pk])).status_code == 302
