"""S2: values that must not be logged are sent through every flow; then everything that was logged is searched."""

import logging
import re

import pytest
from django.core import mail
from django.test import Client as Browser

from accounts.models import Invitation, User
from accounts.services.keys import create_api_key
from accounts.services.webhooks import create_endpoint
from tests.web.conftest import sign_in
from tests.web.test_registering import FORM, operator  # noqa: F401 - a fixture

PASSWORD = "canary-password-7431"
TEXT = "canary words of a message"
NUMBER = "254733000102"


@pytest.fixture
def said(caplog):
    """All that was logged at any level, but the statements that the database logs while debugging."""
    caplog.set_level(logging.DEBUG)

    def everything() -> str:
        rows = [record for record in caplog.records if not record.name.startswith(("django.db", "faker"))]
        return "\n".join(f"{record.getMessage()} {record.args!r} {record.exc_text or ''}" for record in rows)

    return everything


def test_S2_registering_signing_in_and_forgetting_the_password(operator, said):  # noqa: F811
    browser = Browser()
    browser.post("/register", FORM | {"password1": PASSWORD})
    from messaging.models import Message

    code = re.search(r"\b[0-9]{6}\b", Message.objects.for_client(operator).order_by("pk").last().text)[0]
    browser.post("/register/phone", {"code": "000000"})
    browser.post("/register/phone", {"code": code})
    Browser().post("/login", {"login": "zuri@shop.test", "password": PASSWORD + "-wrong"})
    Browser().post("/login", {"login": "zuri@shop.test", "password": PASSWORD})
    Browser().post("/password/forgotten", {"email": "zuri@shop.test"})
    link = re.search(r"/password/\S+", mail.outbox[-1].body)
    if link:
        Browser().get(link[0], follow=True)
    for secret in (PASSWORD, code, NUMBER, link[0] if link else PASSWORD):
        assert secret not in said()


def test_S2_invitations_keys_and_webhooks(acme, browser, said):
    page = browser.post("/app/settings/team/invite", {"address": "b@acme.test", "role": "viewer"}).content.decode()
    token = re.search(r"/invite/([\w-]+)", page)[1]
    Browser().get(f"/invite/{token}")
    Browser().get(f"/invite/{token}x")
    key = create_api_key(client=acme, name="Shop", scopes=["wallet:read"])
    hook = create_endpoint(client=acme, url="https://acme.test/hook?secret=canary-in-address", events=["*"])
    for value in (key.api_key, key.api_key + "x"):
        Browser().get(f"/api/{acme.pk}/client/balance", headers={"X-API-KEY": value})
    assert Invitation.objects.for_client(acme).exists()
    for secret in (token, key.api_key, key.api_secret, key.app_key, hook.secret, "canary-in-address"):
        assert secret not in said()


def test_S2_callbacks_and_their_addresses(acme, said):
    token = "canary-token-of-a-callback-9182"
    for path in (
        f"/callbacks/pay/{token}",
        f"/callbacks/pay/{token}/confirmation",
        f"/callbacks/beem/{token}/delivery",
    ):
        body = f'{{"Body": "{TEXT}", "MSISDN": "{NUMBER}", "TransID": "QCANARY1"}}'
        Browser().post(path, body, content_type="application/json")
        Browser().post(path, "{broken " + TEXT, content_type="application/json")
    for secret in (token, TEXT, NUMBER):
        assert secret not in said()


def test_S2_sending_from_the_pages_and_breaking_on_the_way(acme, said, monkeypatch):
    amina = sign_in("amina@acme.test")
    amina.raise_request_exception = False
    form = {"to": NUMBER, "text": TEXT, "sender": "HOSPITAL", "token": "canary-form-token"}
    amina.post("/app/send", form)

    def breaks(*_args, **_kwargs):
        raise RuntimeError("it broke")

    monkeypatch.setattr("messaging.views.sending.SendForm.is_valid", breaks, raising=False)
    answer = amina.post("/app/send", form)
    assert answer.status_code in (200, 302, 422, 500)
    for secret in (TEXT, NUMBER, User.objects.get(email="amina@acme.test").password):
        assert secret not in said()
