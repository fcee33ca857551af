"""Signing in with a passkey and with a code app, on a device that the browser pretends to have."""

import re
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time

from tests.browser.conftest import sign_in
from tests.factories import PASSWORD

DEVICE = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip
RECOVERY_CODE = re.compile(r"\b\d{8}\b")


@pytest.fixture
def person(server) -> str:
    """Somebody of whom no other test is, so that nobody's sign-in changes under them."""
    return server.cast["mwangi"].email


def sign_out(page: Any) -> None:
    page.click("summary:has-text('@')")
    page.click("form[action$='/logout'] button")
    page.wait_for_url(re.compile(r"/(login)?$"))


def test_a_passkey_signs_in_alone_and_a_code_app_after_the_password(server, windows, person):
    page = windows.open(base_url=server.by_name)
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    device.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    sign_in(page, person)

    page.goto("/app/settings/security")
    page.click("text=Add a passkey")
    page.fill("[name=name]", "My phone")
    page.check("[name=passwordless]")
    page.click("form[data-passkey] button[type=submit]")
    page.wait_for_url("**/security/codes")
    codes = RECOVERY_CODE.findall(page.inner_text("main"))
    assert len(set(codes)) == 10
    sign_out(page)
    page.goto("/login")
    page.click("form[data-passkey] button")
    page.wait_for_url("**/app")

    page.goto("/app/settings/security")
    assert "My phone" in page.inner_text("main")
    page.click("text=Set up a code app")
    secret = re.search(r"\b[A-Z2-7]{16,}\b", page.inner_text("main"))[0]
    page.fill("[name=code]", format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))
    page.click("main form.form button[type=submit]")
    page.wait_for_url(re.compile(r"/security(/codes)?$"))
    sign_out(page)

    page.goto("/login")
    page.fill("#id_login", person)
    page.fill("#id_password", "wrong password 7")
    page.click("main form button[type=submit]")
    page.locator(".notice-bad, .has-error, [role=alert]").first.wait_for()
    page.goto("/login")
    page.fill("#id_login", person)
    page.fill("#id_password", PASSWORD)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/login/second*")
    page.fill("[name=code]", codes[0])  # the phone is gone
    page.click("main form:has([name=code]) button[type=submit]")
    page.wait_for_url("**/app")
