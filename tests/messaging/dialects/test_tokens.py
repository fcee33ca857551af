"""PayDunya's tokens: they expire, can be logged out, end with their key, and carry no secret."""

import base64
import json
from datetime import timedelta

import jwt
import pytest
from django.conf import settings

from accounts.models import EndedToken
from accounts.services import tokens
from accounts.services.keys import revoke_api_key
from crm.common.sql import database_now
from tests.messaging.dialects.cast import FORM

pytestmark = pytest.mark.django_db


def code_of(acme, token: str) -> str:
    return acme.paydunya("sms/stats", acme.stats_node(), token).json()["code"]


def login(acme, body=None, content_type="application/json"):
    body = body or {"user_key": acme.key, "secret_key": acme.secret}
    return acme.call("POST", "/api/v1/auth/login", body, content_type)


def test_login_arrives_as_JSON_form_or_multipart(acme):
    form = f"user_key={acme.key}&secret_key={acme.secret}"
    multipart = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("user_key", acme.key), ("secret_key", acme.secret))
    )
    for response in (
        login(acme),
        login(acme, form, FORM),
        login(acme, multipart + "--x--\r\n", "multipart/form-data; boundary=x"),
    ):
        assert response.json()["expires_in"] == 3600
        assert code_of(acme, response.json()["access_token"]) == "00"


def test_a_token_is_HS256_lasts_an_hour_and_carries_no_secret(acme):
    token = acme.token()
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(claims) == {"sub", "jti", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == 3600
    opened = base64.urlsafe_b64decode(token.split(".")[1] + "==").decode()
    for value in (acme.key, acme.secret, acme.app_key, acme.issued.key_hash, acme.issued.secret_hash):
        assert value not in opened


def test_a_token_expires_by_the_databases_clock(acme, monkeypatch):
    token = acme.token()
    later = database_now() + timedelta(seconds=tokens.SECONDS - 5)
    monkeypatch.setattr(tokens, "database_now", lambda: later)
    assert code_of(acme, token) == "00"
    monkeypatch.setattr(tokens, "database_now", lambda: later + timedelta(seconds=6))
    assert code_of(acme, token) == "ERROR_121"


def test_a_token_logged_out_is_over_and_others_live_on(acme):
    token, other = acme.token(), login(acme).json()["access_token"]
    assert token != other
    assert acme.paydunya("auth/logout", b"", token).json()["code"] == "00"
    assert code_of(acme, token) == "ERROR_124"
    assert acme.paydunya("auth/logout", b"", token).json()["code"] == "ERROR_124"
    assert code_of(acme, other) == "00"


def test_T4_a_token_ends_with_its_key(acme):
    token = acme.token()
    revoke_api_key(key=acme.issued)
    assert code_of(acme, token) == "ERROR_122"


def _signed(claims, key=None, algorithm="HS256"):
    return jwt.encode(claims, tokens._signing_key() if key is None else key, algorithm=algorithm)


def test_forged_tokens_are_refused(acme):
    good = jwt.decode(acme.token(), options={"verify_signature": False})
    unsigned = _signed(good, "", "none")
    head, body, signature = acme.token().split(".")
    other = base64.urlsafe_b64encode(json.dumps(good | {"sub": "2"}).encode()).decode().rstrip("=")
    forged = (
        _signed(good, settings.SECRET_KEY), _signed(good, "x" * 32), unsigned, f"{head}.{other}.{signature}",
        f"{head}.{body}.", f"{head}.{body}", "x" * 100_000, "é.é.é", f"{head}.{body}.{signature}x",
        _signed({name: value for name, value in good.items() if name != "exp"}),
        _signed(good, tokens._signing_key() * 2, "HS512"),
    )  # fmt: skip
    for token in forged:
        assert code_of(acme, token) == "ERROR_122", token[:80]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic x", "x"])
def test_no_token_is_ERROR_123(acme, header):
    response = acme.call("POST", "/api/v1/sms/send", {}, Authorization=header)
    assert response.json()["code"] == "ERROR_123"


def test_expired_marks_are_swept_and_others_stay(acme):
    acme.paydunya("auth/logout", b"")
    assert tokens.forget_expired_tokens() == 0
    EndedToken.objects.for_client(acme.client).update(expires_at=database_now() - timedelta(seconds=1))
    assert tokens.forget_expired_tokens() == 1
