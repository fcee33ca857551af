"""The public documentation: open to all, true to the code, and speaking of the reader's own account."""

import json
import re
import subprocess

import pytest
import yaml
from django.test import Client as Browser
from django.urls import get_resolver, resolve

from accounts.events import EVENTS
from accounts.models import Role
from accounts.services.keys import create_api_key
from crm.common.api.errors import DOMAIN_ERRORS, HTTP_ERRORS
from crm.docs.errors import BY_CODE
from crm.docs.moving import APP_VARIABLE, MOVES, SECRET_VARIABLE
from crm.docs.reference import endpoints, groups
from crm.docs.samples import KEY_VARIABLE, LANGUAGES, Caller
from crm.docs.views import GUIDES
from messaging.dialects.ground import UnknownPathView
from messaging.dialects.guides import GUIDES as DIALECTS
from messaging.dialects.mifumo import errors as mifumo
from messaging.dialects.paydunya import errors as paydunya
from messaging.dialects.smspresto import errors as smspresto
from messaging.dialects.smspresto.views import ACTIONS
from messaging.dialects.texin import errors as texin
from tests.web.conftest import add_member

pytestmark = pytest.mark.django_db

PAGES = [
    "/docs", "/docs/api", "/docs/errors", "/docs/search", *(f"/docs/{slug}" for slug in GUIDES),
    *(f"/docs/moving/{slug}" for slug in MOVES),
    *(f"/docs/reference/{slug}" for slug in ("messages", "contacts", "campaigns", "wallet", "webhooks")),
    *(f"/docs/errors/{code}" for code in BY_CODE),
]  # fmt: skip


def page(browser, path):
    response = browser.get(path)
    assert response.status_code == 200, path
    return response.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_public_and_its_links_and_anchors_lead_somewhere(path):
    browser = Browser()
    html = page(browser, path)
    for target in set(re.findall(r'href="(/docs[^"]*|/api/[^"]*|#[^"]*)"', html)):
        address, _, anchor = target.partition("#")
        there = page(browser, address) if address else html
        assert not anchor or f'id="{anchor}"' in there, (path, target)


def test_unknown_pages_are_404():
    for path in ("/docs/nothing", "/docs/errors/NOTHING", "/docs/reference/nothing", "/docs/moving/nothing"):
        assert Browser().get(path).status_code == 404


def test_every_described_call_is_documented_and_every_native_view_is_described():
    html = "".join(page(Browser(), f"/docs/reference/{slug}") for slug in groups())
    for endpoint in endpoints():
        assert f'id="{endpoint.slug}"' in html
        assert f"{endpoint.method} {endpoint.path}" in html
    documented = {(one.method, one.path) for one in endpoints()}
    for route, view in native_routes(get_resolver("crm.urls")):
        for method in ("get", "post", "put", "patch", "delete"):
            if hasattr(view.cls, method):
                assert (method.upper(), "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route)) in documented


def native_routes(resolver, prefix=""):
    """Dialects have documentation of their own; their views are no native ApiViews under /api/{client_id}/."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            yield from native_routes(entry, route)
        elif route.startswith("api/<int:client_id>/"):
            yield route, entry.callback


def test_every_error_code_that_the_api_answers_with_has_its_page():
    answered = {code for _, code in DOMAIN_ERRORS.values()} | set(HTTP_ERRORS.values())
    assert answered <= set(BY_CODE)
    assert BY_CODE["INSUFFICIENT_BALANCE"].when in page(Browser(), "/docs/errors/insufficient_balance")


def test_each_call_has_a_sample_in_five_languages():
    html = page(Browser(), "/docs/reference/messages")
    for language in LANGUAGES:
        assert html.count(f'data-language="{language}"') == len(groups()["messages"])


def test_a_member_reads_samples_with_their_own_id_sender_and_masked_key(acme, browser):
    key = create_api_key(client=acme, name="Shop", scopes=["messages:send"])
    html = page(browser, "/docs/reference/messages")
    assert f"/api/{acme.pk}/messages/send" in html
    assert html.count(f"your key {key.key.hint}") == 5 * len(groups()["messages"])
    assert "HOSPITAL" in html
    assert key.api_key not in html
    assert "/api/1/" not in html or acme.pk == 1


def test_a_role_without_keys_sees_no_part_of_one(acme):
    key = create_api_key(client=acme, name="Shop", scopes=["messages:send"])
    html = page(add_member(acme, Role.VIEWER), "/docs")
    assert key.key.prefix not in html
    assert f"/api/{acme.pk}/" in html


def test_a_member_reads_their_own_price_and_a_visitor_none(browser):
    assert "KES\u00a01.00" in page(browser, "/docs/prices")
    assert "KES" not in page(Browser(), "/docs/prices")


@pytest.mark.parametrize(
    ("asked", "url"),
    [("INSUFFICIENT_BALANCE", "/docs/errors/INSUFFICIENT_BALANCE"), ("idempotency", "/docs/conventions"),
     ("schedule_at", "/docs/reference/messages#send-a-message"), ("hash_hmac", "/docs/webhooks")],
)  # fmt: skip
def test_search_finds_without_javascript(asked, url):
    assert f'href="{url}"' in page(Browser(), f"/docs/search?q={asked}")


def test_search_survives_anything():
    for asked in ("", "%00", "zzzzqq", "%3Cscript%3E", "a" * 5000, "%ff"):
        html = page(Browser(), f"/docs/search?q={asked}")
        assert "<script>" not in html.lower()


def test_the_schema_is_served_as_json_and_yaml():
    found = Browser().get("/api/schema")
    assert found["Content-Type"] == "application/json"
    assert found.json()["openapi"].startswith("3.1")
    as_yaml = Browser().get("/api/schema", {"format": "yaml"})
    assert as_yaml["Content-Type"] == "application/yaml"
    assert yaml.safe_load(as_yaml.content)["paths"].keys() == found.json()["paths"].keys()


def test_only_the_interactive_page_may_set_styles():
    assert "style-src 'self' 'unsafe-inline'" in Browser().get("/docs/api")["Content-Security-Policy"]
    for path in ("/docs", "/docs/errors"):
        assert "unsafe-inline" not in Browser().get(path)["Content-Security-Policy"]


def test_the_frame_and_the_keys_page_lead_to_the_documentation(browser):
    for path in ("/app", "/app/settings/api-webhooks"):
        assert 'href="/docs"' in page(browser, path)


# --- moving here from another system ---

DIALECT_CODES = {
    "mifumo": {code for _, code in mifumo.ERRORS.values()},
    "texin": {str(status) for status in texin.ERRORS.values()},
    "paydunya": set(paydunya.CODES),
    "smspresto": {str(code) for code in smspresto.CODES},
}


def called(path):
    """The view that answers a documented path of a dialect, its placeholders filled."""
    return resolve(re.sub(r"\{\w+\}", "msg_1", path)).func.view_class


def test_every_dialect_has_a_page_and_the_index_leads_to_it():
    assert set(MOVES) == {guide.slug for guide in DIALECTS} - {"native"}
    index = page(Browser(), "/docs")
    for slug, move in MOVES.items():
        assert f'<a href="/docs/moving/{slug}">{move.title}</a>' in index
        assert f'href="/docs/moving/{slug}" aria-current="page"' in page(Browser(), f"/docs/moving/{slug}")


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_a_moving_page_shows_calls_that_exist_beside_native_ones(move):
    html = page(Browser(), f"/docs/moving/{move.slug}")
    for call in move.calls:
        view = called(call.path)
        assert view.__module__ == f"messaging.dialects.{move.slug}.views"
        assert not issubclass(view, UnknownPathView), call.path
        assert hasattr(view, call.method.lower()), call.path
        assert f"<code>{call.shown}</code>" in html
        assert bool(call.native) == bool(call.endpoint), call.native
        assert call.native or call.note, call.shown


def test_the_moving_pages_leave_out_no_call():
    shown = {called(call.path) for move in MOVES.values() for call in move.calls}
    for entry in get_resolver("crm.urls").url_patterns:
        for route in getattr(entry, "url_patterns", ()):
            view = getattr(route.callback, "view_class", None)
            if view and view.__module__.startswith("messaging.dialects.") and not issubclass(view, UnknownPathView):
                assert view in shown
    assert {call.action for call in MOVES["smspresto"].calls} == set(ACTIONS)


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_a_moving_page_explains_every_refusal_and_what_to_paste(move):
    assert {code for problem in move.problems for code in problem.codes} == DIALECT_CODES[move.slug]
    html = page(Browser(), f"/docs/moving/{move.slug}")
    for name, _ in move.guide.pastes:
        assert f"<code>{name}</code>" in html
    assert f'href="/app/settings/api-webhooks/compat?guide={move.slug}"' in html
    assert "style=" not in html


@pytest.mark.parametrize(
    ("asked", "slug"),
    [("moving mifumo", "mifumo"), ("INVALID_PHONE_FORMAT", "mifumo"), ("send_bulk_sms", "texin"),
     ("ERROR_117", "paydunya"), ("sender_addresss", "paydunya"), ("get-scheduled-total", "smspresto")],
)  # fmt: skip
def test_search_finds_the_moving_pages(asked, slug):
    assert f'href="/docs/moving/{slug}"' in page(Browser(), f"/docs/search?q={asked}")


def test_a_member_reads_the_main_call_with_their_sender_and_masked_key(acme, browser, settings):
    key = create_api_key(client=acme, name="Shop", scopes=["messages:send"])
    for slug, move in MOVES.items():
        html = page(browser, f"/docs/moving/{slug}")
        assert settings.PUBLIC_URL + move.guide.address in html
        assert f"your key {key.key.hint}" in html
        assert "HOSPITAL" in html
        assert key.api_key not in html


# Tells what curl is given, one argument a line, then its input where it reads any; answers as a login does.
_CURL = """curl() { printf '%s\\n' "$@" >&2; case "$*" in *@-*) cat >&2;; esac; printf '{"access_token": "T0KEN"}'; }
"""


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_the_shell_reads_the_main_call_as_it_is_meant(move):
    caller = Caller("https://crm.test", 1, sender="A$B`C\\D'E")
    (sample,) = move.samples(caller)
    environment = {KEY_VARIABLE: "key-1", SECRET_VARIABLE: "secret-2", APP_VARIABLE: "app-3", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-c", _CURL + sample.code], env=environment, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, done.stderr
    told = done.stderr
    assert "https://crm.test" + move.guide.address in told
    assert "key-1" in told
    if "api_secret" in (ours for _, ours in move.guide.pastes):
        assert "secret-2" in told
    if move.slug == "smspresto":
        assert f"from={caller.sender}" in told
        return
    body = json.loads(told[told.rindex("\n{\n") :])
    sent = body["send_sms_request"]["sms"][0]["from"] if move.slug == "paydunya" else body["sender_id"]
    assert sent == caller.sender
    if move.slug == "paydunya":
        assert body["send_sms_request"]["app_key"] == "app-3"
        assert "Authorization: Bearer T0KEN" in told


def test_every_webhook_event_is_shown_with_a_sample():
    html = page(Browser(), "/docs/webhooks")
    for name in EVENTS:
        assert f"<code>{name}</code>" in html
    assert "&quot;old_balance&quot;" in html
    assert 'href="/docs/webhooks"' in page(Browser(), "/docs/search?q=old_balance")
