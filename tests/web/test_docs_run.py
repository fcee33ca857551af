"""Run in simulation: the real view answers, and nothing is left of the call."""

import json
import re
from html import unescape

import pytest
from django.apps import apps
from django.test import Client as Browser

from accounts.models import Role
from contacts import services as contacts
from crm.docs import running
from crm.docs.reference import endpoints
from messaging.models import Message
from messaging.services.accept import Draft, accept_messages
from messaging.services.providers import add_route, connect_provider
from tests.web.conftest import add_member
from wallet.queries import balance_of

HTMX = {"HX-Request": "true"}
RUNNABLE = [one for one in endpoints() if running.can_run(one)]


def reply(response) -> tuple[int, dict]:
    """The status and the body printed in the reply."""
    html = response.content.decode()
    status = int(re.search(r"HTTP (\d+) after \d+ ms\. Nothing was sent, charged or kept\.", html)[1])
    text = unescape(re.search(r"<pre[^>]*><code>(.*?)</code></pre>", html.split('id="reply-')[1], re.DOTALL)[1])
    return status, json.loads(text.split("\n\n", 1)[1])


def counts() -> dict[str, int]:
    names = [
        m for app in ("accounts", "contacts", "wallet", "messaging") for m in apps.get_app_config(app).get_models()
    ]
    return {
        model.__name__: getattr(model._default_manager.all(), "unscoped", model._default_manager.all)().count()
        for model in names
        if model.__name__ != "RateCounter"
    }


@pytest.fixture
def road(db):
    account = connect_provider(name="Carrier", adapter="africastalking", credentials={"username": "u", "api_key": "k"})
    add_route(account=account)


def test_a_send_is_answered_as_it_would_be_and_leaves_nothing(acme, browser, road):
    before = counts()
    status, body = reply(browser.post("/docs/run/send-a-message", headers=HTMX))
    assert (status, body["status"], body["data"]["sender"], body["data"]["cost"]) == (200, "success", "HOSPITAL", 0)
    assert counts() == before
    assert balance_of(acme.pk).balance == 1049
    assert not Message.objects.for_client(acme).exists()


@pytest.mark.parametrize("endpoint", RUNNABLE, ids=lambda one: one.slug)
def test_every_call_runs_for_an_organisation_with_rows_and_one_without(acme, browser, road, endpoint):
    for fills in (False, True):
        if fills:
            group = contacts.create_group(client=acme, name="Staff")
            person = contacts.create_contact(client=acme, phone="0712345678", name="Amina")
            contacts.add_to_group(group=group, contact_ids=[person.pk])
            accept_messages(client=acme, drafts=[Draft("0712345678", "Karibu")])
        before = counts()
        response = browser.post(f"/docs/run/{endpoint.slug}", headers=HTMX)
        assert response.status_code == 200
        status, body = reply(response)
        assert status in (200, 400, 404, 409)
        assert set(body) & {"data", "error_code"}
        assert counts() == before


def test_what_is_typed_is_what_is_asked(acme, browser):
    accept_messages_of = browser.post(
        "/docs/run/send-a-message", {"body": '{"channel": "sms", "recipient": "12"}'}, headers=HTMX
    )
    assert reply(accept_messages_of)[0] == 400
    assert reply(browser.post("/docs/run/send-a-message", {"body": "{"}, headers=HTMX))[1]["error_code"] == (
        "INVALID_REQUEST"
    )
    status, body = reply(browser.post("/docs/run/list-messages", {"query": "per_page=7"}, headers=HTMX))
    assert (status, body["meta"]["per_page"]) == (200, 7)
    for wrong in ("x", "1/2", "9" * 90, "\x00", "é🎉", "../../client/balance"):
        assert reply(browser.post("/docs/run/read-a-contact", {"contact_id": wrong}, headers=HTMX))[0] == 404


def test_T1_an_id_of_others_is_not_found(acme, stranger, browser):
    theirs = contacts.create_contact(client=stranger, phone="0712345678", name="Zuri")
    assert reply(browser.post("/docs/run/read-a-contact", {"contact_id": theirs.pk}, headers=HTMX))[0] == 404


def test_without_javascript_it_is_a_page(acme, browser, road):
    assert "Run in simulation" in browser.get("/docs/reference/messages").content.decode()
    page = browser.get("/docs/run/send-a-message").content.decode()
    assert "254712345678" in page
    response = browser.post("/docs/run/send-a-message", {"body": '{"channel": "fax"}'})
    assert reply(response)[0] == 400
    assert "&quot;fax&quot;" in response.content.decode()


def test_what_reaches_outside_or_needs_a_file_cannot_be_run(browser):
    for slug in ("top-up-by-m-pesa", "import-contacts-from-a-file", "nothing"):
        assert browser.post(f"/docs/run/{slug}").status_code == 404
    assert "/docs/run/top-up-by-m-pesa" not in browser.get("/docs/reference/wallet").content.decode()


def test_T3_only_who_may_make_keys_runs_calls(acme):
    visitor = Browser()
    assert "Run in simulation" not in visitor.get("/docs/reference/messages").content.decode()
    assert visitor.post("/docs/run/send-a-message").status_code == 302
    viewer = add_member(acme, Role.VIEWER)
    assert "Run in simulation" not in viewer.get("/docs/reference/messages").content.decode()
    assert viewer.post("/docs/run/send-a-message").status_code == 403


def test_runs_are_limited(acme, browser, monkeypatch):
    monkeypatch.setattr(running, "RUNS_A_MINUTE", 0)
    page = browser.post("/docs/run/read-the-balance", headers=HTMX).content.decode()
    assert "That is enough for this minute." in page
