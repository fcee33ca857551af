"""What holds for every page: who may open it, its headers, nothing inline, and the frame around it."""

import re

import pytest
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Role, User
from crm.context_processors import NAVIGATION
from tests.web.conftest import add_member

SAMPLE_VALUES = {"int": "1", "slug": "a", "str": "a", "uuid": "00000000-0000-0000-0000-000000000000", "path": "a"}


def _routes(resolver: URLResolver, prefix: str = "") -> list[tuple[str, object]]:
    found = []
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            found.append(("/" + re.sub(r"<(\w+):\w+>", lambda kind: SAMPLE_VALUES[kind[1]], route), entry.callback))
        elif not route.startswith("staff/"):
            found += _routes(entry, route)
    return found


PAGES = [(path, view) for path, view in _routes(get_resolver()) if not path.startswith("/api/")]
GUARDED = [path for path, view in PAGES if not getattr(view, "is_public", False)]


def test_T3_every_page_says_who_may_open_it():
    silent = [path for path, view in PAGES if not (hasattr(view, "permission") or getattr(view, "is_public", False))]
    assert silent == []


@pytest.mark.parametrize("path", GUARDED)
def test_A1_a_page_sends_a_visitor_to_sign_in_and_back(db, path):
    response = Browser().get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/login?next=" + path.replace("?", "%3F"))


@pytest.mark.parametrize("path", [path for path, view in PAGES if getattr(view, "permission", "")])
def test_a_person_without_organisation_is_told_what_to_do(db, django_user_model, path):
    browser = Browser()
    browser.force_login(django_user_model.objects.create_user("nobody@acme.test"))
    assert browser.get(path)["Location"] == "/no-organisation"


@pytest.mark.parametrize(
    ("shown", "back"),
    [("http://testserver/app/campaigns/new?x=1", "/app/campaigns/new%3Fx%3D1"), ("https://evil.test/app", "/")],
)
def test_a_fragment_for_a_visitor_leads_to_sign_in_and_back_to_the_page_that_was_open(db, shown, back):
    response = Browser().get("/app", headers={"HX-Request": "true", "HX-Current-URL": shown})
    assert response.status_code == 401
    assert response["HX-Redirect"] == f"/login?next={back}"


@pytest.mark.parametrize(
    "path", ["/app", "/app/settings/api-webhooks", "/app/settings/api-webhooks/keys/new", "/password/change", "/nope"]
)
def test_U6_pages_carry_a_strict_policy_and_nothing_inline(browser, path):
    response = browser.get(path)
    policy = response["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    assert "style-src 'self';" in policy + ";"
    assert "unsafe" not in policy
    page = response.content.decode()
    assert_nothing_inline(page)
    assert page.count("<h1") == 1


@pytest.mark.parametrize("path", ["/login", "/register", "/login/inactive", "/nope"])
def test_U6_public_pages_have_nothing_inline_either(db, path):
    page = Browser().get(path).content.decode()
    assert_nothing_inline(page)
    assert page.count("<h1") == 1


def assert_nothing_inline(page: str) -> None:
    assert " style=" not in page
    assert "<style" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"\son\w+=", page)
    assert "hx-on" not in page
    assert "//" not in re.sub(
        r"https?://(testserver|127\.0\.0\.1|localhost)", "", "".join(re.findall(r'src="[^"]*"', page))
    )


def test_the_navigation_shows_what_the_role_may_open_and_marks_where_one_is(acme, browser):
    page = browser.get("/app/settings/api-webhooks").content.decode()
    for place in NAVIGATION:
        assert f'href="{place.path}"' in page
    assert page.count('aria-current="page"') == 2  # in the rail and in the menu of a phone
    finance = add_member(acme, Role.FINANCE).get("/app").content.decode()
    assert 'href="/app/wallet"' in finance
    assert 'href="/app/contacts"' not in finance
    assert 'href="/app/settings/api-webhooks"' not in finance


@pytest.mark.parametrize("path", [p.path for top in NAVIGATION for p in (top, *top.below)])
def test_the_navigation_has_no_dead_link(browser, path):
    assert browser.get(path).status_code == 200


def test_the_balance_is_on_every_page_and_turns_to_low(acme, browser):
    page = browser.get("/app/settings/api-webhooks").content.decode()
    assert "KES\xa01,049.00" in page
    assert "pill-low" not in page
    acme.low_balance_micros = 2_000_000_000
    acme.save()
    assert "pill-low" in browser.get("/app/settings/api-webhooks").content.decode()


def test_simulation_and_suspension_are_on_every_page(acme, browser):
    acme.simulation = True
    acme.save()
    assert "Simulation: nothing is sent or charged" in browser.get("/app").content.decode()
    acme.simulation, acme.state, acme.suspended_reason = False, "suspended", "unpaid bill <42>"
    acme.save()
    page = browser.get("/app").content.decode()
    assert "This account is suspended: unpaid bill &lt;42&gt;." in page
    assert "Simulation" not in page


def test_a_role_without_permission_gets_a_sentence(acme):
    response = add_member(acme, Role.VIEWER).get("/app/settings/api-webhooks/keys/new")
    assert response.status_code == 403
    assert "with the role Viewer" in response.content.decode()


def test_colours_are_kept_in_a_cookie_and_printed_first(browser):
    response = browser.post("/theme", {"theme": "dark", "next": "/app?x=1"})
    assert response["Location"] == "/app?x=1"
    assert 'data-theme="dark"' in browser.get("/app").content.decode()
    browser.post("/theme", {"theme": "", "next": "/app"})
    assert "data-theme" not in browser.get("/app").content.decode()


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test", "javascript:alert(1)", ""])
def test_the_colour_form_leads_nowhere_else(browser, target):
    assert browser.post("/theme", {"theme": "neon", "next": target})["Location"] == "/"


def test_brand_is_a_setting(browser, settings):
    settings.BRAND_NAME = "Ujumbe Plus"
    page = browser.get("/app").content.decode()
    assert "Ujumbe Plus" in page
    assert "Tarishi" not in page


def test_the_error_page_of_a_broken_view_needs_nothing(db):
    from django.template.loader import render_to_string

    page = render_to_string("500.html")
    assert "Before you repeat something that sends or pays" in page
    assert_nothing_inline(page)


def test_a_refusal_names_what_is_missing_and_whom_to_ask(acme):
    viewer = add_member(acme, Role.VIEWER)
    refused = viewer.get("/app/settings/team/invite")
    text = " ".join(refused.content.decode().split())
    assert refused.status_code == 403
    assert "Ask amina@acme.test (Owner) for: Invite people and give roles." in text
    User.objects.filter(email="amina@acme.test").update(is_active=False)
    assert "Ask an owner or admin" in viewer.get("/app/settings/team/invite").content.decode()


@pytest.mark.parametrize("path", ["/security/app", "/password/change", "/app/settings/security"])
def test_pages_of_security_are_found_below_the_settings(browser, path):
    page = browser.get(path, follow=True).content.decode()
    assert page.count('href="/app/settings/security" aria-current="page"') >= 1


def test_visitors_may_register_from_every_public_page_where_it_is_open(db, settings):
    assert 'btn btn-primary only-wide" href="/register"' in Browser().get("/pricing").content.decode()
    settings.REGISTRATION = "closed"
    assert 'href="/register"' not in Browser().get("/").content.decode()
