"""API & Webhooks: keys are made, shown once, listed, revoked."""

import re
import uuid
from datetime import UTC, datetime

import pytest

from accounts.models import ApiKey, Role
from accounts.queries import find_key
from tests.web.conftest import add_member

URL = "/app/settings/api-webhooks"
NEW = f"{URL}/keys/new"


def keys_of(client):
    return ApiKey.objects.for_client(client).order_by("-pk")


def fields(**changed):
    return {"token": str(uuid.uuid4()), "name": "Web shop", "scopes": ["messages:send"], **changed}


def shown(page: str, element: str) -> str:
    return re.search(rf'<code id="{element}">([^<]+)</code>', page)[1]


def test_T4_a_new_key_works_and_is_shown_once(acme, browser):
    response = browser.post(NEW, fields())
    page = response.content.decode()
    assert "no-store" in response["Cache-Control"]
    values = [shown(page, element) for element in ("api-key", "api-secret", "app-key")]
    assert find_key(values[0]).client == acme
    for path in (URL, NEW, "/app"):
        later = browser.get(path).content.decode()
        assert not any(value in later for value in values)
    assert f"{values[0][:16]}…" in browser.get(URL).content.decode()


def test_the_same_form_sent_twice_makes_one_key(acme, browser):
    before = keys_of(acme).count()
    form = fields()
    browser.post(NEW, form)
    again = browser.post(NEW, form)
    assert again["Location"] == URL
    assert "This form had created its key already." in browser.get(URL).content.decode()
    assert keys_of(acme).count() == before + 1


def test_what_was_chosen_is_kept(acme, browser):
    browser.post(NEW, fields(expires_on="2099-12-31", allowed_addresses="10.0.0.1\n192.0.2.0/24, 2001:db8::1"))
    key = keys_of(acme).first()
    assert key.name == "Web shop"
    assert key.scopes == ["messages:send"]
    assert key.expires_at == datetime(2099, 12, 31, 21, 0, tzinfo=UTC)  # midnight in Nairobi
    assert [address.split("/")[0] for address in key.allowed_addresses] == ["10.0.0.1", "192.0.2.0", "2001:db8::1"]
    assert key.created_by.email == "amina@acme.test"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": "  "}, "Name: This field is required."),
        ({"name": "x" * 81}, "Ensure this value has at most 80 characters"),
        ({"scopes": []}, "Choose at least one thing that the key may do."),
        ({"scopes": ["root"]}, "Select a valid choice."),
        ({"expires_on": "2020-01-01"}, "The key must expire in the future."),
        ({"expires_on": "tomorrow"}, "Write the day as 2026-12-31."),
        ({"allowed_addresses": "10.0.0.1 office"}, "“office” is no IP address or network."),
        ({"token": "x"}, "Enter a valid UUID."),
    ],
)
def test_a_refused_form_says_why_keeps_what_was_typed_and_makes_nothing(acme, browser, changed, sentence):
    before = keys_of(acme).count()
    response = browser.post(NEW, fields(**changed))
    page = response.content.decode()
    assert response.status_code == 422
    assert sentence in page
    assert "error-summary" in page
    if "name" not in changed:
        assert 'value="Web shop"' in page
    assert keys_of(acme).count() == before


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "99999-01-01"])
def test_the_ends_of_the_calendar_are_no_error(acme, browser, day):
    assert browser.post(NEW, fields(expires_on=day)).status_code in (200, 422)


def test_T4_a_revoked_key_is_refused_from_then_on(acme, browser):
    value = shown(browser.post(NEW, fields()).content.decode(), "api-key")
    key = keys_of(acme).first()
    ask = browser.get(f"{URL}/keys/{key.pk}/revoke").content.decode()
    assert "Revoke “Web shop”?" in ask
    assert find_key(value) is not None
    assert browser.post(f"{URL}/keys/{key.pk}/revoke")["Location"] == URL
    assert find_key(value) is None
    assert "Revoked" in browser.get(URL).content.decode()
    browser.post(f"{URL}/keys/{key.pk}/revoke")
    assert "had been revoked before" in browser.get(URL).content.decode()


def test_T1_keys_of_others_do_not_exist(acme, stranger, browser):
    theirs = keys_of(stranger).first()
    assert browser.post(f"{URL}/keys/{theirs.pk}/revoke").status_code == 404
    theirs.refresh_from_db(from_queryset=keys_of(stranger))
    assert theirs.revoked_at is None
    assert theirs.prefix not in browser.get(URL).content.decode()


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        (Role.ADMIN, 200, 200),
        (Role.DEVELOPER, 200, 200),
        (Role.SENDER, 403, 403),
        (Role.APPROVER, 403, 403),
        (Role.FINANCE, 403, 403),
        (Role.VIEWER, 403, 403),
    ],
)
def test_T3_roles(acme, role, reads, writes):
    browser = add_member(acme, role)
    assert browser.get(URL).status_code == reads
    assert browser.get(NEW).status_code == writes
    assert browser.post(NEW, fields()).status_code == writes


def test_the_page_names_the_client_and_a_call_that_fits(acme, browser, settings):
    settings.PUBLIC_URL = "https://sms.acme.test"
    page = browser.get(URL).content.decode()
    assert shown(page, "client-id") == str(acme.pk)
    assert f"https://sms.acme.test/api/{acme.pk}/messages/send" in page
    assert "Create New Key" in page


def test_the_list_costs_the_same_however_many_keys(acme, browser, django_assert_max_num_queries):
    for number in range(12):
        browser.post(NEW, fields(name=f"Key {number}"))
    with django_assert_max_num_queries(7):  # one of them for the webhooks below the keys
        browser.get(URL)
