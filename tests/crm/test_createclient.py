"""`manage.py createclient` (DESIGN.md, "Commands"): scripts rely on what --json prints."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from accounts.models import ApiKey, Client, User
from accounts.scopes import SCOPES
from messaging.models import SenderId
from wallet import pricing
from wallet.models import PricePlan, Wallet

pytestmark = pytest.mark.django_db

BASICS = ["--name", "Acme", "--email", "owner@acme.test", "--password", "kikombe cha chai 7"]


def run(*options, basics=BASICS):
    out, err = StringIO(), StringIO()
    call_command("createclient", *basics, *options, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_json_is_one_object_and_nothing_else():
    out, err = run("--credit", "1000", "--sender-id", "HOSPITAL", "--sender-id", "Taarifa-SMS", "--json")
    told = json.loads(out)
    client = Client.objects.get()
    assert err == ""
    assert list(told) == ["client_id", "email", "api_key", "api_secret", "app_key", "sender_ids", "balance"]
    assert out == json.dumps(told) + "\n"
    assert told["client_id"] == client.pk
    assert told["email"] == "owner@acme.test"
    assert told["sender_ids"] == ["HOSPITAL", "Taarifa-SMS"]
    assert told["balance"] == 1000
    assert isinstance(told["balance"], int)
    assert User.objects.get().check_password("kikombe cha chai 7")
    senders = SenderId.objects.for_client(client).values_list("name", "state", "is_default")
    assert sorted(senders) == [("HOSPITAL", "approved", True), ("Taarifa-SMS", "approved", False)]
    assert ApiKey.objects.for_client(client).get().scopes == sorted(SCOPES)
    answer = Browser().get(f"/api/{client.pk}/client/balance", headers={"X-API-KEY": told["api_key"]})
    assert answer.json()["balance"] == 1000


def test_the_secrets_are_three_different_values_told_once():
    told = json.loads(run("--json")[0])
    assert len({told["api_key"], told["api_secret"], told["app_key"]}) == 3
    assert (told["sender_ids"], told["balance"]) == ([], 0)


def test_every_option_arrives():
    run("--country", "TZ", "--currency", "USD", "--time-zone", "UTC", "--price-per-unit", "0.305", "--credit", "2.50",
        "--simulation", "--rate-limit", "42")  # fmt: skip
    client = Client.objects.get()
    assert (client.country, client.currency, client.time_zone) == ("TZ", "USD", "UTC")
    assert (client.simulation, client.rate_limit) == (True, 42)
    assert Wallet.objects.for_client(client).get().balance_micros == 2_500_000
    assert pricing.load_prices(client.pk).unit_price_micros("sms", "KE") == 305_000
    assert not PricePlan.objects.filter(is_default=True).exists()


def test_the_text_tells_what_was_made():
    out, _ = run("--credit", "1000", "--sender-id", "HOSPITAL")
    assert f"Opened client {Client.objects.get().pk}, Acme." in out
    assert "KES 1,000.00" in out
    assert "HOSPITAL" in out
    assert ApiKey.objects.unscoped().get().prefix in out


def test_somebody_known_may_own_a_second_client():
    run()
    run("--json", basics=["--name", "Second", "--email", "Owner@acme.test"])
    assert User.objects.get().memberships.count() == 2


def test_a_weak_password_is_taken_with_a_warning_beside_the_json():
    out, err = run("--json", basics=["--name", "Acme", "--email", "owner@acme.test", "--password", "password"])
    assert "too common" in err
    assert json.loads(out)["email"] == "owner@acme.test"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--email", "nobody"], "no email address"),
        (["--password", ""], "give a password"),
        (["--name", ""], "a name"),
        (["--country", "XX"], "no country code"),
        (["--currency", "KSH"], "no currency code"),
        (["--credit", "-1"], "zero or more"),
        (["--credit", "1.0000001"], "6 decimals"),
        (["--credit", "NaN"], "amount of money"),
        (["--credit", "1e40"], "amount of money"),
        (["--credit", "lots"], "no amount of money"),
        (["--price-per-unit", "-0.5"], "zero or more"),
        (["--rate-limit", "0"], "between"),
        (["--rate-limit", "many"], "invalid int"),
        (["--sender-id", "no/slash"], "cannot be a sender ID"),
        (["--sender-id", "TWELVELETTER"], "cannot be a sender ID"),
        (["--time-zone", "Mars"], "no time zone"),
    ],
)
def test_a_refusal_is_one_sentence_and_opens_nothing(options, words):
    with pytest.raises(CommandError) as refusal:
        run(*options)
    assert words in str(refusal.value)
    for model in (Client, User, PricePlan):
        assert not model.objects.exists()


def test_an_email_that_signs_in_here_is_not_given_another_password():
    run()
    with pytest.raises(CommandError, match="already signs in here"):
        run()
    assert Client.objects.count() == 1
