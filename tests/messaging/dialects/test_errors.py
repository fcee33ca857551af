"""Each documented error code is reached by a real request, moves nothing, and every refusal has its row."""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.http import HttpResponse

import accounts.errors
import contacts.errors
import messaging.errors
import messaging.services.accept
import wallet.errors
from accounts.services.clients import suspend_client
from accounts.services.keys import create_api_key, revoke_api_key
from contacts.services import record_opt_out
from crm.common.errors import DomainError
from messaging.dialects.paydunya.errors import CODES as PAYDUNYA_CODES
from messaging.dialects.smspresto.errors import CODES as PRESTO_CODES
from messaging.models import Message, Route, SenderId
from tests.factories import make_key
from tests.messaging.dialects.cast import FORM, Program
from wallet.models import Rate, Wallet
from wallet.services import create_price_plan, set_price_plan

pytestmark = pytest.mark.django_db

SENT = {"message": "Habari", "recipients": ["+254712345678"]}
SMS = {"from": "HOSPITAL", "to": "+254712345678", "text": "Habari"}
PRESTO = {"from": "HOSPITAL", "to": "254712345678", "message": "Habari"}
LONG = "x" * 481


def suspend(acme: Program) -> None:
    suspend_client(client=acme.client, reason="Unpaid")


def poor(acme: Program) -> None:
    plan = create_price_plan(name="Dear", currency="KES", price_per_unit=5000)
    set_price_plan(client=acme.client, plan=plan)


def opt_out(acme: Program) -> None:
    record_opt_out(client_id=acme.client.pk, channel="sms", address="+254712345678", source="staff")


def no_price(acme: Program) -> None:
    Rate.objects.all().update(country="TZ")


def no_route(acme: Program) -> None:
    Route.objects.all().delete()


def no_default(acme: Program) -> None:
    SenderId.objects.for_client(acme.client).update(is_default=False)


def narrow(acme: Program) -> None:
    """A key that may do nothing but read webhooks."""
    issued = make_key(acme.client, scopes=["webhooks"])
    acme.key, acme.secret, acme.app_key = issued.api_key, issued.api_secret, issued.app_key


def elsewhere(acme: Program) -> None:
    """A key for another address than the caller's."""
    issued = create_api_key(
        client=acme.client, name="Far", scopes=["messages:send", "wallet:read"], allowed_addresses=["192.0.2.1"]
    )
    acme.key, acme.secret, acme.app_key = issued.api_key, issued.api_secret, issued.app_key


def revoke(acme: Program) -> None:
    revoke_api_key(key=acme.issued)


def limit(acme: Program) -> None:
    """One call a minute, and it is spent."""
    acme.token()
    acme.client.rate_limit = 1
    acme.client.save()


Call = Callable[[Program], HttpResponse]


def mifumo(body: Any = None, method: str = "POST", path: str = "sms/send/", key: str | None = None) -> Call:
    return lambda acme: acme.mifumo(method, path, SENT if body is None else body, key)


def texin(path: str = "send_sms", **fields: Any) -> Call:
    return lambda acme: acme.texin(path, **({"recipient": "0712345678", "message": "Habari"} | fields))


def paydunya(*sms: Any, **changed: Any) -> Call:
    return lambda acme: acme.paydunya("sms/send", acme.send_node(*(sms or (SMS,)), **changed))


def stats(filters: Any = None, **changed: Any) -> Call:
    return lambda acme: acme.paydunya("sms/stats", acme.stats_node(filters, **changed))


def paydunya_raw(body: Any, path: str = "sms/send") -> Call:
    return lambda acme: acme.paydunya(path, body)


def login(**body: Any) -> Call:
    return lambda acme: acme.call("POST", "/api/v1/auth/login", body)


def presto(action: str = "sendsms", **params: Any) -> Call:
    return lambda acme: acme.presto(action, **(PRESTO | params))


@dataclass
class Case:
    code: Any
    status: int
    call: Call
    before: Callable[[Program], None] = lambda acme: None


MIFUMO = [
    Case("AUTHENTICATION_REQUIRED", 401, lambda acme: acme.call("POST", "/api/integration/v1/sms/send/", SENT)),
    Case(
        "AUTHENTICATION_REQUIRED",
        401,
        lambda acme: acme.call("GET", "/api/integration/v1/sms/balance/", Authorization=f"Token {acme.key}"),
    ),
    Case("INVALID_API_KEY", 401, mifumo(key="tk_live_nobody")),
    Case("INVALID_API_KEY", 401, mifumo(), revoke),
    Case("INSUFFICIENT_PERMISSIONS", 403, mifumo(), suspend),
    Case("INSUFFICIENT_PERMISSIONS", 403, mifumo(), narrow),
    Case("INSUFFICIENT_PERMISSIONS", 403, mifumo(), elsewhere),
    Case("MISSING_MESSAGE", 400, mifumo({"recipients": ["+254712345678"]})),
    Case("MISSING_MESSAGE", 400, mifumo(SENT | {"message": " \n"})),
    Case("MISSING_RECIPIENTS", 400, mifumo({"message": "x"})),
    Case("MISSING_RECIPIENTS", 400, mifumo(SENT | {"recipients": []})),
    Case("INVALID_PHONE_FORMAT", 400, mifumo(SENT | {"recipients": ["+254712345678", "0712345678"]})),
    Case("INVALID_PHONE_FORMAT", 400, mifumo(SENT | {"recipients": ["255123456789"]})),
    Case("INVALID_PHONE_FORMAT", 400, mifumo(SENT | {"recipients": [255123456789]})),
    Case("NO_VALID_RECIPIENTS", 400, mifumo(SENT | {"recipients": ["+2547123456"]})),
    Case("NO_VALID_RECIPIENTS", 400, mifumo(), opt_out),
    Case("MESSAGE_NOT_FOUND", 404, mifumo(b"", "GET", "sms/status/msg_999999999/")),
    Case("MESSAGE_NOT_FOUND", 404, mifumo(b"", "GET", "sms/nothing/")),
    Case("SMS_SEND_FAILED", 402, mifumo(), poor),
    Case("SMS_SEND_FAILED", 400, mifumo(), no_price),
    Case("SMS_SEND_FAILED", 502, mifumo(), no_route),
    Case("INVALID_REQUEST", 400, mifumo("{")),
    Case("INVALID_REQUEST", 400, mifumo(SENT | {"schedule_time": "tomorrow"})),
    Case("INVALID_REQUEST", 400, mifumo(SENT | {"schedule_time": "2020-01-01T00:00:00Z"})),
    Case("INVALID_REQUEST", 400, mifumo(SENT | {"sender_id": "NOPE"})),
    Case("INVALID_REQUEST", 400, mifumo(SENT | {"message": LONG})),
    Case("INVALID_REQUEST", 400, mifumo(SENT | {"recipients": "+254712345678"})),
    Case("INVALID_REQUEST", 400, mifumo(b"", "GET", "sms/delivery-reports/?status=read")),
    Case("INVALID_REQUEST", 405, mifumo(b"", "GET")),
    Case("INVALID_REQUEST", 413, mifumo(b"x" * (1 << 21))),
    Case("RATE_LIMIT_EXCEEDED", 429, lambda acme: [mifumo()(acme), mifumo()(acme)][1], limit),
]
TEXIN = [
    Case(None, 401, texin(api_key=None)),
    Case(None, 401, texin(api_key="x")),
    Case(None, 401, texin(api_key=["x"])),
    Case(None, 401, texin(), revoke),
    Case(None, 403, texin(), suspend),
    Case(None, 403, texin(), narrow),
    Case(None, 400, texin(recipient="")),
    Case(None, 400, texin(message=None)),
    Case(None, 400, texin(message=LONG)),
    Case(None, 400, texin(message=["x"])),
    Case(None, 400, texin(recipient="12")),
    Case(None, 400, texin(sender_id="NOPE")),
    Case(None, 400, texin(sender_id=["HOSPITAL"])),
    Case(None, 400, texin(), no_default),
    Case(None, 400, texin(), poor),
    Case(None, 400, texin(), opt_out),
    Case(None, 400, texin(), no_price),
    Case(None, 400, texin(), no_route),
    Case(None, 400, texin("send_bulk_sms", recipients=[])),
    Case(None, 400, texin("send_bulk_sms", recipients=["12", "x"])),
    Case(None, 400, texin("send_bulk_sms", recipients={"a": 1})),
    Case(None, 400, lambda acme: acme.call("POST", "/api/send_sms", "{")),
    Case(None, 404, texin("check_status", message_id="API-999999")),
    Case(None, 404, texin("nowhere")),
    Case(None, 405, lambda acme: acme.call("GET", "/api/send_sms")),
    Case(None, 413, lambda acme: acme.call("POST", "/api/send_sms", b"x" * (1 << 21))),
    Case(None, 429, lambda acme: [texin()(acme), texin()(acme)][1], limit),
]
PAYDUNYA = [
    Case("ERROR_123", 401, lambda acme: acme.call("POST", "/api/v1/sms/send", acme.send_node(SMS))),
    Case("ERROR_122", 401, lambda acme: acme.paydunya("sms/send", acme.send_node(SMS), "a.b.c")),
    Case("ERROR_122", 401, lambda acme: [acme.token(), revoke(acme), paydunya()(acme)][2]),
    Case("ERROR_124", 401, lambda acme: [acme.paydunya("auth/logout", b""), paydunya()(acme)][1]),
    Case("ERROR_104", 400, paydunya_raw("{")),
    Case("ERROR_104", 400, paydunya_raw({})),
    Case("ERROR_104", 400, paydunya_raw({"send_sms_request": []})),
    Case("ERROR_105", 400, paydunya(sms="x")),
    Case("ERROR_105", 400, paydunya("x", type="other")),
    Case("ERROR_105", 400, stats([1])),
    Case("ERROR_106", 400, paydunya(type="person", app_key="x")),
    Case("ERROR_107", 403, paydunya(app_key="x", sms=[])),
    Case("ERROR_107", 403, paydunya(app_key=None)),
    Case("ERROR_107", 403, lambda acme: [acme.token(), suspend(acme), paydunya()(acme)][2]),
    Case("ERROR_107", 403, paydunya(), narrow),
    Case("ERROR_109", 400, paydunya(sms=[])),
    Case("ERROR_111", 400, paydunya(*[SMS] * 51)),
    Case("ERROR_108", 400, paydunya(SMS | {"from": "waaaay too long!", "to": "x", "text": ""})),
    Case("ERROR_108", 400, paydunya(SMS | {"from": ["HOSPITAL"]})),
    Case("ERROR_108", 400, paydunya(SMS | {"from": ""}), no_default),
    Case("ERROR_110", 400, paydunya(SMS | {"to": "+2217", "text": ""})),
    Case("ERROR_110", 400, paydunya(SMS | {"to": None})),
    Case("ERROR_110", 400, paydunya(), opt_out),
    Case("ERROR_110", 400, paydunya(), no_price),
    Case("ERROR_112", 400, paydunya(SMS | {"text": "  "})),
    Case("ERROR_112", 400, paydunya(SMS | {"text": 7})),
    Case("ERROR_113", 400, paydunya(SMS | {"text": LONG})),
    Case("ERROR_102", 402, paydunya(), poor),
    Case("ERROR_101", 502, paydunya(), no_route),
    Case("ERROR_114", 400, stats({"start_date": "2018-13-01 00:00:00"})),
    Case("ERROR_115", 400, stats({"end_date": "2018-01-01"})),
    Case("ERROR_115", 400, stats({"end_date": 5})),
    Case("ERROR_117", 401, lambda acme: login(user_key=acme.key, secret_key="x")(acme)),
    Case("ERROR_118", 401, lambda acme: login(user_key=acme.key)(acme)),
    Case("ERROR_118", 401, login()),
    Case("ERROR_120", 404, login(user_key="nobody", secret_key="x")),
    Case("ERROR_125", 429, lambda acme: [paydunya()(acme), paydunya()(acme)][1], limit),
]
PRESTO_CASES = [
    Case(1, 200, presto(user="")),
    Case(1, 200, presto(**{"pass": ""})),
    Case(1, 200, presto(), suspend),
    Case(1, 200, presto(), narrow),
    Case(1, 200, lambda acme: acme.call("POST", "/console/api/", "{")),
    Case(10, 200, presto(user="nobody")),
    Case(10, 200, presto(), revoke),
    Case(11, 200, presto(**{"pass": "wrong"})),
    Case(100, 200, presto(**{"from": "NOPE"})),
    Case(100, 200, presto(**{"from": ""})),
    Case(101, 200, presto(**{"from": "MOREthan11ch"})),
    Case(102, 200, presto(to="")),
    Case(102, 200, presto(to="254712345678,22521000000")),
    Case(102, 200, presto(), opt_out),
    Case(102, 200, presto(), no_price),
    Case(102, 200, presto(), no_route),
    Case(103, 200, presto(message="")),
    Case(103, 200, presto(message=LONG)),
    Case(104, 200, presto(), poor),
    Case(105, 200, lambda acme: [presto()(acme), presto()(acme)][1], limit),
    Case(106, 200, presto("dance")),
    Case(106, 200, lambda acme: acme.call("DELETE", "/console/api/")),
    Case(106, 200, lambda acme: acme.call("GET", "/console/elsewhere")),
    Case(107, 200, presto("list-archive", dateFrom="yesterday")),
    Case(107, 200, lambda acme: acme.call("POST", "/console/api/", b"x" * (1 << 21))),
]


def run(acme: Program, case: Case) -> dict[str, Any]:
    """The answer's body; nothing was written or charged that a first, allowed call did not write."""
    case.before(acme)
    written, balance = Message.objects.unscoped().count(), Wallet.objects.for_client(acme.client).get().balance_micros
    response = case.call(acme)
    assert response.status_code == case.status, response.content
    assert response["Content-Type"] == "application/json"
    if case.before is limit:
        if case.status == 429:
            assert 1 <= int(response["Retry-After"]) <= 60
    else:
        assert Message.objects.unscoped().count() == written
        assert Wallet.objects.for_client(acme.client).get().balance_micros == balance
    return json.loads(response.content)


def names(cases: list[Case]) -> list[str]:
    return [f"{number}-{case.code or case.status}" for number, case in enumerate(cases)]


@pytest.mark.parametrize("case", MIFUMO, ids=names(MIFUMO))
def test_mifumo_refuses(acme, case):
    body = run(acme, case)
    assert list(body) == ["success", "message", "error_code", "details"]
    assert (body["success"], body["error_code"]) == (False, case.code)
    assert body["message"]
    if case.code in ("INVALID_PHONE_FORMAT", "NO_VALID_RECIPIENTS", "SMS_SEND_FAILED"):
        assert body["details"]


@pytest.mark.parametrize("case", TEXIN, ids=names(TEXIN))
def test_texin_refuses(acme, case):
    body = run(acme, case)
    assert list(body)[:3] == ["success", "message", "error"]
    assert body["success"] is False
    assert body["error"]
    if "send" in body["message"].lower():
        assert isinstance(body["sender_id_used"], str)


@pytest.mark.parametrize("case", PAYDUNYA, ids=names(PAYDUNYA))
def test_paydunya_refuses(acme, case):
    message, description, _ = PAYDUNYA_CODES[case.code]
    assert run(acme, case) == {"code": case.code, "message": message, "description": description}


@pytest.mark.parametrize("case", PRESTO_CASES, ids=names(PRESTO_CASES))
def test_smspresto_refuses(acme, case):
    body = run(acme, case)
    assert list(body) == ["status", "message", "message-count"]
    assert (body["status"], body["message-count"]) == (case.code, 0)
    assert body["message"].startswith(PRESTO_CODES[case.code])


def test_every_code_of_each_contract_is_reached():
    told_by_tokens = {"ERROR_121"}  # test_tokens.py: an hour must pass
    broken_inside = {"ERROR_116", 500}  # test_hard_doors.py: something must break
    assert {case.code for case in PAYDUNYA} | told_by_tokens | broken_inside >= set(PAYDUNYA_CODES)
    assert {case.code for case in PRESTO_CASES} | broken_inside >= set(PRESTO_CODES)


# Refusals of doors that no dialect has: campaigns, contacts, money by hand, idempotency keys, webhooks, top-ups, teams.
UNREACHABLE = {
    "invitation_over", "last_owner", "not_allowed",
    "adjustment_refused", "refund_mismatch", "reservation_short", "quote_changed", "conflict", "request_in_progress",
    "idempotency_key_reused", "invalid_request", "channel_not_available", "checked_just_now", "payment_refused",
    "invalid_address", "invalid_mail", "prompt_open", "repeat_blocked", "same_amount_again", "topups_closed",
    "window_closed", "still_counting",
}  # fmt: skip
OWN_WAY_IN = {
    "mifumo": {"credentials_missing", "wrong_secret", "wrong_app_key", "token_missing", "token_invalid",
               "token_expired", "token_ended"},
    "texin": {"credentials_missing", "wrong_secret", "wrong_app_key", "token_missing", "token_invalid",
              "token_expired", "token_ended"},
    "paydunya": set(),
    "smspresto": {"wrong_app_key", "token_missing", "token_invalid", "token_expired", "token_ended"},
}  # fmt: skip


def every_code(dialect: str) -> set[str]:
    """The codes of all refusals defined in what a dialect's calls run through, and in the dialect itself."""
    modules = {
        module.__name__ for module in (accounts.errors, contacts.errors, messaging.errors, messaging.services.accept,
                                       wallet.errors)
    } | {"crm.common.errors", "crm.common.phones", "crm.common.text_units", "messaging.dialects.ground",
         f"messaging.dialects.{dialect}.errors"}  # fmt: skip

    def walk(kind: type[DomainError]) -> set[type[DomainError]]:
        return {kind}.union(*(walk(sub) for sub in kind.__subclasses__()))

    return {kind.code for kind in walk(DomainError) if kind.__module__ in modules}


@pytest.mark.parametrize("dialect", ["mifumo", "texin", "paydunya", "smspresto"])
def test_a_dialect_has_a_row_for_every_refusal_it_can_meet(dialect):
    rows = set(importlib.import_module(f"messaging.dialects.{dialect}.errors").ERRORS)
    codes = every_code(dialect) - UNREACHABLE - OWN_WAY_IN[dialect]
    assert codes - rows == set()


def test_a_form_is_read_where_the_contract_says_so(acme):
    form = f"api_key={acme.key}&recipients[]=0712345678&recipients[]=0722345678&message=Habari"
    assert acme.call("POST", "/api/send_bulk_sms", form, FORM).json()["statistics"]["successful"] == 2
    form = f"api_key={acme.key}&recipients=0712345678,0722345678&message=Habari%20tena"
    assert acme.call("POST", "/api/send_bulk_sms", form, FORM).json()["statistics"]["successful"] == 2
