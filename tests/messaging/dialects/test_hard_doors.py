"""Hostile requests at every door of every dialect: never a 5xx, never HTML, always the dialect's own body (U1, U2)."""

import json
import logging
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.http import HttpResponse
from django.urls import get_resolver, resolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.serving import programs
from messaging.dialects.paydunya.views import LogoutView
from messaging.models import Message
from tests.messaging.dialects.cast import FORM, Program

pytestmark = pytest.mark.django_db

# dialect → method and path of each door; the paths are formats with an id.
DOORS = [
    ("mifumo", "POST", "/api/integration/v1/sms/send/"),
    ("mifumo", "GET", "/api/integration/v1/sms/status/msg_000000001/"),
    ("mifumo", "GET", "/api/integration/v1/sms/delivery-reports/"),
    ("mifumo", "GET", "/api/integration/v1/sms/balance/"),
    ("mifumo", "GET", "/api/integration/v1/nowhere"),
    ("texin", "GET", "/api/"),
    ("texin", "GET", "/api/test_connection"),
    ("texin", "POST", "/api/send_sms"),
    ("texin", "POST", "/api/send_bulk_sms"),
    ("texin", "POST", "/api/check_status"),
    ("texin", "POST", "/api/get_balance"),
    ("texin", "POST", "/api/nowhere"),
    ("paydunya", "POST", "/api/v1/auth/login"),
    ("paydunya", "POST", "/api/v1/sms/send"),
    ("paydunya", "POST", "/api/v1/sms/stats"),
    ("paydunya", "POST", "/api/v1/nowhere"),
    ("smspresto", "GET", "/console/api/"),
    ("smspresto", "POST", "/console/api/"),
    ("smspresto", "GET", "/console/nowhere"),
]
IDS = [f"{method} {path}" for _, method, path in DOORS]


def check(dialect: str, response: HttpResponse) -> Any:
    """Asserts that an answer is in the dialect's body, whatever it says, and returns it."""
    assert response.status_code < 500, response.content
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    body = json.loads(response.content)
    if dialect == "mifumo":
        names = {"success", "message", "error_code", "details"} | ({"data"} if body["success"] else set())
        assert set(body) == names
        assert body["success"] is (response.status_code == 200)
    elif dialect == "texin":
        assert body["success"] is (response.status_code == 200)
        assert body["success"] or {"message", "error"} <= set(body)
    elif dialect == "paydunya":
        assert set(body) == {"access_token", "token_type", "expires_in"} or {"code", "message", "description"} <= set(
            body
        )
        assert (response.status_code == 200) is (body.get("code", "00") == "00")
    else:
        assert response.status_code == 200
        if isinstance(body, dict) and "TOTAL" not in body:
            assert set(body) == {"status", "message", "message-count"}
    return body


def headers_of(program: Program, dialect: str) -> dict[str, str]:
    if dialect == "mifumo":
        return {"Authorization": f"Bearer {program.key}"}
    return {"Authorization": f"Bearer {program.token()}"} if dialect == "paydunya" else {}


def good_body(program: Program, path: str) -> dict[str, Any]:
    """A request that the door would take."""
    if "paydunya" in path or path.startswith("/api/v1"):
        if path.endswith("login"):
            return {"user_key": program.key, "secret_key": program.secret}
        if path.endswith("stats"):
            return program.stats_node({"receiver_address": [{"value": "+254712345678"}]})
        return program.send_node({"from": "HOSPITAL", "to": "+254712345678", "text": "Habari"})
    if path.startswith("/console"):
        return {"user": program.key, "pass": program.secret, "action": "sendsms", "from": "HOSPITAL",
                "message": "Habari", "to": [{"recipient": "254712345678"}]}  # fmt: skip
    if "integration" in path:
        return {"message": "Habari", "recipients": ["+254712345678"], "sender_id": "HOSPITAL", "schedule_time": None}
    return {"api_key": program.key, "recipient": "0712345678", "recipients": ["0712345678"], "message": "Habari",
            "message_id": "API-1", "sender_id": "HOSPITAL"}  # fmt: skip


@pytest.fixture(autouse=True)
def unlimited(request) -> None:
    if "acme" in request.fixturenames:
        acme = request.getfixturevalue("acme")
        acme.client.rate_limit = 1_000_000
        acme.client.save()


@pytest.mark.parametrize(("dialect", "right", "path"), DOORS, ids=IDS)
def test_a_wrong_method_is_told_in_the_dialects_words(acme, dialect, right, path):
    body, headers = json.dumps(good_body(acme, path)), headers_of(acme, dialect)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"):
        response = acme.call(method, path, body, **headers)
        check(dialect, response)
        if response.status_code == 405:
            assert method not in response["Allow"]


TEXT = '{"message": "Kar%sibu", "user": "x", "api_key": "x", "user_key": "x"}'
BODIES: dict[str, str | bytes] = {
    "nothing": b"",
    "spaces": "  \n",
    "cut off": TEXT[:-1],
    "array": "[]",
    "array of objects": "[{}]",
    "string": '"x"',
    "number": "5",
    "null": "null",
    "NaN": '{"message": NaN}',
    "huge number": '{"message": ' + "9" * 5000 + "}",
    "NUL": TEXT % "\\u0000",
    "raw NUL": TEXT % "\x00",
    "lone surrogate": TEXT % "\\ud83d",
    "broken UTF-8": (TEXT % "~").encode().replace(b"~", b"\xff"),
    "Latin-1": (TEXT % "é").encode("latin-1"),
    "UTF-16": (TEXT % "").encode("utf-16"),
    "deep": "[" * 100_000,
    "deep objects": '{"a":' * 5_000 + "1" + "}" * 5_000,
    "deep in data": "data=" + quote('{"a":' * 5_000 + "1" + "}" * 5_000),
    "gzip": b"\x1f\x8b\x08\x00",
    "HTML": "<html></html>",
    "many fields": "&".join(f"f{number}=1" for number in range(3000)),
    "broken percent": "user=%&pass=%zz&api_key=%ff%00",
    "list and word of a name": "user[]=a&user=b&api_key[]=a&user_key[]=x&secret_key[]=y",
    "one name many times": "&".join(["user=a", "pass=b", "api_key=c"] * 300),
    "data is an array": "data=[1,2]",
    "data is broken": "data={",
    "data in data": 'data={"data": "{}", "user": ["x"], "pass": {}}',
    "over a mebibyte": b"x" * ((1 << 20) + 1),
    "JSON over a mebibyte": json.dumps({"message": "x" * (1 << 20)}),
}
TYPES = ["application/json", FORM, "text/plain", "", "application/xml", "multipart/form-data", "///;;=",
         "multipart/form-data; boundary=x", "application/json; charset=utf-16"]  # fmt: skip


@pytest.mark.parametrize(("dialect", "method", "path"), DOORS, ids=IDS)
def test_U2_a_body_no_program_should_send_is_refused_and_has_no_effect(acme, dialect, method, path):
    headers = headers_of(acme, dialect)
    for body in BODIES.values():
        for kind in TYPES:
            check(dialect, acme.call("POST", path, body, kind, **headers))
    assert Message.objects.unscoped().count() == 0


ODD = [None, True, 0, -1, 2**63, 1.5, 1e308, "", " ", "\u202e", "'; --", "x" * 5000, [], [[]], {}, {"a": 1}, ["x"],
       [None], [{}], "٠٧١٢٣٤٥٦٧٨", "msg_" + "9" * 400, "MSG-٣", "API--1", "9" * 19, "%00"]  # fmt: skip


def places(value: Any, path: tuple = ()):
    """Every place inside a JSON value, itself included."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def replaced(value: Any, path: tuple, new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize(("dialect", "method", "path"), DOORS, ids=IDS)
def test_U1_no_value_in_any_place_of_a_request_breaks_a_door(acme, dialect, method, path):
    headers, good = headers_of(acme, dialect), good_body(acme, path)
    for place in places(good):
        for odd in ODD:
            check(dialect, acme.call("POST", path, json.dumps(replaced(good, place, odd)), **headers))


QUERIES = ["page=0", "page=" + "9" * 5000, "page=x", "per_page=-1", "status[]=sent", "start_date=%00",
           "end_date=9999-12-31",
           "start_date=0001-01-01", "start_date=2024-01-01T00:00:00%2B14:00", "end_date=9999-12-31T23:59:59-12:00",
           "status=sent&status=failed", "%ff=%ff", "=", "&&&;;", "page=1&page[]=2", "x" * 10_000,
           "&".join(f"a{number}=" for number in range(3000))]  # fmt: skip


@pytest.mark.parametrize(("dialect", "method", "path"), DOORS, ids=IDS)
def test_U1_no_query_breaks_a_door(acme, dialect, method, path):
    secret = urlencode({"user": acme.key, "pass": acme.secret, "action": "list-archive"})
    for query in QUERIES:
        own = f"{secret}&dateFrom=x&{query}" if dialect == "smspresto" else query
        check(dialect, acme.call(method, f"{path}?{own}", b"", **headers_of(acme, dialect)))
    for name in ("from", "to", "dateFrom", "dateTo"):
        for odd in ("-1", "9" * 5000, "x", "9999-12-31", "0001-01-01", "٣", "1e5", "2017-02-30"):
            if dialect == "smspresto":
                check(dialect, acme.call(method, f"{path}?{secret}&{name}={quote(odd)}"))


@pytest.mark.parametrize(
    "identifier", ["%00", "%ff", "x" * 3000, "msg_", "msg_-1", "..%2f..", "%F0%9F%98%80", "0", "-1"]
)
def test_U1_no_id_in_an_address_breaks_it(acme, identifier):
    response = acme.call("GET", f"/api/integration/v1/sms/status/{identifier}/", **headers_of(acme, "mifumo"))
    assert check("mifumo", response)["error_code"] == "MESSAGE_NOT_FOUND"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40) | st.sampled_from(["+254712345678", "HOSPITAL", "application", "sendsms", "0712345678"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize(("dialect", "method", "path"), DOORS, ids=IDS)
def test_U1_fuzz(acme, dialect, method, path):
    """Some hundred requests a door: a good one with pieces replaced, and bytes of any kind under any content type."""
    headers, good = headers_of(acme, dialect), good_body(acme, path)
    every_place = list(places(good))

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(place=st.sampled_from(every_place), value=json_values)
    def pieces(place: tuple, value: Any) -> None:
        raw = json.dumps(replaced(good, place, value))
        check(dialect, acme.call("POST", path, raw, **headers))

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(raw=st.binary(max_size=200), kind=st.sampled_from(TYPES), query=st.text(max_size=60))
    def bytes_of_any_kind(raw: bytes, kind: str, query: str) -> None:
        where = f"{path}?{quote(query.encode('utf-8', 'surrogatepass'), safe='&=%[];')}"
        for verb in ("GET", "POST"):
            check(dialect, acme.call(verb, where, raw, kind, **headers))

    pieces()
    bytes_of_any_kind()


@pytest.mark.parametrize(
    ("dialect", "path", "told"),
    [
        ("mifumo", "/api/integration/v1/sms/send/", {"error_code": "INTERNAL_ERROR"}),
        ("texin", "/api/send_sms", {"success": False}),
        ("paydunya", "/api/v1/sms/send", {"code": "ERROR_116"}),
        ("smspresto", "/console/api/", {"status": 500}),
    ],
)
def test_what_breaks_inside_is_told_in_the_dialect_and_logged_without_the_request(
    acme, monkeypatch, caplog, dialect, path, told
):
    def broken(**_: Any) -> None:
        raise RuntimeError("broken inside")

    headers = headers_of(acme, dialect)
    monkeypatch.setattr(import_module(f"messaging.dialects.{dialect}.views"), "accept_messages", broken)
    response = acme.call("POST", path, good_body(acme, path), **headers)
    assert response.status_code == (200 if dialect == "smspresto" else 500)
    assert told.items() <= json.loads(response.content).items()
    assert "broken inside" not in response.content.decode()
    assert "broken inside" in caplog.text
    for secret in (acme.key, acme.secret, acme.app_key, "Habari", "712345678"):
        assert secret not in caplog.text


def test_S2_no_key_text_or_number_reaches_the_log_or_an_answer(acme, caplog):
    with caplog.at_level(logging.DEBUG):
        for dialect, method, path in DOORS:
            body = good_body(acme, path)
            for sent in (json.dumps(body), urlencode(body), "{" + json.dumps(body)):
                response = acme.call(method, path, sent, FORM, **headers_of(acme, dialect))
                shown = response.content.decode()
                assert not [value for value in (acme.key, acme.secret, acme.app_key) if value in shown]
        query = urlencode({"user": acme.key, "pass": acme.secret, "action": "sendsms", "from": "HOSPITAL",
                           "to": "254712345678", "message": "siri kubwa"})  # fmt: skip
        for path in ("/console/api/", "/console/nowhere", "/api/nowhere", "/nowhere"):
            acme.call("GET", f"{path}?{query}")
            acme.call("POST", f"{path}?{query}")
    shown = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("django.db"))
    for secret in (acme.key, acme.secret, acme.app_key, acme.token(), "siri kubwa", "Habari", "712345678"):
        assert secret not in shown


def test_S2_the_server_writes_no_log_of_addresses():
    """Granian's access log prints the query, in which SMSPresto's keys stand; it is off unless it is asked for."""
    web = next(program for program in programs(sandbox=False, shared=False) if program.name == "web")
    assert not [word for word in web.argv if "access-log" in word]


def test_every_door_of_a_dialect_is_walked():
    """A new address in a dialect's urls.py must be added to DOORS. Logging out has its own tests: it ends the walk."""

    def walk(resolver: Any, prefix: str = ""):
        for entry in resolver.url_patterns:
            route = prefix + str(entry.pattern)
            yield from walk(entry, route) if hasattr(entry, "url_patterns") else [(route, entry.callback)]

    views = {
        callback.view_class
        for _, callback in walk(get_resolver())
        if getattr(getattr(callback, "view_class", None), "__module__", "").startswith("messaging.dialects.")
    }
    assert {resolve(path).func.view_class for _, _, path in DOORS} | {LogoutView} == views
