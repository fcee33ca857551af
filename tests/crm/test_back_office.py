"""The back office of clients, people and keys, through the browser of a member of staff."""

import re

import pytest
from django.contrib.admin.checks import check_admin_app
from django.test import Client as Browser
from django.urls import get_resolver

from accounts import queries
from accounts.models import ApiKey, Client, Membership, User, WebhookEndpoint
from tests.factories import PASSWORD, make_client, make_key
from wallet.models import Wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Browser:
    staff = User.objects.create_superuser("staff@tarishi.test", PASSWORD)
    browser = Browser()
    browser.force_login(staff)
    return browser


NEW = {"name": "Acme", "email": "amina@acme.test", "password": PASSWORD, "country": "KE", "currency": "",
       "time_zone": "", "sender_ids": "HOSPITAL, Taarifa-SMS", "rate_limit": ""}  # fmt: skip


def test_opening_a_client_gives_it_all_it_needs_and_shows_its_key_once(browser):
    page = browser.post("/staff/accounts/client/add/", NEW, follow=True).content.decode()
    client = Client.objects.get()
    found = queries.find_key(re.search(r"tk_live_\w+", page)[0])
    assert found.client == client
    assert Membership.objects.get().user.email == "amina@acme.test"
    assert Wallet.objects.for_client(client).exists()
    assert "tk_live" not in browser.get("/staff/accounts/client/").content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"country": "XX"}, "no country code"),
        ({"currency": "ABC"}, "no currency code"),
        ({"password": "password"}, "too common"),
        ({"password": ""}, "give a password"),
        ({"email": "x"}, "valid email"),
        ({"sender_ids": "no/slash"}, "cannot be a sender ID"),
        ({"name": ""}, "required"),
    ],
)
def test_a_wrong_field_is_named_and_opens_nothing(browser, change, words):
    answer = browser.post("/staff/accounts/client/add/", NEW | change)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Client.objects.exists()
    assert User.objects.count() == 1


def test_suspending_needs_a_reason_and_can_be_undone(browser):
    client = make_client()
    url, fields = f"/staff/accounts/client/{client.pk}/change/", {"name": "Acme", "contact_email": "a@acme.test"}
    assert "Say why" in browser.post(url, fields | {"suspend": "on"}).content.decode()
    client.refresh_from_db()
    assert client.is_active
    browser.post(url, fields | {"suspend": "on", "suspended_reason": "Unpaid"})
    client.refresh_from_db()
    assert (client.is_active, client.suspended_reason, client.contact_email) == (False, "Unpaid", "a@acme.test")
    browser.post(url, fields)
    client.refresh_from_db()
    assert (client.is_active, client.suspended_reason) == (True, "")


def test_keys_are_issued_and_revoked_and_no_digest_is_shown(browser):
    client = make_client()
    form = {"client": client.pk, "name": "Shop", "scopes": ["messages:send"], "addresses": "10.0.0.7/8\n"}
    page = browser.post("/staff/accounts/apikey/add/", form, follow=True).content.decode()
    key = ApiKey.objects.unscoped().get()
    assert queries.find_key(re.search(r"tk_live_\w+", page)[0]) == key
    assert (key.allowed_addresses, key.created_by.email) == (["10.0.0.0/8"], "staff@tarishi.test")
    for url in ("/staff/accounts/apikey/", f"/staff/accounts/apikey/{key.pk}/change/"):
        page = browser.get(url).content.decode()
        assert key.prefix in page
        for secret in (key.key_hash, key.secret_hash, key.app_key_hash):
            assert secret not in page
    browser.post("/staff/accounts/apikey/", {"action": "revoke", "_selected_action": [key.pk]})
    key = ApiKey.objects.unscoped().get()
    assert key.revoked_at is not None


def test_a_wrong_key_request_issues_nothing(browser):
    form = {"client": make_client().pk, "name": "Shop", "scopes": ["messages:send"], "addresses": "10.0.0.300"}
    assert "no IP address" in browser.post("/staff/accounts/apikey/add/", form).content.decode()
    assert not ApiKey.objects.unscoped().exists()


def test_keys_and_clients_cannot_be_deleted_or_edited_around(browser):
    key = make_key(make_client()).key
    assert browser.get(f"/staff/accounts/apikey/{key.pk}/delete/").status_code == 403
    assert browser.get(f"/staff/accounts/client/{key.client_id}/delete/").status_code == 403
    browser.post(f"/staff/accounts/apikey/{key.pk}/change/", {"name": "Other", "scopes": ["contacts"]})
    assert ApiKey.objects.unscoped().get().name == "Shop"


@pytest.mark.parametrize(
    "path", ["user", "user/add", "membership", "membership/add", "client", "client/add", "apikey", "apikey/add"]
)
def test_every_page_opens(browser, path):
    make_key(make_client())
    assert browser.get(f"/staff/accounts/{path}/").status_code == 200


def test_people_are_added_with_a_lower_case_address_once(browser):
    form = {"email": "Baraka@acme.test", "name": "Baraka", "password1": PASSWORD, "password2": PASSWORD}
    browser.post("/staff/accounts/user/add/", form)
    assert User.objects.filter(email="baraka@acme.test").count() == 1
    assert "already" in browser.post("/staff/accounts/user/add/", form).content.decode()
    user = User.objects.get(email="baraka@acme.test")
    assert browser.get(f"/staff/accounts/user/{user.pk}/change/").status_code == 200


HOOKS = "/staff/accounts/webhookendpoint/"


def hook_of(client) -> WebhookEndpoint:
    return WebhookEndpoint.objects.for_client(client).get()


def test_a_webhook_is_set_up_for_a_client_and_its_secret_shown_once(browser):
    client = make_client()
    fields = {"client": client.pk, "url": "https://example.com/hook", "events": ["message.delivered"], "format": "flat"}
    page = browser.post(f"{HOOKS}add/", fields, follow=True).content.decode()
    endpoint = hook_of(client)
    assert (endpoint.url, endpoint.events, endpoint.format) == (fields["url"], fields["events"], "flat")
    assert endpoint.secret in page.replace("&#x3D;", "=").replace("&amp;", "&")
    assert "whsec_" not in browser.get(f"{HOOKS}{endpoint.pk}/change/").content.decode()


def test_a_webhook_may_not_point_inside(browser):
    client = make_client()
    fields = {"client": client.pk, "url": "https://127.0.0.1/hook", "events": ["*"], "format": "envelope"}
    page = browser.post(f"{HOOKS}add/", fields).content.decode()
    assert "errorlist" in page
    assert not WebhookEndpoint.objects.for_client(client).exists()


def test_a_webhook_is_changed_paused_and_given_a_new_secret_but_never_deleted_here(browser):
    client = make_client()
    fields = {"client": client.pk, "url": "https://example.com/hook", "events": ["*"], "format": "envelope"}
    browser.post(f"{HOOKS}add/", fields)
    before = hook_of(client)
    browser.post(f"{HOOKS}{before.pk}/change/", fields | {"events": ["balance.low"], "active": ""})
    after = hook_of(client)
    assert (after.events, after.active) == (["balance.low"], False)
    browser.post(HOOKS, {"action": "rotate", "_selected_action": [before.pk]})
    assert hook_of(client).secret != before.secret
    assert hook_of(client).previous_secret == before.secret
    assert browser.post(f"{HOOKS}{before.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_rate_limit_of_a_client_is_set_here(browser):
    client = make_client()
    url, fields = f"/staff/accounts/client/{client.pk}/change/", {"name": "Acme", "contact_email": "a@acme.test"}
    browser.post(url, fields | {"rate_limit": "900"})
    client.refresh_from_db()
    assert client.rate_limit == 900
    assert "errorlist" in browser.post(url, fields | {"rate_limit": "0"}).content.decode()
    client.refresh_from_db()
    assert client.rate_limit == 900


def test_the_pages_of_the_back_office_pass_the_checks_that_come_before_the_url_map_finds_them():
    assert get_resolver().url_patterns
    assert check_admin_app(None) == []
