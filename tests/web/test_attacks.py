"""Attacks from outside on the pages: what a hostile visitor, member or file may try."""

import re

import pytest
from django.conf import settings as django_settings
from django.test import Client as Browser

from accounts.models import AuditEntry, Membership, Role, User
from contacts.models import Contact
from tests.web.conftest import PASSWORD, add_member, sign_in
from wallet.models import Wallet


def test_A1_signing_in_makes_a_new_session_so_that_a_planted_one_is_worth_nothing(acme):
    browser = Browser()
    browser.get("/login")
    session = browser.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    browser.cookies[django_settings.SESSION_COOKIE_NAME] = planted
    browser.post("/login", {"login": "amina@acme.test", "password": PASSWORD})
    assert browser.get("/app").status_code == 200
    assert browser.session.session_key != planted
    thief = Browser()
    thief.cookies[django_settings.SESSION_COOKIE_NAME] = planted
    assert thief.get("/app").status_code == 302


def test_A1_signing_out_ends_the_session_on_the_server(browser):
    kept = browser.cookies[django_settings.SESSION_COOKIE_NAME].value
    browser.post("/logout")
    thief = Browser()
    thief.cookies[django_settings.SESSION_COOKIE_NAME] = kept
    assert thief.get("/app").status_code == 302


EXTRA = {
    "is_staff": "on", "is_superuser": "on", "is_active": "", "role": "owner", "client": "2", "client_id": "2",
    "state": "active", "balance_micros": "9000000000", "balance": "9000", "currency": "USD", "country": "TZ",
    "rate_limit": "1000000", "is_confirmed": "on", "created_at": "2000-01-01", "cost_micros": "0", "id": "2", "pk": "2",
}  # fmt: skip


def test_T3_what_a_form_does_not_ask_for_is_not_taken(browser, acme, stranger):
    user = User.objects.get(email="amina@acme.test")
    browser.post("/app/settings/profile", {"name": "Amina", "language": "en", "theme": "", "density": "touch"} | EXTRA)
    browser.post(
        "/app/settings/organisation",
        {"name": "Acme", "time_zone": "Africa/Nairobi", "language": "en"} | EXTRA,
    )
    browser.post("/app/contacts/new", {"phone": "0712000001", "name": "Juma"} | EXTRA)
    user.refresh_from_db()
    acme.refresh_from_db()
    assert (user.name, user.is_staff, user.is_superuser, user.is_active) == ("Amina", False, False, True)
    assert (acme.currency, acme.country, acme.rate_limit, acme.state) == ("KES", "KE", None, "active")
    assert Wallet.objects.for_client(acme).get().balance_micros == 1_049_000_000
    assert Contact.objects.for_client(acme).get().name == "Juma"
    assert not Contact.objects.for_client(stranger).exists()


def test_T3_registering_makes_nobody_staff(db):
    Browser().post(
        "/register",
        {"name": "Zuri", "organisation": "Shop", "phone": "+254733000102", "email": "z@shop.test",
         "password1": PASSWORD} | EXTRA,
    )  # fmt: skip
    user = User.objects.get(email="z@shop.test")
    assert (user.is_staff, user.is_superuser, user.is_confirmed) == (False, False, False)


def test_T3_nobody_raises_their_own_role(acme):
    baraka = add_member(acme, Role.SENDER)
    member = Membership.objects.get(user__email="baraka@acme.test")
    baraka.post(f"/app/settings/team/{member.pk}", {"role": "owner"})
    member.refresh_from_db()
    assert member.role == "sender"


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test", "localhost@evil.test", ""])
def test_a_host_that_is_not_ours_is_refused(db, host):
    answer = Browser().post("/password/forgotten", {"email": "amina@acme.test"}, headers={"Host": host})
    assert answer.status_code in (400, 302)
    assert host == "" or answer.status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/static/../crm/settings.py", "/static/%2e%2e/crm/settings.py", "/static/..%2fmanage.py", "/media/imports/1/x.csv",
     "/media/senders/1/x.pdf", "/var/tarishi.sqlite3", "/.git/config", "/.env", "/secrets/secret_key"],
)  # fmt: skip
def test_no_path_leads_out_of_the_pages(browser, path):
    assert browser.get(path).status_code in (400, 404)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "DELETE", "PROPFIND"])
def test_methods_that_pages_do_not_speak_do_nothing(browser, acme, method):
    answer = browser.generic(method, "/app/contacts/new", "phone=0712000001")
    assert answer.status_code in (403, 405)
    assert not Contact.objects.for_client(acme).exists()


def test_every_page_tells_browsers_to_keep_it_to_itself(browser):
    for path in ("/app", "/login", "/app/contacts", "/nope"):
        answer = browser.get(path)
        assert answer["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"


def test_cookies_are_for_the_server_alone(acme):
    browser = Browser()
    answer = browser.post("/login", {"login": "amina@acme.test", "password": PASSWORD})
    cookie = answer.cookies[django_settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{7*7}}{%debug%}"


def test_U6_what_people_typed_is_shown_as_text_everywhere(browser, acme):
    acme.name = SCRIPT[:120]
    acme.save()
    Contact.objects.create(client=acme, phone="+254712000001", name=SCRIPT[:100])
    for path in ("/app", "/app/contacts", f"/app/contacts/{Contact.objects.for_client(acme).get().pk}"):
        page = browser.get(path).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "49" not in re.findall(r"alert\(1\)&gt;&quot;&#x27;(.{0,4})", page)


def test_failed_attempts_are_in_the_audit_log(acme):
    Browser().post("/login", {"login": "amina@acme.test", "password": "wrong"})
    entry = AuditEntry.objects.for_client(acme).get(action="person.sign_in_refused")
    assert entry.address == "127.0.0.1"


def test_refusals_are_logged_by_route_without_the_address(acme, caplog):
    add_member(acme, Role.VIEWER).get("/app/settings/api-webhooks/keys/77/revoke?canary=1")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "tarishi.refused"]
    assert line.endswith("GET app/settings/api-webhooks/keys/<int:key_id>/revoke")
    assert "canary" not in line


def test_what_a_member_saw_is_not_kept_by_the_browser(browser):
    for path in ("/app", "/app/contacts", "/app/settings/team"):
        assert "no-store" in browser.get(path)["Cache-Control"]


@pytest.mark.parametrize("password", ["tarishi1", "Tarishi2026", "mpesa1234", "SafaricomKenya1"])
def test_a_password_made_of_our_name_is_refused(db, password):
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError

    with pytest.raises(ValidationError):
        validate_password(password)
    validate_password("tarishi na kikombe cha chai")
    validate_password("x" * 128 + "y")


def test_staff_end_every_session_of_a_person(acme):
    User.objects.create_superuser("staff@tarishi.test", PASSWORD)
    amina, staff = sign_in("amina@acme.test"), sign_in("staff@tarishi.test")
    pk = User.objects.get(email="amina@acme.test").pk
    staff.post("/staff/accounts/user/", {"action": "sign_out", "_selected_action": [pk]})
    assert amina.get("/app").status_code == 302
    assert AuditEntry.objects.for_client(acme).filter(action="person.signed_out_by_staff").exists()


def test_a_member_who_left_is_out_at_the_next_click(acme):
    baraka = add_member(acme, Role.SENDER)
    assert baraka.get("/app/contacts").status_code == 200
    Membership.objects.filter(user__email="baraka@acme.test").delete()
    assert baraka.get("/app/contacts")["Location"] == "/no-organisation"


def test_a_person_who_was_switched_off_is_out_at_the_next_click(acme):
    baraka = add_member(acme, Role.SENDER)
    User.objects.filter(email="baraka@acme.test").update(is_active=False)
    assert baraka.get("/app/contacts").status_code == 302
    assert sign_in("amina@acme.test").get("/app/contacts").status_code == 200
