"""Registering: a code by SMS or email, an organisation in trial, and nothing told to strangers."""

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client as Browser

from accounts.models import Client, Membership, User
from crm.opening import open_ready_client
from messaging.models import Message
from messaging.services.providers import add_route, connect_provider
from messaging.services.rules import rules_of
from tests.web.conftest import PASSWORD

CREDENTIALS = {"username": "nobody", "api_key": "nobody-listens"}
FORM = {
    "name": "Zuri",
    "organisation": "Zuri Shop",
    "phone": "+254 733 000 102",
    "email": "zuri@shop.test",
    "password1": PASSWORD,
}


@pytest.fixture
def operator(db, settings) -> Client:
    """The installation's own client, by whose sender codes go out."""
    client = open_ready_client(
        name="Operator", email="operator@here.test", password=PASSWORD, credit=100, sender_ids=["TARISHI"]
    ).client
    settings.SYSTEM_CLIENT_ID = client.pk
    add_route(account=connect_provider(name="Nobody", adapter="africastalking", credentials=CREDENTIALS))
    return client


def code_by_sms(operator: Client) -> str:
    text = Message.objects.for_client(operator).order_by("pk").last().text
    return re.search(r"\b[0-9]{6}\b", text)[0]


def test_a_code_to_the_phone_opens_an_organisation_in_trial(operator):
    browser = Browser()
    assert browser.post("/register", FORM)["Location"] == "/register/phone"
    page = browser.get("/register/phone").content.decode()
    assert "+254 733 000 102" in page
    assert "on its way" not in page  # the page itself says where the code goes
    cache.clear()  # the pause between two codes
    browser.post("/register/phone", {"action": "resend"})
    assert "An SMS with a code is on its way." in browser.get("/register/phone").content.decode()
    assert browser.get("/app").status_code == 302  # nobody is signed in yet
    answer = browser.post("/register/phone", {"action": "verify", "code": code_by_sms(operator)})
    assert answer["Location"] == "/app/welcome"
    zuri = User.objects.get(email="zuri@shop.test")
    assert (zuri.name, zuri.phone, zuri.is_confirmed) == ("Zuri", "+254733000102", True)
    shop = Membership.objects.get(user=zuri).client
    assert (shop.name, shop.country, shop.currency, shop.time_zone) == ("Zuri Shop", "KE", "KES", "Africa/Nairobi")
    assert rules_of(shop).trial
    assert browser.get("/app").status_code == 200
    assert not mail.outbox


def test_a_wrong_code_opens_nothing_and_three_end_the_attempt(operator):
    browser = Browser()
    browser.post("/register", FORM)
    for _ in range(3):
        answer = browser.post("/register/phone", {"action": "verify", "code": "000000x"})
    assert answer.status_code == 302
    assert "_auth_user_id" not in browser.session
    assert not User.objects.get(email="zuri@shop.test").is_confirmed


def test_the_code_may_come_by_email_instead(operator):
    browser = Browser()
    browser.post("/register", FORM)
    assert browser.post("/register/by-email")["Location"] == "/register/email"
    (letter,) = mail.outbox
    code = re.search(r"Your code is (\S+)", letter.body)[1]
    assert browser.post("/register/email", {"action": "verify", "code": code})["Location"] == "/app/welcome"
    zuri = User.objects.get(email="zuri@shop.test")
    assert zuri.is_confirmed
    assert zuri.phone_verified_at is None


def test_without_a_sender_of_the_installation_the_code_comes_by_email(db):
    browser = Browser()
    assert browser.post("/register", FORM)["Location"] == "/register/email"
    assert mail.outbox[0].to == ["zuri@shop.test"]


def test_a_known_address_is_not_given_away(operator):
    User.objects.create_user("zuri@shop.test", PASSWORD)
    browser = Browser()
    assert browser.post("/register", FORM)["Location"] == "/register/phone"
    assert User.objects.filter(email="zuri@shop.test").count() == 1
    assert not Client.objects.filter(name="Zuri Shop").exists()
    assert "already has" in Message.objects.for_client(operator).order_by("pk").last().text


def test_somebody_without_a_code_is_asked_again_at_the_next_sign_in_but_not_at_once(operator):
    Browser().post("/register", FORM)
    attempt = {"login": "zuri@shop.test", "password": PASSWORD}
    assert Browser().post("/login", attempt).status_code == 429
    cache.clear()
    assert Browser().post("/login", attempt)["Location"] == "/register/phone"


def test_a_number_nobody_can_read_is_refused_with_what_was_typed(db):
    page = Browser().post("/register", FORM | {"phone": "12"})
    assert "Zuri Shop" in page.content.decode()
    assert not User.objects.exists()


def test_who_was_opened_by_the_operator_signs_in_without_a_code(acme):
    answer = Browser().post("/login", {"login": "amina@acme.test", "password": PASSWORD})
    assert answer["Location"] == "/app"


def test_a_forgotten_password_is_set_anew_by_a_link_that_works_once(acme):
    browser = Browser()
    assert browser.post("/password/forgotten", {"email": "amina@acme.test"})["Location"] == "/password/forgotten/sent"
    link = re.search(r"https?://[^/]+(/password/new/\S+)", mail.outbox[0].body)[1]
    step = browser.get(link)["Location"]
    new = "samaki wa nazi 9"
    assert browser.post(step, {"password1": new, "password2": new})["Location"] == "/password/new/done"
    assert "no longer works" in Browser().get(link).content.decode()
    assert Browser().post("/login", {"login": "amina@acme.test", "password": new})["Location"] == "/app"


def test_a_stranger_asking_for_a_password_hears_the_same(acme):
    answer = Browser().post("/password/forgotten", {"email": "nobody@acme.test"})
    assert answer["Location"] == "/password/forgotten/sent"


def test_registering_ends_at_a_first_message_to_oneself(operator):
    browser = Browser()
    browser.post("/register", FORM)
    browser.post("/register/phone", {"action": "verify", "code": code_by_sms(operator)})
    answer = browser.get("/app/welcome", follow=True)
    assert answer.request["PATH_INFO"] == "/app/send"
    assert "254733000102" in answer.content.decode().replace(" ", "")
