"""Bytes and signatures that three sorts of published verifiers accept (W2, contracts/dialects/native.md)."""

import hashlib
import hmac
import json
import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.delivery.signing import headers_for, key_of, new_secret
from accounts.services.events import body_of, record_events
from accounts.services.webhooks import rotate_secret
from crm.common.js_json import js_json
from crm.common.sql import later_sql
from tests.accounts.webhooks.conftest import deliver, fresh, make_due, make_endpoint, run_sql

TEXTS = (
    'abcZ09 "\\/\b\f\n\r\t\x00\x01\x1f\x7f\x80'
    "éßñ€Āẞʼnعربيהעבריתहिन्दी漢字かな한글😀👩‍👩‍👧\u2028\u2029\ufeff\uffff\U0010ffffʻ’“”"
)
NODE = shutil.which("node")
PHP = shutil.which("php")
needs_node = pytest.mark.skipif(not NODE, reason="node is not installed: what JavaScript writes cannot be compared")
needs_php = pytest.mark.skipif(not PHP, reason="php is not installed: its verifier cannot be run")


def values(seed: int = 7, count: int = 1000) -> list:
    dice = random.Random(seed)

    def text() -> str:
        return "".join(dice.choice(TEXTS) for _ in range(dice.randrange(12)))

    def number():
        return dice.choice(
            [
                dice.randrange(-(2**53), 2**53), dice.randrange(100), float(dice.randrange(1000)), dice.random(), -0.0,
                dice.uniform(-1e9, 1e9), dice.random() * 10.0 ** dice.randrange(-320, 300), 2**64 + dice.randrange(999),
                Decimal(dice.randrange(10**9)).scaleb(-2), Decimal("1E+2"), Decimal("0.000001"), 1e21, 1e-7, 123e20,
                round(dice.uniform(0, 1e6), 2), 5e-324, 1.7976931348623157e308, Decimal("1049.00"),
            ]
        )  # fmt: skip

    def value(depth: int):
        kind = dice.randrange(7 if depth < 4 else 4)
        if kind == 0:
            return text()
        if kind in (1, 2):
            return number()
        if kind == 3:
            return dice.choice([None, True, False])
        if kind == 4:
            return [value(depth + 1) for _ in range(dice.randrange(4))]
        return {f"k{text()}": value(depth + 1) for _ in range(dice.randrange(5))}

    return [{"data": value(0), "text": text(), "amount": number()} for _ in range(count)]


@needs_node
def test_what_we_write_is_what_javascript_writes_of_it():
    written = [js_json(value) for value in values()]
    program = (
        "const rows = require('node:fs').readFileSync(0, 'utf8').split('\\u0000');"
        "process.stdout.write(rows.map((row) => JSON.stringify(JSON.parse(row))).join('\\u0000'));"
    )
    answered = subprocess.run([NODE, "-e", program], input="\0".join(written).encode(), capture_output=True, check=True)
    assert answered.stdout.decode().split("\0") == written


def test_what_we_write_is_read_back_as_it_was():
    for value in values(count=300):
        read, meant = js_json(value), json.dumps(value, default=float)
        assert json.loads(read, parse_int=float) == json.loads(meant, parse_int=float), value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (50.0, "50"), (Decimal("50.00"), "50"), (Decimal("100.50"), "100.5"), (0.1, "0.1"), (1e21, "1e+21"),
        (1e-7, "1e-7"), (123456789012345680000, "123456789012345680000"), (1.5e-10, "1.5e-10"), (-0.0, "0"),
        (2**53 + 1, "9007199254740992"), (1e20, "100000000000000000000"), (0.000001, "0.000001"),
        ("é\u2028\x7f", '"é\u2028\x7f"'), ("\x00\x1f", '"\\u0000\\u001f"'), ("\ud83d\ude00", '"😀"'),
        ("\ud83d", '"\ufffd"'), ("a/b", '"a/b"'), ({"__proto__": 1}, '{"__proto__":1}'), ((), "[]"),
    ],
)  # fmt: skip
def test_the_finer_points(value, written):
    assert js_json(value) == written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"1": 1}, {"007": 1}, {1: 1}, b"x", object(), {1, 2}])
def test_what_json_has_no_word_for_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        js_json(value)


def plain(secret: str, body: bytes) -> str:
    """What the published verifiers compute."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def events() -> list[tuple[str, str]]:
    """1,000 events with a secret each, as they are sent."""
    now = datetime(2025, 10, 9, 14, 35, tzinfo=UTC)
    return [
        (new_secret() if index % 2 else f"own-secret-{index:08}-é", body_of(form, "balance.updated", 1, value, now))
        for index, value in enumerate(values(seed=11))
        for form in (["envelope", "flat"][index % 2],)
    ]


def signatures(rows):
    now = datetime.now(UTC)
    return [
        dict(headers_for(event="balance.updated", event_id="evt_1", body=body, at=now, keys=[secret]))
        for secret, body in rows
    ]


def test_W2_python_accepts_a_thousand_events_by_both_schemes():
    rows = events()
    for (secret, body), headers in zip(rows, signatures(rows), strict=True):
        assert headers["X-Webhook-Signature"] == plain(secret, body.encode())
        Webhook(key_of(secret)).verify(body, headers)
        if secret.startswith("whsec_"):
            Webhook(secret).verify(body.encode(), headers)


@needs_node
def test_W2_node_accepts_a_thousand_events_that_it_serialises_anew():
    rows = events()
    told = [
        [secret, body, headers["X-Webhook-Signature"]]
        for (secret, body), headers in zip(rows, signatures(rows), strict=True)
    ]
    program = (
        "const crypto = require('node:crypto'); let bad = 0;"
        "for (const [secret, body, given] of JSON.parse(require('node:fs').readFileSync(0, 'utf8'))) {"
        "  const made = crypto.createHmac('sha256', secret).update(JSON.stringify(JSON.parse(body))).digest('hex');"
        "  if (made !== given) bad += 1; } console.log(bad);"
    )
    answered = subprocess.run([NODE, "-e", program], input=json.dumps(told).encode(), capture_output=True, check=True)
    assert answered.stdout == b"0\n"


@needs_php
def test_W2_php_accepts_a_thousand_events():
    rows = events()
    told = [
        [secret, body, headers["X-Webhook-Signature"]]
        for (secret, body), headers in zip(rows, signatures(rows), strict=True)
    ]
    program = (
        "$bad = 0; foreach (json_decode(stream_get_contents(STDIN)) as [$secret, $body, $given])"
        " if (!hash_equals(hash_hmac('sha256', $body, $secret), $given)) $bad++; echo $bad;"
    )
    answered = subprocess.run([PHP, "-r", program], input=json.dumps(told).encode(), capture_output=True, check=True)
    assert answered.stdout == b"0"


def test_W2_the_published_test_vector_of_standard_webhooks():
    """Source: the specification's reference libraries, "sign" with a fixed secret, id, time and payload."""
    secret, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", datetime.fromtimestamp(1614265330, UTC)
    headers = dict(
        headers_for(
            event="x", event_id="msg_p5jXN8AQM9LWM0D4loKWxJek", body='{"test": 2432232314}', at=at, keys=[secret]
        )
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_a_secret_that_is_no_base64_is_its_own_key():
    assert key_of("whsec_AAAA") == b"\0\0\0"
    assert key_of("whsec_!!") == b"whsec_!!"
    assert key_of("whsec_") == b"whsec_"
    assert key_of("my own secret") == b"my own secret"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("open_doors")
def test_W2_rotation_signs_with_both_for_a_day(acme, receiver):
    issued = make_endpoint(acme, receiver.url())
    rotated = rotate_secret(endpoint=issued.endpoint)
    assert rotated.secret != issued.secret
    row = {"transaction_id": "T"}
    record_events(acme.pk, [("topup.failed", row)])
    deliver()
    during = receiver.got[0]
    for secret in (issued.secret, rotated.secret):
        Webhook(secret).verify(during.body, during.headers)
    assert (
        during.headers["x-webhook-signature"]
        == hmac.new(rotated.secret.encode(), during.body, hashlib.sha256).hexdigest()
    )
    assert (
        during.headers["x-webhook-signature-previous"]
        == hmac.new(issued.secret.encode(), during.body, hashlib.sha256).hexdigest()
    )
    left = fresh(issued.endpoint).previous_until - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24, seconds=5)
    run_sql(f"UPDATE accounts_webhookendpoint SET previous_until = {later_sql(-1)}")
    record_events(acme.pk, [("topup.failed", row)])
    make_due()
    deliver()
    after = receiver.got[1]
    Webhook(rotated.secret).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(issued.secret).verify(after.body, after.headers)
    assert "x-webhook-signature-previous" not in after.headers


@pytest.mark.django_db
def test_S1_secrets_lie_in_the_database_as_ciphertext(acme):
    issued = make_endpoint(acme, "https://example.com/h")
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM accounts_webhookendpoint")
        stored = cursor.fetchone()[0]
    assert issued.secret not in stored
    assert issued.secret[6:] not in stored
    assert issued.secret not in repr(issued)
