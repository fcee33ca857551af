"""Signing in and out, choosing an organisation, changing a password."""

import pytest
from django.test import Client as Browser

from accounts.models import Membership, User
from tests.web.conftest import PASSWORD, sign_in

WRONG = "This email address and password do not belong together. Check both and try again."
LOCKED = "Too many wrong passwords. Wait five minutes, use a passkey, or set a new password by email."


def attempt(browser, email="amina@acme.test", password=PASSWORD, **extra):
    return browser.post("/login", {"login": email, "password": password, **extra})


@pytest.mark.parametrize("email", ["amina@acme.test", "Amina@ACME.test"])
def test_the_right_password_opens_home(acme, email):
    browser = Browser()
    assert attempt(browser, email)["Location"] == "/app"
    assert "Acme" in browser.get("/app").content.decode()


@pytest.mark.parametrize(
    ("target", "lands"),
    [("/app/wallet?kind=debit", "/app/wallet?kind=debit"), ("https://evil.test/", "/app"), ("//evil.test", "/app")],
)
def test_sign_in_returns_to_the_page_that_was_asked_for(acme, target, lands):
    browser = Browser()
    assert f'name="next" value="{target}"' in browser.get("/login", {"next": target}).content.decode()
    assert attempt(browser, next=target)["Location"] == lands


@pytest.mark.parametrize("email", ["amina@acme.test", "nobody@acme.test"])
def test_A1_a_wrong_password_and_an_unknown_address_look_alike(acme, email):
    browser = Browser()
    page = attempt(browser, email, "wrong").content.decode()
    assert WRONG in page
    assert f'value="{email}"' in page
    assert 'value="wrong"' not in page
    assert "_auth_user_id" not in browser.session


def test_A1_five_wrong_passwords_lock_the_account_for_a_while(acme):
    browser = Browser()
    for _ in range(5):
        assert WRONG in attempt(browser, password="wrong").content.decode()
    page = attempt(browser).content.decode()
    assert LOCKED in page
    assert "_auth_user_id" not in browser.session


def test_A1_many_attempts_from_one_address_are_stopped(acme, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login": "2/m/ip"}
    browser = Browser()
    attempt(browser, "a@acme.test", "wrong")
    attempt(browser, "b@acme.test", "wrong")
    response = attempt(browser)
    assert response.status_code == 429
    assert "Too many attempts from this address" in response.content.decode()


def test_a_closed_account_is_told_so_only_with_the_right_password(acme):
    User.objects.filter(email="amina@acme.test").update(is_active=False)
    browser = Browser()
    assert attempt(browser)["Location"] == "/login/inactive"
    assert "This account is closed" in browser.get("/login/inactive").content.decode()
    assert WRONG in attempt(browser, password="wrong").content.decode()


def test_registration_may_be_closed_and_says_whom_to_ask(db, settings):
    settings.REGISTRATION = "closed"
    page = Browser().get("/register").content.decode()
    assert "Accounts are opened by your account manager" in page
    Browser().post("/register", {"email": "new@acme.test", "password1": PASSWORD, "password2": PASSWORD})
    assert not User.objects.filter(email="new@acme.test").exists()


def test_signing_out_needs_a_post_and_ends_the_session(browser):
    assert "Sign out?" in browser.get("/logout").content.decode()
    assert browser.get("/app").status_code == 200
    assert browser.post("/logout")["Location"] == "/login"
    assert browser.get("/app").status_code == 302


def test_the_root_address_leads_to_work_or_shows_visitors_what_this_is(browser):
    assert browser.get("/")["Location"] == "/app"
    page = Browser().get("/")
    assert page.status_code == 200
    assert 'href="/login"' in page.content.decode()


def test_A1_a_changed_password_ends_the_other_sessions(browser):
    elsewhere = sign_in("amina@acme.test")
    new = "nguvu-mpya-2026"
    fields = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    browser.post("/password/change", fields)
    assert "Your password is changed." in browser.get("/app").content.decode()
    assert elsewhere.get("/app").status_code == 302
    assert attempt(Browser(), password=new)["Location"] == "/app"


def test_a_refused_password_change_keeps_the_old_one(browser):
    page = browser.post("/password/change", {"oldpassword": "wrong", "password1": "abc", "password2": "abd"})
    text = page.content.decode()
    assert "This is not your present password." in text
    assert "at least 8 characters" in text
    assert User.objects.get(email="amina@acme.test").check_password(PASSWORD)


def test_a_member_of_two_organisations_switches_between_them(acme, stranger, browser):
    assert "/app/switch" not in browser.get("/app").content.decode()
    Membership.objects.create(user=User.objects.get(email="amina@acme.test"), client=stranger, role="viewer")
    assert '<span class="org">Acme</span>' in browser.get("/app").content.decode()
    browser.post("/app/switch", {"client": stranger.pk})
    page = browser.get("/app").content.decode()
    assert '<span class="org">Zuri Ltd</span>' in page
    assert "You now act for Zuri Ltd." in page


@pytest.mark.parametrize("wanted", ["stranger", "0", "abc", ""])
def test_T1_nobody_switches_to_an_organisation_of_others(acme, stranger, browser, wanted):
    browser.post("/app/switch", {"client": stranger.pk if wanted == "stranger" else wanted})
    assert '<span class="org">Acme</span>' in browser.get("/app").content.decode()


def test_somebody_without_organisation_reads_what_to_do(db):
    User.objects.create_user("nobody@acme.test", PASSWORD)
    page = sign_in("nobody@acme.test").get("/no-organisation").content.decode()
    assert "You are in no organisation yet" in page
    assert "back office" not in page
    User.objects.create_superuser("staff@acme.test", PASSWORD)
    assert "Open the back office" in sign_in("staff@acme.test").get("/no-organisation").content.decode()
