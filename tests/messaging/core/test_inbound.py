"""What providers send us: signatures at the door, messages of people kept once, STOP and START obeyed."""

import hashlib
import hmac
import json

import pytest
from django.conf import settings

from accounts.models import WebhookDelivery
from accounts.services.webhooks import create_endpoint
from contacts.models import OptOut
from messaging.conversations import last_inbound_at, own_number
from messaging.models import InboundMessage, ProviderCallback
from messaging.providers.base import InboundNotice, Media
from messaging.providers.twilio import sign
from messaging.services import inbound
from messaging.services.providers import add_route, connect_provider
from messaging.services.reports import process_callbacks, store_callback
from messaging.services.senders import approve_sender_id
from tests.messaging.core import world

pytestmark = pytest.mark.django_db

PERSON = world.number(0)


def connect(adapter, **credentials):
    account = connect_provider(name=adapter, adapter=adapter, credentials=credentials, base_url="http://127.0.0.1:9")
    add_route(account=account, channel="whatsapp" if adapter == "whatsapp" else "sms")
    return account


@pytest.fixture
def meta(acme):
    values = {"phone_number_id": "1", "business_account_id": "2", "access_token": "t", "app_secret": "s"}
    return connect("whatsapp", verify_token="our word", **values)  # noqa: S106


@pytest.fixture
def twilio(acme):
    return connect("twilio", account_sid="AC1", auth_token="tok")  # noqa: S106


def notice(text="Habari", to="22384", message_id="in-1", **more):
    return InboundNotice(sender=PERSON, recipient=to, text=text, provider_message_id=message_id, **more)


class TestDoor:
    def path(self, account, kind):
        return f"/callbacks/{account.adapter}/{account.callback_token}/{kind}"

    def meta_post(self, client, account, value, signature=None):
        whole = {"messaging_product": "whatsapp"} | value
        body = json.dumps({"object": "whatsapp_business_account",
                           "entry": [{"changes": [{"field": "messages", "value": whole}]}]}).encode()  # fmt: skip
        made = "sha256=" + hmac.new(b"s", body, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": made if signature is None else signature}
        return client.post(self.path(account, "events"), body, content_type="application/json", headers=headers)

    def test_metas_handshake_is_answered_with_its_challenge(self, client, meta):
        query = {"hub.mode": "subscribe", "hub.verify_token": "our word", "hub.challenge": "1158201444"}

        answer = client.get(self.path(meta, "events"), query)

        assert (answer.status_code, answer.content) == (200, b"1158201444")
        assert answer["Content-Type"].startswith("text/plain")
        wrong = client.get(self.path(meta, "events"), query | {"hub.verify_token": "theirs"})
        assert (wrong.status_code, wrong.content) == (403, b'{"error": "wrong signature"}')
        assert ProviderCallback.objects.count() == 0

    def test_a_post_without_metas_signature_is_refused_and_not_kept(self, client, meta):
        status = {"statuses": [{"id": "wamid.1", "status": "delivered", "recipient_id": PERSON[1:]}]}

        for signature in ("", "sha256=" + "0" * 64):
            assert self.meta_post(client, meta, status, signature).status_code == 403
        assert ProviderCallback.objects.count() == 0
        assert self.meta_post(client, meta, status).status_code == 200
        assert ProviderCallback.objects.count() == 1

    def test_news_that_nobody_needs_is_answered_and_not_kept(self, client, meta):
        assert self.meta_post(client, meta, {"calls": []}).status_code == 200
        assert ProviderCallback.objects.count() == 0

    def test_twilio_is_checked_by_the_public_address_and_answered_in_its_own_way(self, client, twilio, books):
        pk = world.send_one(world.Client.objects.get(), twilio, "SM1")
        path = self.path(twilio, "delivery") + "?ref=MSG-000001"
        form = f"MessageSid=SM1&MessageStatus=delivered&To=%2B{PERSON[1:]}&Body="
        good = sign("tok", settings.PUBLIC_URL + path, form)

        def post(signature):
            headers = {"X-Twilio-Signature": signature}
            return client.post(path, form, content_type=world.FORM, headers=headers)

        assert post(sign("tok", f"http://elsewhere{path}", form)).status_code == 403
        answer = post(good)
        assert (answer.status_code, answer.content) == (204, b"")
        assert process_callbacks() == 1
        assert world.message(pk).status == "delivered"

    def test_twilios_people_are_answered_with_xml(self, client, twilio):
        path = self.path(twilio, "inbound")
        form = f"MessageSid=SM9&From=%2B{PERSON[1:]}&To=22384&Body=Habari&NumMedia=0"
        headers = {"X-Twilio-Signature": sign("tok", settings.PUBLIC_URL + path, form)}

        answer = client.post(path, form, content_type=world.FORM, headers=headers)

        assert (answer.content, answer["Content-Type"]) == (b"<Response/>", "text/xml")
        process_callbacks()
        assert InboundMessage.objects.unscoped().get().text == "Habari"

    def test_onfon_may_report_by_get(self, client, acme, books):
        account = connect("onfon", access_key="a", api_key="k", client_id="acme")
        pk = world.send_one(acme, account, "m1")

        answer = client.get(self.path(account, "delivery"), {"messageId": "m1", "status": "DELIVRD"})

        assert answer.status_code == 200
        assert process_callbacks() == 1
        assert world.message(pk).status == "delivered"

    def test_who_posts_only_is_not_read_by_get(self, client, twilio):
        answer = client.get(self.path(twilio, "delivery"), {"MessageSid": "SM1"})

        assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_a_report_with_our_reference_settles_a_message_whose_answer_was_lost(acme, twilio, books):
    (pk,) = world.accept(acme)
    world.submit(twilio)

    def tell():
        body = f"MessageSid=SM77&MessageStatus=delivered&To=%2B{PERSON[1:]}".encode()
        query = f"ref={world.message(pk).message_id}"
        store_callback(account=twilio, kind="delivery", content_type=world.FORM, query=query, body=body)
        world.make_due()
        process_callbacks()

    tell()  # before the answer: it waits
    assert world.message(pk).status == "queued"
    world.record_outcomes([world.outcome(pk, "ambiguous", code="no_clear_answer")])
    world.make_due()
    process_callbacks()

    message = world.message(pk)
    assert (message.status, message.unconfirmed, message.provider_message_id) == ("delivered", False, "SM77")


def test_a_reference_of_another_account_or_another_id_settles_nothing(acme, twilio, books):
    ours = world.send_one(acme, twilio, "SM1")
    elsewhere = world.send_one(acme, twilio, "SM2", first=1)
    road = world.make_road()
    world.run_sql(
        "UPDATE messaging_message SET provider_account_id = %s, provider_message_id = '' WHERE id = %s",
        [road.pk, elsewhere],
    )
    for pk, sid in ((ours, "SM77"), (elsewhere, "SM78")):
        body, query = f"MessageSid={sid}&MessageStatus=failed".encode(), f"ref={world.message(pk).message_id}"
        store_callback(account=twilio, kind="delivery", content_type=world.FORM, query=query, body=body)
    process_callbacks()

    assert world.statuses() == {"sent": 2}


def test_a_message_of_a_person_is_kept_once_for_the_client_whose_number_it_is(acme, zuri, road):
    approve_sender_id(client=acme, name="22384")
    create_endpoint(client=acme, url="https://example.com/hook", events=["message.received"])
    media = (Media("image", id="7", mime_type="image/png"),)

    assert inbound.receive(account_id=road.pk, notices=[notice(media=media, name="Amina")]) == 1
    assert inbound.receive(account_id=road.pk, notices=[notice(text="other words")]) == 0

    kept = InboundMessage.objects.for_client(acme).get()
    assert (kept.sender, kept.recipient, kept.text, kept.name, kept.word) == (PERSON, "22384", "Habari", "Amina", "")
    assert kept.media == [{"kind": "image", "id": "7", "url": "", "mime_type": "image/png", "filename": ""}]
    assert InboundMessage.objects.for_client(zuri).count() == 0
    (told,) = WebhookDelivery.objects.unscoped()
    assert json.loads(told.body)["data"]["text"] == "Habari"


def test_a_shared_number_belongs_to_who_last_wrote_to_the_person_from_it(acme, zuri, road):
    for client in (acme, zuri):
        approve_sender_id(client=client, name="22384")
    world.send_one(acme, road, "AT1", sender="22384")
    world.send_one(zuri, road, "AT2", sender="22384")
    world.send_one(acme, road, "AT3", sender="ACME")

    inbound.receive(account_id=road.pk, notices=[notice()])

    assert InboundMessage.objects.unscoped().get().client_id == zuri.pk


def test_a_message_to_a_number_of_nobodys_is_kept_without_a_client(acme, road):
    inbound.receive(account_id=road.pk, notices=[notice(text="STOP")])

    assert InboundMessage.objects.unscoped().get().client_id is None
    assert OptOut.objects.unscoped().count() == 0


@pytest.mark.parametrize(("text", "word"), [("Acha!", "stop"), ("START", "start"), ("I cannot stop by", "")])
def test_stop_and_start_are_obeyed_for_the_sender_that_was_answered(acme, road, text, word):
    world.send_one(acme, road, "AT1")
    if word == "start":
        inbound.receive(account_id=road.pk, notices=[notice(text="stop", message_id="in-0")])
        assert OptOut.objects.unscoped().count() == 1

    inbound.receive(account_id=road.pk, notices=[notice(text=text)])

    assert InboundMessage.objects.for_client(acme).latest("pk").word == word
    assert list(OptOut.objects.unscoped().values_list("address", "sender", "source")) == (
        [(PERSON, "ACME", "stop")] if word == "stop" else []
    )


def test_text_that_no_database_keeps_is_kept_without_it(acme, road):
    inbound.receive(account_id=road.pk, notices=[notice(text="a\x00b", name="c\x00")])

    assert InboundMessage.objects.unscoped().get().text == "a\ufffdb"


def test_a_template_that_is_nobodys_is_noted_with_its_callback(meta):
    value = {"event": "APPROVED", "message_template_id": 1, "message_template_name": "hello", "reason": "NONE",
             "message_template_language": "sw"}  # fmt: skip
    change = {"field": "message_template_status_update", "value": value}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}).encode()
    store_callback(account=meta, kind="events", content_type="application/json", query="", body=body)

    process_callbacks()

    assert ProviderCallback.objects.get().note == "no template of ours is hello in sw"


@pytest.mark.parametrize(
    ("written", "kept"),
    [("22384", "22384"), ("+254 709-000 001", "+254709000001"), ("254709000001", "+254709000001"), ("ACME", "ACME")],
)
def test_a_number_of_ours_has_one_spelling(written, kept):
    assert own_number(written) == kept


def test_the_window_is_known_by_the_persons_last_message_to_that_number(acme, zuri, road):
    approve_sender_id(client=acme, name="+254709000001")
    inbound.receive(account_id=road.pk, notices=[notice(to="254709000001")])
    (at,) = InboundMessage.objects.for_client(acme).values_list("received_at", flat=True)

    assert last_inbound_at(acme, "sms", PERSON, "+254709000001") == at
    assert last_inbound_at(acme, "sms", PERSON, "22384") is None
    assert last_inbound_at(acme, "whatsapp", PERSON, "+254709000001") is None
    assert last_inbound_at(zuri, "sms", PERSON, "+254709000001") is None
