"""Bodies that no program should send (GUARANTEES.md U1, U2): always the documented refusal, never a 5xx, no effect."""

import json

import pytest
from django.test import Client as Browser

from accounts.models import Client
from messaging.models import Message
from tests.api.caller import refusal
from tests.clock import wait_for_room_in_the_minute

pytestmark = pytest.mark.django_db

GOOD = {"channel": "sms", "recipient": "254712345678", "sender": "HOSPITAL", "body": "Karibu", "message": "Karibu"}
TEXT = json.dumps(GOOD)


def nested(levels):
    """The good request with one more field, so that the whole is `levels` deep."""
    return TEXT[:-1] + ', "extra": ' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


UNREADABLE = {
    "cut off": TEXT[:-1],
    "not JSON": "hello",
    "single quotes": str(GOOD),
    "trailing comma": TEXT[:-1] + ",}",
    "two objects": TEXT + TEXT,
    "comment": "/* x */" + TEXT,
    "array": json.dumps([GOOD]),
    "string": '"hello"',
    "number": "5",
    "true": "true",
    "null": "null",
    "spaces": "   ",
    "NaN": TEXT[:-1] + ', "extra": NaN}',
    "Infinity": TEXT[:-1] + ', "extra": -Infinity}',
    "number beyond all floats": TEXT[:-1] + ', "extra": 1e999}',
    "integer beyond all floats": TEXT[:-1] + f', "extra": {"9" * 4000}}}',
    "NUL in a value": TEXT.replace("Karibu", "Kar\\u0000ibu"),
    "NUL in a field nobody reads": TEXT[:-1] + ', "extra": [{"a": "\\u0000"}]}',
    "NUL in a name": TEXT[:-1] + ', "a\\u0000": 1}',
    "raw NUL": TEXT.replace("Karibu", "Kar\x00ibu"),
    "raw control character": TEXT.replace("Karibu", "Kar\x01ibu"),
    "lone high surrogate": TEXT.replace("Karibu", "Kar\\ud83dibu"),
    "lone low surrogate": TEXT.replace("Karibu", "Kar\\udc00ibu"),
    "surrogate in a name": TEXT[:-1] + ', "a\\ud83d": 1}',
    "broken UTF-8": TEXT.replace("Karibu", "Kar~ibu").encode().replace(b"~", b"\xff"),
    "overlong UTF-8": TEXT.replace("Karibu", "Kar~ibu").encode().replace(b"~", b"\xc0\xaf"),
    "surrogate in UTF-8": TEXT.replace("Karibu", "Kar~ibu").encode().replace(b"~", b"\xed\xa0\x80"),
    "Latin-1": TEXT.replace("Karibu", "Hélène").encode("latin-1"),
    "UTF-16": TEXT.encode("utf-16"),
    "gzip": b"\x1f\x8b\x08\x00\x00",
    "65 levels": nested(65),
    "a hundred thousand levels": "[" * 100_000,
    "deep objects": '{"a":' * 5_000 + "1" + "}" * 5_000,
}


@pytest.mark.parametrize("path", ["messages/send", "sms/send"])
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_U2_an_unreadable_body_is_refused(acme, path, body):
    refusal(acme.post(path, body), 400, "INVALID_REQUEST")
    assert not Message.objects.unscoped().exists()


READABLE = {
    "64 levels": nested(64),
    "brackets in a text": json.dumps(GOOD | {"body": "[{" * 60}),
    "escaped quotes and brackets": json.dumps(GOOD | {"body": '\\"[[[' * 30}),
    "escaped backslash before u0000": TEXT.replace("Karibu", "Kar\\\\u0000ibu"),
    "byte order mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "a name twice: the last holds": '{"body": "x", "body": ' + TEXT[1:].partition('"body": ')[2][: len('"Karibu"')]
    + ', "channel": "fax", ' + json.dumps({k: v for k, v in GOOD.items() if k != "body"})[1:],
    "pairs of surrogates": TEXT.replace("Karibu", "\\ud83c\\udf89"),
    "huge integers and floats that nobody reads": TEXT[:-1] + f', "extra": [{"9" * 300}, 1e308, -0.0]}}',
    "spaces around": f" \r\n\t{TEXT}\n",
}  # fmt: skip


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE.keys())
def test_a_strange_but_readable_body_is_taken(acme, body):
    assert acme.post("messages/send", body).status_code == 200
    assert Message.objects.unscoped().count() == 1


@pytest.mark.parametrize("path", ["messages/send", "sms/send"])
def test_U2_a_body_over_one_mebibyte_is_413(acme, path):
    refusal(acme.post(path, json.dumps(GOOD | {"extra": "x" * (2 << 20)})), 413, "PAYLOAD_TOO_LARGE")
    refusal(acme.post(path, b"x" * ((1 << 20) + 1)), 413, "PAYLOAD_TOO_LARGE")
    refusal(acme.post(path, b"{" + b" " * (6 << 20)), 413, "PAYLOAD_TOO_LARGE")
    assert not Message.objects.unscoped().exists()


def test_a_body_of_exactly_one_mebibyte_is_read(acme):
    body = TEXT + " " * ((1 << 20) - len(TEXT))
    assert acme.post("messages/send", body).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "text/plain", "text/json",
     "application/vnd.api+json", "application/x-www-form-urlencoded", ""],
)  # fmt: skip
def test_JSON_is_read_where_the_program_forgot_to_say_so(acme, content_type):
    assert acme.post("messages/send", TEXT, content_type).status_code == 200


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/xml", "<a/>"),
        ("text/html", TEXT),
        ("application/octet-stream", TEXT),
        (
            "multipart/form-data; boundary=x",
            '--x\r\nContent-Disposition: form-data; name="channel"\r\n\r\nsms\r\n--x--',
        ),
        ("multipart/form-data", TEXT),
        ("application/x-www-form-urlencoded", "channel=sms&recipient=254712345678&body=Karibu"),
        ("///;;;=", TEXT),
    ],
)
def test_another_content_type_is_415_with_the_documented_body(acme, content_type, body):
    told = refusal(acme.post("messages/send", body, content_type), 415, "INVALID_REQUEST")
    assert "application/json" in told["message"]
    assert not Message.objects.unscoped().exists()


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "", "///", "application/json;version=9"])
def test_the_answer_is_JSON_whatever_is_accepted(acme, accept):
    response = acme.get("client/balance", Accept=accept)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response["Cache-Control"] == "no-store"


def test_no_body_at_all_names_what_is_missing(acme):
    told = refusal(acme.post("messages/send", b""), 400, "INVALID_REQUEST")
    assert {error["field"] for error in told["errors"]} == {"channel", "recipient"}  # what else depends on the channel
    refusal(acme.post("messages/send", b"", "application/x-www-form-urlencoded"), 400, "INVALID_REQUEST")


def test_the_key_is_asked_before_the_body_is_read(acme):
    for body in (b"{", b"x" * (2 << 20)):
        response = Browser().generic("POST", acme.url("messages/send"), body, content_type="application/json")
        refusal(response, 401, "INVALID_API_KEY")


def test_HEAD_answers_like_GET(acme):
    head = acme.browser.head(acme.url("client/balance"), headers={"X-API-KEY": acme.key})
    assert (head.status_code, head.content) == (200, b"")


ODD = [
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    1e308,
    "",
    " ",
    "\u202e",
    "'; --",
    "x" * 10_000,
    [],
    [[]],
    {},
    {"a": 1},
    ["x"],
    [None],
    [{}],
    "٠٧١٢٣٤٥٦٧٨",
]


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
def test_U1_no_value_of_any_field_is_a_5xx(acme, value):
    fields = [*GOOD, "recipients", "sender_id", "schedule_at", "reference", "client_id", "subject", "variables"]
    for path in ("messages/send", "sms/send"):
        for field in fields:
            response = acme.post(path, GOOD | {field: value})
            if response.status_code != 200:
                error = "INSUFFICIENT_BALANCE" if response.status_code == 402 else "INVALID_REQUEST"
                refusal(response, response.status_code, error)
                assert response.status_code in (400, 402)


@pytest.mark.parametrize(
    "value", ["", "0", "-1", "9" * 5000, "\x00", "\ud83d", "[]", "%", "😀", "1e5", "null", "2025-13-01", "x" * 3000]
)
def test_U1_no_value_of_any_parameter_is_a_5xx(acme, value):
    for name in ("page", "per_page", "status", "from_date", "to_date", "recipient", "sender", "campaign", "reference",
                 "channel", "cursor", "unknown"):  # fmt: skip
        text = value.encode("utf-8", "surrogatepass")
        response = acme.get("sms/history", {name: text})
        if response.status_code != 200:
            refusal(response, 400, "INVALID_REQUEST")


def test_what_is_wrong_with_a_body_is_told_to_those_who_may_call_and_is_counted(acme):
    acme.key, key = "tk_live_unknown", acme.key
    refusal(acme.post("messages/send", "{"), 401, "INVALID_API_KEY")
    acme.key = key
    Client.objects.filter(pk=acme.client.pk).update(rate_limit=2)
    wait_for_room_in_the_minute(5)
    first, second = (acme.post("messages/send", "{") for _ in range(2))
    refusal(first, 400, "INVALID_REQUEST")
    assert int(first["X-RateLimit-Remaining"]) - int(second["X-RateLimit-Remaining"]) == 1
    refusal(acme.post("messages/send", "{"), 429, "RATE_LIMIT_EXCEEDED")
