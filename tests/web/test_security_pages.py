"""Second steps, sessions and the organisation's policy about them."""

import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.test import Client as Browser

from accounts.models import Client, Role, User
from tests.web.conftest import PASSWORD, add_member, sign_in

SECRET = "JBSWY3DPEHPK3PXP"


def code_now(secret: str = SECRET) -> str:
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def activate(browser: Browser) -> str:
    """Set up a code app by the page; returns its key."""
    secret = browser.get("/security/app").context["form"].secret
    assert browser.post("/security/app", {"code": code_now(secret)}).status_code == 302
    return secret


def test_a_code_app_is_asked_for_at_sign_in_and_its_key_is_encrypted_at_rest(browser):
    secret = activate(browser)
    kept = Authenticator.objects.get(type=Authenticator.Type.TOTP)
    assert secret not in str(kept.data)
    other = Browser()
    answer = other.post("/login", {"login": "amina@acme.test", "password": PASSWORD})
    assert answer["Location"].startswith("/login/second")
    assert other.get("/app").status_code == 302
    assert "Second step" in other.get("/login/second").content.decode()


def test_A1_a_code_signs_in_once(browser):
    secret = activate(browser)
    user = User.objects.get(email="amina@acme.test")
    authenticator = TOTP(Authenticator.objects.get(user=user, type=Authenticator.Type.TOTP))
    later = format_hotp_value(hotp_value(secret, int(time.time()) // 30 + 1))
    assert authenticator.validate_code(later)
    assert not authenticator.validate_code(later)


def test_recovery_codes_are_made_with_the_first_second_step_and_shown(browser):
    activate(browser)
    page = browser.get("/security/codes").content.decode()
    assert "Recovery codes" in page
    assert Authenticator.objects.filter(type=Authenticator.Type.RECOVERY_CODES).count() == 1


@pytest.mark.django_db(transaction=True)
def test_A1_a_changed_second_step_ends_the_other_sessions_and_keeps_this_one(acme):
    here, elsewhere = sign_in("amina@acme.test"), sign_in("amina@acme.test")
    assert elsewhere.get("/app").status_code == 200
    activate(here)
    assert here.get("/app").status_code == 200
    assert elsewhere.get("/app").status_code == 302


def test_signing_out_everywhere_else(acme):
    here, elsewhere = sign_in("amina@acme.test"), sign_in("amina@acme.test")
    here.get("/app")
    assert here.post("/app/settings/security/sign-out-others")["Location"] == "/app/settings/security"
    assert here.get("/app").status_code == 200
    assert elsewhere.get("/app").status_code == 302


def test_an_organisation_may_ask_everybody_for_a_second_step(acme):
    Client.objects.filter(pk=acme.pk).update(require_second_factor=True)
    sender = add_member(acme, Role.SENDER)
    assert sender.get("/app/contacts")["Location"] == "/app/settings/security"
    assert "Acme asks for a second step" in sender.get("/app/settings/security").content.decode()
    activate(sender)
    assert sender.get("/app/contacts").status_code == 200


def test_whoever_asks_it_of_others_has_one(browser, acme):
    form = {"name": "Acme", "time_zone": "Africa/Nairobi", "language": "en", "require_second_factor": "on"}
    assert "for yourself first" in browser.post("/app/settings/organisation", form).content.decode()
    activate(browser)
    assert browser.post("/app/settings/organisation", form).status_code == 302
    acme.refresh_from_db()
    assert acme.require_second_factor


@pytest.mark.parametrize("key", ["began_at", "seen_at"])
def test_A1_an_idle_or_old_session_ends(browser, key, settings):
    browser.get("/app")
    session = browser.session
    session[key] -= (settings.SESSION_LONGEST_SECONDS if key == "began_at" else settings.SESSION_IDLE_SECONDS) + 1
    session.save()
    assert browser.get("/app").status_code == 302


def test_staff_need_a_second_step_where_the_installation_says_so(db, settings):
    settings.STAFF_SECOND_FACTOR = True
    User.objects.create_superuser("staff@here.test", PASSWORD)
    staff = sign_in("staff@here.test")
    assert staff.get("/staff/")["Location"] == "/app/settings/security"
    activate(staff)
    assert staff.get("/staff/").status_code == 200


def test_simulation_is_left_only_by_a_second_yes(browser, acme):
    browser.post("/app/settings/simulation", {"on": "1"})
    acme.refresh_from_db()
    assert acme.simulation
    assert "Make messages real?" in browser.post("/app/settings/simulation", {"on": "0"}).content.decode()
    acme.refresh_from_db()
    assert acme.simulation
    browser.post("/app/settings/simulation", {"on": "0", "confirm": "1"})
    acme.refresh_from_db()
    assert not acme.simulation


def test_T3_only_who_may_changes_the_organisation(acme):
    viewer = add_member(acme, Role.VIEWER)
    form = {"name": "Other", "time_zone": "Africa/Nairobi", "language": "en"}
    assert viewer.post("/app/settings/organisation", form).status_code == 403
    assert viewer.post("/app/settings/simulation", {"on": "1"}).status_code == 403
    acme.refresh_from_db()
    assert (acme.name, acme.simulation) == ("Acme", False)


def test_a_profile_keeps_language_colours_and_rows_with_the_person(browser):
    form = {"name": "Amina", "language": "sw", "theme": "dark", "density": "compact"}
    assert browser.post("/app/settings/profile", form).status_code == 302
    page = browser.get("/app/settings/profile").content.decode()
    assert '<html lang="sw" data-theme="dark" data-density="compact" data-no-single-keys>' in page
