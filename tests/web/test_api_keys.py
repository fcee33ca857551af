"""API & Webhooks: keys are made, shown once, listed, rotated, revoked."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import ApiKey, Role
from accounts.queries import find_key
from tests.web.conftest import add_member

URL = "/app/settings/api-webhooks"
NEW = f"{URL}/keys/new"


def keys_of(client):
    return ApiKey.objects.for_client(client).order_by("-pk")


def fields(**changed):
    return {"token": str(uuid.uuid4()), "name": "Web shop", "mode": "live", "scopes": ["messages:send"], **changed}


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
    assert f"{values[0][:16]}…{values[0][-4:]}" in browser.get(URL).content.decode()


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


def make_key(browser, **changed) -> tuple[str, int]:
    """The value and the id of a key made by the page."""
    value = shown(browser.post(NEW, fields(**changed)).content.decode(), "api-key")
    return value, find_key(value).pk


def used(acme, pk: int, **ago: int) -> None:
    keys_of(acme).filter(pk=pk).update(last_used_at=timezone.now() - timedelta(**ago))


def test_a_key_can_be_for_simulation_alone(acme, browser):
    value, pk = make_key(browser, mode="simulation")
    assert value.startswith("tk_test_")
    assert keys_of(acme).get(pk=pk).simulation
    assert find_key(value).client.simulation
    acme.refresh_from_db()
    assert not acme.simulation
    assert "Simulation" in browser.get(URL).content.decode()
    assert browser.post(NEW, fields(mode="dry")).status_code == 422


def test_the_file_holds_the_values_once_shown_and_nothing_of_others(acme, browser):
    page = browser.post(NEW, fields()).content.decode()
    values = {
        name: shown(page, element)
        for name, element in (("api_key", "api-key"), ("api_secret", "api-secret"), ("app_key", "app-key"))
    }
    assert "I stored it" in page
    response = browser.post(f"{URL}/keys/env", values)
    assert response["Content-Disposition"] == 'attachment; filename="tarishi.env"'
    lines = dict(line.split("=", 1) for line in response.content.decode().splitlines())
    assert lines["TARISHI_API_KEY"] == values["api_key"]
    assert lines["TARISHI_API_SECRET"] == values["api_secret"]
    assert lines["TARISHI_APP_KEY"] == values["app_key"]
    assert lines["TARISHI_CLIENT_ID"] == str(acme.pk)
    assert browser.post(f"{URL}/keys/env", values | {"api_key": "x\nTARISHI=1"})["Location"] == URL


def test_T4_both_keys_work_until_the_deadline_then_only_the_new_one(acme, browser):
    old, pk = make_key(browser, allowed_addresses="10.0.0.1")
    ask = browser.get(f"{URL}/keys/{pk}/rotate").content.decode()
    assert re.search(r'value="24h"[^>]*checked', ask)
    page = browser.post(f"{URL}/keys/{pk}/rotate", {"overlap": "1h"}).content.decode()
    new = shown(page, "api-key")
    assert find_key(old) is not None
    took_over = find_key(new)
    assert (took_over.name, took_over.scopes, took_over.allowed_addresses) == (
        "Web shop", ["messages:send"], ["10.0.0.1"],
    )  # fmt: skip
    listed = browser.get(URL).content.decode()
    assert re.search(r"Ends in\s+(1\s*hour|59\s*minutes)", listed.replace("\xa0", " "))
    assert f"{took_over.hint} has taken over" in listed
    keys_of(acme).filter(pk=pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert find_key(old) is None
    assert find_key(new) is not None


@pytest.mark.parametrize(("overlap", "hours"), [("now", 0), ("1h", 1), ("24h", 24), ("7d", 168)])
def test_how_long_the_old_key_works_on(acme, browser, overlap, hours):
    old, pk = make_key(browser)
    browser.post(f"{URL}/keys/{pk}/rotate", {"overlap": overlap})
    end = keys_of(acme).get(pk=pk).expires_at
    assert abs(end - timezone.now() - timedelta(hours=hours)) < timedelta(minutes=1)
    assert (find_key(old) is not None) == bool(hours)


def test_a_rotation_never_prolongs_a_key(acme, browser):
    _, pk = make_key(browser)
    end = timezone.now() + timedelta(minutes=30)
    keys_of(acme).filter(pk=pk).update(expires_at=end)
    page = browser.post(f"{URL}/keys/{pk}/rotate", {"overlap": "7d"}).content.decode()
    assert keys_of(acme).get(pk=pk).expires_at == end
    assert find_key(shown(page, "api-key")).expires_at == end


def test_a_key_is_rotated_once(acme, browser):
    _, pk = make_key(browser)
    count = keys_of(acme).count()
    assert browser.post(f"{URL}/keys/{pk}/rotate", {"overlap": "later"}).status_code == 422
    browser.post(f"{URL}/keys/{pk}/rotate", {"overlap": "24h"})
    assert browser.post(f"{URL}/keys/{pk}/rotate", {"overlap": "24h"})["Location"] == URL
    assert keys_of(acme).count() == count + 1
    browser.post(f"{URL}/keys/{pk}/revoke")
    assert browser.post(f"{URL}/keys/{pk}/rotate", {"overlap": "24h"})["Location"] == URL
    assert keys_of(acme).count() == count + 1


def test_T1_a_key_of_others_cannot_be_rotated(acme, stranger, browser):
    theirs = keys_of(stranger).first()
    assert browser.post(f"{URL}/keys/{theirs.pk}/rotate", {"overlap": "now"}).status_code == 404
    theirs.refresh_from_db(from_queryset=keys_of(stranger))
    assert theirs.expires_at is None


def test_a_key_in_use_is_revoked_only_by_its_name(acme, browser):
    value, pk = make_key(browser)
    used(acme, pk, hours=23)
    address = f"{URL}/keys/{pk}/revoke"
    assert "used this key in the last 24 hours" in browser.get(address).content.decode()
    for wrong in ({}, {"name": ""}, {"name": "web shop"}):
        assert browser.post(address, wrong).status_code == 422
        assert find_key(value) is not None
    assert browser.post(address, {"name": " Web shop "})["Location"] == URL
    assert find_key(value) is None


def test_a_key_unused_for_long_is_pointed_out(acme, browser):
    _, pk = make_key(browser)
    used(acme, pk, days=89)
    assert "Not used for 90 days" not in browser.get(URL).content.decode()
    used(acme, pk, days=91)
    assert browser.get(URL).content.decode().count("Not used for 90 days") == 1


def test_the_list_tells_whence_and_for_what_a_key_was_last_used(acme, browser):
    value, pk = make_key(browser)
    browser.post(f"/api/{acme.pk}/messages/send", {}, content_type="application/json", headers={"X-API-KEY": value})
    page = browser.get(URL).content.decode()
    assert "127.0.0.1" in page
    assert "POST messages/send" in page
