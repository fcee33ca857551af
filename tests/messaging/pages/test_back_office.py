"""The operator's pages: credentials go in and never come out, history cannot be touched."""

import pytest
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import User
from messaging.models import Campaign, Message, MessageEvent, ProviderAccount, ProviderCallback, Route, SenderId
from messaging.services.providers import rest_account
from messaging.services.reports import store_callback
from tests.messaging.pages.test_live import start, submit

SECRET = "canary-7f3a-secret"


@pytest.fixture
def staff(db) -> Browser:
    browser = Browser()
    browser.force_login(User.objects.create_superuser("staff@else.test", "correct-horse-7"))
    return browser


def url(model, action, *args):
    return reverse(f"admin:messaging_{model._meta.model_name}_{action}", args=args)


def account_fields(**changes):
    fields = {
        "name": "Main",
        "adapter": "africastalking",
        "is_active": "on",
        "base_url": "",
        "batch_size": "",
        "africastalking__username": "acme",
        "africastalking__api_key": SECRET,
        "africastalking__endpoint": "",
    }
    return fields | changes


def test_an_account_is_connected_and_its_key_never_shown_again(staff):
    assert staff.get(url(ProviderAccount, "add")).status_code == 200
    assert staff.post(url(ProviderAccount, "add"), account_fields()).status_code == 302
    account = ProviderAccount.objects.get()
    assert account.credentials == {"username": "acme", "api_key": SECRET}
    page = staff.get(url(ProviderAccount, "change", account.pk)).content.decode()
    assert SECRET not in page
    assert 'value="acme"' not in page
    for kind in ("delivery", "optout"):
        assert f"/callbacks/africastalking/{account.callback_token}/{kind}" in page
    assert SECRET not in staff.get(url(ProviderAccount, "changelist")).content.decode()


def test_an_empty_field_keeps_the_stored_value_and_a_new_one_replaces_it(staff, provider):
    before = provider.credentials
    path = url(ProviderAccount, "change", provider.pk)
    empty = {"africastalking__username": "", "africastalking__api_key": ""}
    assert staff.post(path, account_fields(name="Renamed", **empty)).status_code == 302
    provider.refresh_from_db()
    assert (provider.name, provider.credentials) == ("Renamed", before)
    assert staff.post(path, account_fields(africastalking__username="")).status_code == 302
    provider.refresh_from_db()
    assert provider.credentials == before | {"api_key": SECRET}


def test_missing_credentials_are_refused(staff):
    answer = staff.post(url(ProviderAccount, "add"), account_fields(africastalking__api_key=""))
    assert answer.status_code == 200
    assert "needs this." in answer.content.decode()
    assert not ProviderAccount.objects.exists()


def test_wake_now_ends_a_rest(staff, provider):
    rest_account(account_id=provider.pk, reason="Connection refused")
    page = staff.get(url(ProviderAccount, "changelist")).content.decode()
    assert "Resting until" in page
    assert "Connection refused" in page
    staff.post(url(ProviderAccount, "changelist"), {"action": "wake_now", "_selected_action": [provider.pk]})
    provider.refresh_from_db()
    assert (provider.rest_until, provider.rest_level) == (None, 0)
    assert "Working" in staff.get(url(ProviderAccount, "changelist")).content.decode()


def test_sender_ids_are_approved_and_rejected(staff, acme):
    pending = SenderId.objects.create(client=acme, name="SHULE")
    staff.post(url(SenderId, "changelist"), {"action": "approve", "_selected_action": [pending.pk]})
    pending.refresh_from_db()
    assert pending.state == "approved"
    staff.post(url(SenderId, "changelist"), {"action": "reject", "_selected_action": [pending.pk]})
    pending.refresh_from_db()
    assert (pending.state, pending.is_default) == ("rejected", False)


def test_sender_ids_are_made_by_the_same_rule_as_everywhere(staff, acme):
    add = url(SenderId, "add")
    wrong = staff.post(add, {"client": acme.pk, "name": "a", "state": "approved"})
    assert "cannot be a sender ID" in wrong.content.decode()
    assert (
        staff.post(add, {"client": acme.pk, "name": "SHULE", "state": "approved", "is_default": "on"}).status_code
        == 302
    )
    senders = dict(SenderId.objects.for_client(acme).values_list("name", "is_default"))
    assert senders == {"HOSPITAL": False, "SHULE": True}
    shule = SenderId.objects.for_client(acme).get(name="SHULE")
    staff.post(url(SenderId, "change", shule.pk), {"state": "rejected"})
    shule.refresh_from_db()
    assert (shule.state, shule.is_default) == ("rejected", False)


def test_history_is_shown_and_cannot_be_changed(staff, draft, provider):
    start(draft)
    [pk] = submit(provider, "accepted")
    form = "application/x-www-form-urlencoded"
    store_callback(account=provider, kind="delivery", content_type=form, query="", body=b"id=ATX1&status=Success")
    event = MessageEvent.objects.unscoped().filter(message=pk).first()
    callback = ProviderCallback.objects.get()
    for model, row in ((Campaign, draft.pk), (Message, pk), (MessageEvent, event.pk), (ProviderCallback, callback.pk)):
        assert staff.get(url(model, "changelist")).status_code == 200
        assert staff.get(url(model, "changelist"), {"q": "7"}).status_code == 200
        assert staff.get(url(model, "change", row)).status_code == 200
        assert staff.post(url(model, "change", row), {"text": "x"}).status_code == 403
        assert staff.post(url(model, "delete", row), {"post": "yes"}).status_code == 403
        assert staff.get(url(model, "add")).status_code == 403
    assert "status=Success" in staff.get(url(ProviderCallback, "change", callback.pk)).content.decode()


def test_routes_are_kept(staff, provider):
    fields = {"channel": "sms", "country": "KE", "sender": "", "account": provider.pk, "preference": 1}
    assert staff.post(url(Route, "add"), fields).status_code == 302
    assert "sms KE any sender" in staff.get(url(Route, "changelist")).content.decode()


def test_members_do_not_reach_the_back_office(browser, provider):
    assert browser.get(url(ProviderAccount, "changelist")).status_code == 302
