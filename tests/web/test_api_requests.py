"""The last API requests: what is listed, what is never kept, and that no call waits for it."""

import json
import re
import time
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import ApiRequest, Client, Role
from accounts.requests import recording
from accounts.requests.middleware import ApiRequestMiddleware
from accounts.requests.recording import KEPT, forget_requests, keep_newest, recorder
from accounts.requests.redacting import redact_body, redact_path, redact_query
from accounts.services.keys import revoke_api_key
from crm.opening import open_ready_client
from messaging.models import Message
from tests.factories import make_client, make_key
from tests.web.conftest import PASSWORD, add_member

URL = "/app/settings/api-webhooks/requests"


@pytest.fixture(autouse=True)
def _nothing_waits():
    recorder.__init__()
    yield
    recorder.__init__()


@pytest.fixture
def key(acme):
    return make_key(acme)


def call(client, key, path="client/balance", method="get", body=None, **headers):
    ask = getattr(Browser(raise_request_exception=False), method)
    given = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    return ask(f"/api/{client.pk}/{path}", headers={"X-API-KEY": key.api_key, **headers}, **given)


def lines(client):
    recorder.flush()
    return list(ApiRequest.objects.for_client(client).order_by("pk"))


def test_a_call_is_listed_with_what_it_was_told(acme, key, browser):
    response = call(acme, key, "messages/send", "post", {"channel": "fax", "recipient": "254712345678"})
    (line,) = lines(acme)
    assert line.request_id == response["X-Request-ID"]
    assert (line.method, line.path, line.status, line.error_code) == (
        "POST", f"/api/{acme.pk}/messages/send", 400, "INVALID_REQUEST",
    )  # fmt: skip
    assert (line.api_key_id, line.address) == (key.key.pk, "127.0.0.1")
    page = browser.get(f"{URL}?open={line.pk}").content.decode()
    for told in (
        "POST",
        "messages/send",
        "400",
        "INVALID_REQUEST",
        "Shop",
        line.request_id,
        "•••678",
        "&quot;fax&quot;",
    ):
        assert told in page
    assert "254712345678" not in page


def test_each_answer_has_a_number_of_its_own(acme, key):
    numbers = {call(acme, key)["X-Request-ID"] for _ in range(3)}
    numbers.add(Browser().get("/api/health")["X-Request-ID"])
    assert len(numbers) == 4
    assert all(re.fullmatch(r"[0-9a-f]{16}", number) for number in numbers)
    assert not Browser().get("/docs").has_header("X-Request-ID")


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ({"recipient": "0712 345 678", "body": "Your test is positive", "sender": "HOSPITAL", "reference": "patient 7"},
         {"recipient": "•••678", "body": "•••(21)", "sender": "HOSPITAL", "reference": "•••(9)"}),
        ({"recipients": ["254712345678", "+254723456789", 254734567890, "12", "5"], "message": "x"},
         {"recipients": ["•••678", "•••789", "•••890", "… 2"], "message": "•••(1)"}),
        ({"variables": {"status": "HIV", "code": 1234}, "page": 2, "active": True},
         {"variables": {"status": "•••(3)", "code": "•••"}, "page": 2, "active": True}),
        ({"api_key": "tk_live_0a1b2c3d_" + "x" * 32, "app_key": "a", "password": "b", "type": "tk_live_0a1b2c3d_xx"},
         {"api_key": "•••", "app_key": "•••", "password": "•••", "type": "•••"}),
        ({"254712345678": 1, "sms": [{"to": "254712345678", "text": "Siri"}]},
         {"•••678": "•••", "sms": [{"to": "•••678", "text": "•••(4)"}]}),
        ({"name": None, "sender": "254712345678"}, {"name": None, "sender": "•••678"}),
    ],
)  # fmt: skip
def test_texts_numbers_and_credentials_are_not_kept(body, kept):
    assert json.loads(redact_body(json.dumps(body).encode(), "application/json")) == kept


@pytest.mark.parametrize(
    ("raw", "kind"),
    [(b"{broken 254712345678", "application/json"), (b"\xff\xfe", "text/plain"), (b"[" * 5000, "application/json"),
     (b"--x\r\n254712345678", "multipart/form-data; boundary=x"), (b'{"a":"' + b"x" * 70_000 + b'"}', ""),
     (b"&".join(b"a=1" for _ in range(3000)), "application/x-www-form-urlencoded")],
)  # fmt: skip
def test_of_a_body_that_cannot_be_read_only_its_size_is_kept(raw, kind):
    assert redact_body(raw, kind) == f"•••({len(raw)} bytes)"


def test_long_things_are_cut():
    body = json.dumps({f"field {n}": {"x": "y"} for n in range(500)}).encode()
    assert len(redact_body(body, "")) <= 2001
    assert len(redact_query("page=" + "&x=".join("y" * 40 for _ in range(99)))) <= 500
    assert len(redact_path("/api/" + "z" * 900)) == 200


def test_T5_keys_and_people_in_an_address_are_not_kept():
    assert redact_query("user=tk_live_0a1b2c3d_abc&pass=ts_live_abc&action=balance&recipient=%2B254712345678") == (
        "user=•••(20)&pass=•••&action=balance&recipient=•••678"
    )
    assert redact_path("/api/1/sms/status/254712345678") == "/api/1/sms/status/•••678"
    assert redact_path("/api/1/tk_live_0a1b2c3d_abc") == "/api/1/•••"
    assert redact_query("&".join("a=1" for _ in range(200))).startswith("•••(")


def test_T5_a_dialect_with_credentials_in_the_address_leaves_none_behind(acme, key):
    Browser().get("/console/api/", {"user": key.api_key, "pass": key.api_secret, "action": "nothing"})
    (line,) = lines(acme)
    assert (line.method, line.path, line.error_code) == ("GET", "/console/api/", "unknown_action")
    assert key.api_key not in str(vars(line))
    assert key.api_secret not in str(vars(line))


def test_calls_of_the_other_dialects_are_listed(acme, key):
    browser = Browser()
    browser.post("/api/get_balance", json.dumps({"api_key": key.api_key}), content_type="application/json")
    browser.get("/api/integration/v1/sms/balance/", headers={"Authorization": f"Bearer {key.api_key}"})
    assert [line.path for line in lines(acme)] == ["/api/get_balance", "/api/integration/v1/sms/balance/"]


def test_T1_a_call_belongs_to_the_key_and_not_to_the_address(acme, key, stranger):
    assert call(stranger, key).status_code == 403
    assert [line.error_code for line in lines(acme)] == ["UNAUTHORIZED"]
    assert lines(stranger) == []


def test_a_key_that_has_ended_shows_who_still_uses_it(acme, key):
    revoke_api_key(key=key.key)
    assert call(acme, key).status_code == 401
    assert [(line.status, line.error_code) for line in lines(acme)] == [(401, "INVALID_API_KEY")]


def test_a_call_without_a_key_of_ours_is_nobodys(acme):
    Browser().get(f"/api/{acme.pk}/client/balance", headers={"X-API-KEY": "guess"})
    Browser().get(f"/api/{acme.pk}/client/balance")
    assert recorder.flush() == 0


def test_a_rush_leaves_lines_out_but_not_the_refusals(acme, key, monkeypatch):
    monkeypatch.setattr(recording.time, "monotonic", lambda: 1000.0)
    for _ in range(15):
        call(acme, key)
    for _ in range(2):
        call(acme, key, "nowhere-here/5", "post", {})
        call(acme, key, "sms/history?page=x")
    found = [line.status for line in lines(acme)]
    assert found.count(200) == recording.LISTED_A_SECOND
    assert found.count(400) == 2


@pytest.mark.django_db
def test_the_list_stays_short_and_young(settings):
    client, other = make_client(), make_client("Zuri", "zuri@else.test")
    for owner, count in ((client, KEPT + 30), (other, 3)):
        issued = make_key(owner).key
        line = {"client": owner, "api_key": issued, "method": "GET", "path": "/", "status": 200, "milliseconds": 1}
        ApiRequest.objects.bulk_create(
            ApiRequest(request_id=str(number), at=timezone.now() - timedelta(days=number == 2009), **line)
            for number in range(count)
        )
    assert keep_newest(client.pk) == 30
    assert keep_newest(other.pk) == 0
    kept = ApiRequest.objects.for_client(client)
    assert kept.count() == KEPT
    assert not kept.filter(request_id="29").exists()
    assert forget_requests(before=timezone.now() - timedelta(hours=12)) == 1
    assert not kept.filter(request_id="2009").exists()


def test_a_call_costs_no_query_for_its_line(acme, key, django_assert_num_queries):
    call(acme, key)
    recorder.flush()
    call(acme, key)
    with django_assert_num_queries(1):
        recorder.flush()


@pytest.mark.django_db(transaction=True)
def test_a_thread_writes_the_lines_a_moment_later(settings):
    settings.API_REQUEST_LOG_SECONDS = 0.05
    opened = open_ready_client(name="Acme", email="amina@acme.test", password=PASSWORD)
    Browser().get(f"/api/{opened.client.pk}/client/balance", headers={"X-API-KEY": opened.issued.api_key})
    deadline = time.monotonic() + 10
    while not (found := ApiRequest.objects.for_client(opened.client).count()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == 1


def test_the_page_is_filtered(acme, key, browser):
    call(acme, key)
    call(acme, key, "messages/send", "post", {})
    call(acme, key, "sms/status/MSG-7")
    last = lines(acme)[-1]

    def shown(query: str) -> list[str]:
        page = browser.get(f"{URL}?{query}").content.decode()
        return re.findall(r'<span class="mono">(?:GET|POST) /api/\d+/([^<]+)</span>', page)

    assert shown("") == ["sms/status/MSG-7", "messages/send", "client/balance"]
    assert shown("outcome=ok") == ["client/balance"]
    assert shown("outcome=refused") == ["sms/status/MSG-7", "messages/send"]
    assert shown("error_code=not_found") == ["sms/status/MSG-7"]
    assert shown("method=POST") == ["messages/send"]
    assert shown(f"key={key.key.pk}") == shown("")
    assert shown("q=balance") == ["client/balance"]
    assert shown(f"q={last.request_id}") == ["sms/status/MSG-7"]
    assert "No request matches" in browser.get(f"{URL}?outcome=broken").content.decode()
    for unreadable in ("outcome=x", "key=0", "key=x", "method=EAT", "q=%00"):
        assert browser.get(f"{URL}?{unreadable}").status_code == 422


def test_T1_requests_of_others_do_not_exist(acme, stranger, browser):
    theirs = make_key(stranger)
    call(stranger, theirs)
    (line,) = lines(stranger)
    page = browser.get(f"{URL}?open={line.pk}").content.decode()
    assert line.request_id not in page
    assert "There is no such request." in page
    assert "No requests yet" in page


@pytest.mark.parametrize(("role", "status"), [(Role.DEVELOPER, 200), (Role.SENDER, 403), (Role.VIEWER, 403)])
def test_T3_roles(acme, role, status):
    assert add_member(acme, role).get(URL).status_code == status


def test_the_page_costs_the_same_however_many_requests(acme, key, browser, django_assert_max_num_queries):
    for _ in range(9):
        call(acme, key)
    assert len(lines(acme)) == 9
    with django_assert_max_num_queries(8):
        browser.get(URL)


@pytest.mark.parametrize(
    ("status", "size", "taken"), [(401, 300_000, 300_000), (413, 5 << 20, 1 << 20), (200, 300_000, 0)]
)
def test_a_refused_body_is_taken_so_that_its_sender_sees_the_reason(status, size, taken):
    body = BytesIO(b"x" * size)
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/api/1/messages/send", "CONTENT_LENGTH": str(size),
        "SERVER_NAME": "testserver", "SERVER_PORT": "80", "wsgi.input": body, "wsgi.url_scheme": "http",
    }  # fmt: skip
    answer = ApiRequestMiddleware(lambda request: HttpResponse(status=status))(WSGIRequest(environ))
    assert answer.status_code == status
    assert body.tell() == taken


def test_a_message_names_the_request_that_asked_for_it(acme, key, browser):
    Client.objects.filter(pk=acme.pk).update(simulation=True)
    body = {"channel": "sms", "recipient": "254712345678", "sender": "HOSPITAL", "body": "Habari"}
    answer = call(acme, key, "messages/send", "post", body)
    assert answer.status_code == 200, answer.content
    message = Message.objects.for_client(acme).get()
    page = browser.get(f"/app/messages?open={message.pk}").content.decode()
    assert f'<dd class="mono">{answer["X-Request-ID"]}</dd>' in page
    status = call(acme, key, f"sms/status/{message.message_id}").json()
    assert [event["detail"] for event in status["data"]["events"]] == [None]
