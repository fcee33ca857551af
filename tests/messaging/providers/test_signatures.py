"""Signatures of vendors that sign, by the vectors of their documentation, and forgeries of each."""

import hashlib
import hmac

import pytest

from messaging.providers.base import Callback, Credentials
from messaging.providers.registry import get_adapter
from messaging.providers.twilio import sign
from tests.messaging.providers.cases import FORM, JSON

STATUS_FORM = (
    b"AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&From=%2B15005550006"
    b"&MessageSid=SM00000000000000000000000000000001&MessageStatus=delivered"
    b"&SmsSid=SM00000000000000000000000000000001&SmsStatus=delivered&To=%2B254712345678"
)
STATUS_URL = "https://crm.example.com/hooks/twilio/status"
STATUS_SIGNATURE = "3FFfvw1KwDU45lnSx+XmvvVyCb8="

VENDOR_FORM = b"CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212"
VENDOR_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"


def twilio(body=STATUS_FORM, url=STATUS_URL, signature=STATUS_SIGNATURE, token="test_auth_token", content_type=FORM):
    callback = Callback("delivery", content_type, "", body, {"x-twilio-signature": signature})
    return get_adapter("twilio").verify_callback(callback, Credentials({"auth_token": token}), url)


def test_twilios_vectors_hold():
    assert twilio()
    assert twilio(VENDOR_FORM, VENDOR_URL, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12345")


def test_twilio_signs_the_address_with_or_without_its_default_port():
    assert twilio(url="https://crm.example.com:443/hooks/twilio/status")
    with_port = sign("test_auth_token", "https://crm.example.com:443/hooks/twilio/status", STATUS_FORM.decode())
    assert twilio(signature=with_port)
    assert not twilio(url="https://crm.example.com:8443/hooks/twilio/status")


@pytest.mark.parametrize(
    "change",
    [
        {"body": STATUS_FORM.replace(b"delivered", b"failed")},
        {"url": STATUS_URL + "?ref=MSG-000001"},
        {"signature": ""},
        {"signature": "é"},
        {"token": "another"},
        {"token": ""},
        {"content_type": "application/json"},
    ],
    ids=str,
)
def test_a_forged_twilio_callback_is_refused(change):
    assert not twilio(**change)


def test_twilio_keeps_blank_values_and_sorts_repeated_ones():
    url, body = "https://crm.example.com/x", b"Body=&b=2&b=1&b=2"
    signature = sign("t", url, body.decode())

    assert signature == sign("t", url, "b=1&Body=&b=2")
    assert twilio(body, url, signature, "t")


def test_twilio_signs_json_by_its_hash_in_the_address():
    body = b'{"a": 1}'
    url = f"https://crm.example.com/x?bodySHA256={hashlib.sha256(body).hexdigest()}"

    assert twilio(body, url, sign("t", url, ""), "t", "application/json")
    assert not twilio(b'{"a": 2}', url, sign("t", url, ""), "t", "application/json")


META = Credentials({"app_secret": "test_app_secret", "verify_token": "our word"})
META_BODY = b'{"object":"whatsapp_business_account","entry":[]}'
META_SIGNATURE = "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756"


def meta(body=META_BODY, signature=META_SIGNATURE, credentials=META):
    callback = Callback("events", JSON, "", body, {"x-hub-signature-256": signature})
    return get_adapter("whatsapp").verify_callback(callback, credentials, "https://crm.example.com/x")


def test_metas_vector_holds():
    assert meta()


@pytest.mark.parametrize(
    "change",
    [
        {"body": META_BODY + b" "},
        {"signature": META_SIGNATURE.removeprefix("sha256=")},
        {"signature": ""},
        {"credentials": Credentials({})},
    ],
    ids=str,
)
def test_a_forged_whatsapp_callback_is_refused(change):
    assert not meta(**change)


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ("hub.mode=subscribe&hub.verify_token=our+word&hub.challenge=1158201444", True),
        ("hub.mode=subscribe&hub.verify_token=theirs&hub.challenge=1158201444", False),
        ("hub.mode=other&hub.verify_token=our+word&hub.challenge=1158201444", False),
        ("", False),
    ],
)
def test_metas_handshake_is_answered_with_its_challenge_for_our_word_alone(query, passes):
    adapter, callback = get_adapter("whatsapp"), Callback("events", "", query, b"", {}, "GET")

    assert adapter.verify_callback(callback, META, "https://crm.example.com/x") is passes
    answer = adapter.answer_callback(callback, META)
    assert (answer.stored, answer.body) == (False, b"1158201444" if "1158201444" in query else b"")


def test_without_a_verify_token_no_handshake_passes():
    callback = Callback("events", "", "hub.mode=subscribe&hub.verify_token=&hub.challenge=1", b"", {}, "GET")

    assert not get_adapter("whatsapp").verify_callback(callback, Credentials({}), "https://crm.example.com/x")


def test_our_own_webhooks_pass_by_the_secret_also_while_it_is_being_changed():
    body = b'{"event":"message.sent"}'

    def passes(secret, **headers):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        callback = Callback("events", JSON, "", body, given)
        return get_adapter("native").verify_callback(callback, Credentials({"webhook_secret": secret}), "")

    right = hmac.new(b"whsec_1", body, hashlib.sha256).hexdigest()
    assert passes("whsec_1", x_webhook_signature=right)
    assert passes("whsec_1", x_webhook_signature="0" * 64, x_webhook_signature_previous=right)
    assert not passes("whsec_2", x_webhook_signature=right)
    assert not passes("", x_webhook_signature=right)
    assert not passes("whsec_1")
