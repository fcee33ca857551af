"""A key for simulation: answered like a live one, by every dialect; nothing leaves and nothing is charged."""

import json

import pytest
from django.test import Client as Browser

from accounts.scopes import SCOPES
from accounts.services.keys import create_api_key
from crm.opening import open_ready_client
from messaging.models import Campaign, Message
from messaging.services.providers import add_route, connect_provider
from tests.factories import PASSWORD
from wallet.models import TopUp
from wallet.queries import balance_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    account = connect_provider(name="Carrier", adapter="africastalking", credentials={"username": "u", "api_key": "k"})
    add_route(account=account)
    return open_ready_client(
        name="Acme", email="amina@acme.test", password=PASSWORD, credit=100, sender_ids=["HOSPITAL"]
    ).client


@pytest.fixture
def key(acme):
    return create_api_key(client=acme, name="Trial", scopes=SCOPES, simulation=True)


def post(path, body, **headers):
    return Browser().post(path, json.dumps(body), content_type="application/json", headers=headers)


def messages_of(acme):
    return list(Message.objects.for_client(acme).values_list("simulated", "cost_micros"))


def test_a_send_is_simulated_and_free(acme, key):
    body = {"channel": "sms", "recipient": "0712345678", "sender": "HOSPITAL", "body": "Karibu"}
    answer = post(f"/api/{acme.pk}/messages/send", body, **{"X-API-KEY": key.api_key})
    assert answer.json()["data"]["cost"] == 0
    assert messages_of(acme) == [(True, 0)]
    assert balance_of(acme.pk).balance == 100
    acme.refresh_from_db()
    assert not acme.simulation


def test_a_live_key_beside_it_still_pays(acme, key):
    live = create_api_key(client=acme, name="Shop", scopes=SCOPES)
    body = {"channel": "sms", "recipient": "0712345678", "sender": "HOSPITAL", "body": "Karibu"}
    post(f"/api/{acme.pk}/messages/send", body, **{"X-API-KEY": key.api_key})
    post(f"/api/{acme.pk}/messages/send", body, **{"X-API-KEY": live.api_key})
    assert messages_of(acme)[::-1] in ([(True, 0), (False, 1_000_000)], [(False, 1_000_000), (True, 0)])
    assert balance_of(acme.pk).balance == 99


def test_a_campaign_that_it_starts_is_simulated(acme, key):
    headers = {"X-API-KEY": key.api_key}
    body = {"name": "News", "message": "Karibu", "sender": "HOSPITAL", "recipients": ["254712345678"]}
    made = post(f"/api/{acme.pk}/campaigns", body, **headers).json()
    assert post(f"/api/{acme.pk}/campaigns/{made['id']}/send", {}, **headers).status_code == 200
    assert Campaign.objects.for_client(acme).get().simulated


def test_the_other_dialects_simulate_as_well(acme, key):
    texin = {"api_key": key.api_key, "recipient": "254712345678", "message": "Karibu", "sender_id": "HOSPITAL"}
    assert post("/api/send_sms", texin).json()["simulation_mode"] is True
    login = post("/api/v1/auth/login", {"user_key": key.api_key, "secret_key": key.api_secret}).json()
    sms = [{"from": "HOSPITAL", "to": "+254712345678", "text": "Karibu"}]
    body = {"send_sms_request": {"type": "application", "app_key": key.app_key, "sms": sms}}
    assert post("/api/v1/sms/send", body, Authorization=f"Bearer {login['access_token']}").status_code == 200
    assert messages_of(acme) == [(True, 0), (True, 0)]


def test_it_takes_no_real_money(acme, key):
    body = {"amount": 100, "payment_method": "mpesa", "phone_number": "254712345678"}
    answer = post(f"/api/{acme.pk}/wallet/topup", body, **{"X-API-KEY": key.api_key})
    assert (answer.status_code, answer.json()["error_code"]) == (403, "UNAUTHORIZED")
    assert not TopUp.objects.for_client(acme).exists()
