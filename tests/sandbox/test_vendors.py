"""Every HTTP vendor of the sandbox, spoken to by the product's own adapters over real HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from messaging.providers import whatsapp_templates as templates
from messaging.providers.base import Callback, Credentials, HttpResponse, InboundNotice, Outbound, SentMessage
from messaging.providers.registry import get_adapter
from tests.messaging.providers.cases import CREDENTIALS
from tests.sandbox_process import sandbox, sandbox_process  # noqa: F401

# name → (prefix of its accounts in the sandbox, the account that CREDENTIALS name, who may be written back to)
VENDORS = {
    "beem": ("beem:beem_canary_1", "15522"),
    "twilio": ("twilio:AC00000000000000000000000000000001", "+15005550006"),
    "infobip": ("infobip:account", "22384"),
    "celcom": ("celcom:77", ""),
    "onfon": ("onfon:acme", ""),
    "whatsapp": ("whatsapp:106540352242922", "WhatsApp"),
    "generic": ("mobitech:account", ""),
}
each_vendor = pytest.mark.parametrize("name", VENDORS)
PUSHES = [name for name in VENDORS if name != "celcom"]
HEARS = [name for name, (_, sender) in VENDORS.items() if sender]
TEMPLATE = {"template": "hello_world", "language": "sw", "parameters": ["Amina"]}


class Ear:
    """Where the sandbox posts to: every callback as the product's door would see it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Callback]] = []
        self.heard = threading.Condition()
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                path, _, query = self.path.partition("?")
                headers = {key.lower(): value for key, value in self.headers.items()}
                kind = path.rpartition("/")[2]
                with ear.heard:
                    ear.got.append((ear.url + self.path, Callback(kind, headers["content-type"], query, body, headers)))
                    ear.heard.notify_all()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def wait(self, count: int) -> list[tuple[str, Callback]]:
        with self.heard:
            assert self.heard.wait_for(lambda: len(self.got) >= count, timeout=10), self.got
            return list(self.got)


@pytest.fixture
def ear(sandbox) -> Iterator[Ear]:  # noqa: F811
    made = Ear()
    for username, _ in VENDORS.values():
        kind = "events" if username.startswith("whatsapp") else "delivery"
        sandbox.set_callbacks(username=username, delivery=f"{made.url}/{kind}", inbound=f"{made.url}/inbound")
    sandbox.call("PUT", "accounts", username=VENDORS["whatsapp"][0], secret="meta_canary_2")
    yield made
    made.server.shutdown()
    made.server.server_close()


def adapter_of(name):
    extra = {"success": "[0].status_code = 1000", "report_id_at": "message_id", "report_status_at": "status",
             "report_to_at": "mobile"} if name == "generic" else {}  # fmt: skip
    credentials = Credentials(dict(CREDENTIALS[name]) | extra)
    return get_adapter(name).for_account(credentials), credentials


def perform(request):
    answer = requests.request(
        request.method, request.url, data=request.body or None, headers=dict(request.headers), timeout=3
    )
    return HttpResponse(answer.status_code, tuple(answer.headers.items()), answer.content)


def send(sandbox, name, *numbers, content=TEMPLATE, text="Habari", sender="ACME", **more):  # noqa: F811
    adapter, credentials = adapter_of(name)
    credentials = Credentials(dict(credentials) | more)
    content = content if name == "whatsapp" else None
    channel = adapter.channels[0]
    batch = [
        Outbound(n, number, text, sender, f"MSG-{n:06}", channel, content) for n, number in enumerate(numbers, start=1)
    ]
    return adapter.outcomes_of(batch, perform(adapter.request_for(batch, credentials, sandbox.base_url)))


@each_vendor
def test_a_message_is_taken_and_its_report_says_that_it_arrived(name, sandbox, ear):  # noqa: F811
    (outcome,) = send(sandbox, name, "+254711000001")
    assert outcome.kind == "accepted", outcome
    adapter, credentials = adapter_of(name)
    if name == "celcom":
        sandbox.wait_for(lambda stats: stats["states"].get("Success") == 1)
        asked = [SentMessage(1, "+254711000001", "ACME", "MSG-000001", outcome.provider_message_id)]
        answer = perform(adapter.lookup_request(asked, credentials, sandbox.base_url))
        (report,) = adapter.reports_of(asked, answer)
    else:
        ((url, callback),) = ear.wait(1)
        assert adapter.verify_callback(callback, credentials, url)
        (report,) = adapter.parse_callback(callback)

    assert (report.status, report.final) == ("delivered", True)
    assert report.provider_message_id == outcome.provider_message_id
    assert [row["number"] for row in sandbox.messages()] == ["+254711000001"]


@pytest.mark.parametrize("name", PUSHES)
def test_a_failure_is_told_in_the_vendors_words_and_read_in_ours(name, sandbox, ear):  # noqa: F811
    send(sandbox, name, "+254700001006")  # Failed: UserDoesNotExist

    ((_, callback),) = ear.wait(1)
    (report,) = adapter_of(name)[0].parse_callback(callback)

    assert (report.status, report.final) == ("failed", True)
    assert report.error_code in ("unknown_subscriber", "delivery_failed", "not_on_whatsapp")


@each_vendor
def test_a_number_that_refuses_is_refused(name, sandbox):  # noqa: F811
    (outcome,) = send(sandbox, name, "+254700000403")

    assert (outcome.kind, outcome.provider_message_id) == ("rejected", "")
    assert sandbox.messages() == []


@each_vendor
def test_an_account_out_of_credit_is_told(name, sandbox):  # noqa: F811
    (outcome,) = send(sandbox, name, "+254700000405")

    if name == "twilio" or name == "onfon":  # it suspends the account
        assert outcome.kind == "rejected"
    elif name == "generic":  # the operator of this test did not describe 1004
        assert outcome.kind == "ambiguous"
    else:
        assert (outcome.kind, outcome.error_code) == ("retry", "provider_balance")


@each_vendor
@pytest.mark.parametrize(
    ("dial", "kind"),
    [
        ("throttle", "retry"),
        ("error_before", "ambiguous"),
        ("error_after", "ambiguous"),
        ("garbage_after", "ambiguous"),
    ],
)
def test_the_dials_spoil_its_answers(name, dial, kind, sandbox):  # noqa: F811
    sandbox.set_faults(**{dial: {"next": 1}})

    (outcome,) = send(sandbox, name, "+254711000001")

    assert outcome.kind == kind
    assert len(sandbox.messages()) == (1 if dial.endswith("_after") else 0)


@each_vendor
@pytest.mark.parametrize("dial", ["hang_after", "reset_after", "truncate_after"])
def test_after_taking_it_the_line_may_break(name, dial, sandbox):  # noqa: F811
    sandbox.set_faults(**{dial: {"next": 1}, "hang_seconds": 0.2})

    with pytest.raises(requests.RequestException):
        send(sandbox, name, "+254711000001")

    assert len(sandbox.messages()) == 1


@pytest.mark.parametrize("name", PUSHES)
def test_reports_come_early_twice_contradicting_or_forged(name, sandbox, ear):  # noqa: F811
    sandbox.set_faults(early_reports=1, duplicate_reports=1, contradicting_reports=1, forged_reports=1)

    (outcome,) = send(sandbox, name, "+254711000001")

    got = ear.wait(4)
    adapter = adapter_of(name)[0]
    said = [report for _, callback in got for report in adapter.parse_callback(callback)]
    ours = [report.status for report in said if report.provider_message_id == outcome.provider_message_id]
    assert sorted(ours) == ["delivered", "delivered", "failed"]
    assert len(said) == 4


@pytest.mark.parametrize("name", HEARS)
def test_what_a_person_writes_is_told_once_and_signed_where_the_vendor_signs(name, sandbox, ear):  # noqa: F811
    username, sender = VENDORS[name]
    send(sandbox, name, "+254711000001")
    ear.wait(1)

    assert sandbox.call(
        "POST", "replies", username=username, sender=sender, number="+254711000001", text="Acha & asante 😀"
    )["told"]

    url, callback = ear.wait(2)[-1]
    adapter, credentials = adapter_of(name)
    assert adapter.verify_callback(callback, credentials, url)
    assert not adapter.verify_callback(callback, credentials, url + "x") or name != "twilio"
    (notice,) = adapter.parse_callback(callback)
    assert isinstance(notice, InboundNotice)
    assert (notice.sender, notice.text) == ("+254711000001", "Acha & asante 😀")
    assert notice.provider_message_id


@each_vendor
def test_a_wrong_key_is_refused(name, sandbox):  # noqa: F811
    sandbox.call("PUT", "accounts", username=VENDORS[name][0], api_key="another")
    try:
        (outcome,) = send(sandbox, name, "+254711000001")
    finally:
        sandbox.call("PUT", "accounts", username=VENDORS[name][0], api_key="")

    assert (outcome.kind, outcome.error_code) == ("retry", "provider_credentials")
    assert sandbox.messages() == []


@pytest.mark.parametrize("name", ["beem", "twilio", "infobip", "onfon"])
def test_a_balance_is_told(name, sandbox):  # noqa: F811
    adapter, credentials = adapter_of(name)

    found = adapter.balance_of(perform(adapter.balance_request(credentials, sandbox.base_url)))

    assert found is not None
    assert found.amount > 1000


@pytest.mark.parametrize("name", ["beem", "twilio", "infobip"])
def test_a_message_can_be_asked_about(name, sandbox):  # noqa: F811
    (outcome,) = send(sandbox, name, "+254711000001")
    sandbox.wait_for(lambda stats: stats["states"].get("Success") == 1)
    adapter, credentials = adapter_of(name)

    asked = [SentMessage(1, "+254711000001", "ACME", "MSG-000001", outcome.provider_message_id)]
    (report,) = adapter.reports_of(asked, perform(adapter.lookup_request(asked, credentials, sandbox.base_url)))

    assert report.status == "delivered"


def test_many_go_in_one_request_where_the_vendor_takes_many(sandbox):  # noqa: F811
    numbers = ["+254711000001", "+254711000002", "+254700000403"]

    assert [one.kind for one in send(sandbox, "celcom", *numbers)] == ["accepted", "accepted", "rejected"]
    assert [one.kind for one in send(sandbox, "onfon", *numbers)] == ["accepted", "accepted", "rejected"]
    assert [one.kind for one in send(sandbox, "infobip", *numbers)] == ["accepted", "accepted", "rejected"]
    # Beem counts and does not say which
    assert [one.kind for one in send(sandbox, "beem", *numbers)] == ["ambiguous"] * 3


def test_infobip_refuses_an_id_it_has_seen(sandbox):  # noqa: F811
    send(sandbox, "infobip", "+254711000009", callback_url="http://127.0.0.1:1/twice")

    (again,) = send(sandbox, "infobip", "+254711000009", callback_url="http://127.0.0.1:1/twice")

    assert (again.kind, again.error_message) == ("ambiguous", "REJECTED_DUPLICATE_MESSAGE_ID")
    assert len(sandbox.messages("+254711000009")) == 1


class TestWhatsApp:
    def test_free_text_goes_only_to_who_wrote_in_the_last_day(self, sandbox, ear):  # noqa: F811
        username, sender = VENDORS["whatsapp"]
        send(sandbox, "whatsapp", "+254711000021", content=None)
        ((_, callback),) = ear.wait(1)
        (report,) = get_adapter("whatsapp").parse_callback(callback)
        assert (report.status, report.error_code, report.reference) == ("failed", "window_closed", "MSG-000001")

        sandbox.call("POST", "replies", username=username, sender=sender, number="+254711000021", text="Habari")
        ear.wait(2)
        send(sandbox, "whatsapp", "+254711000021", content=None)
        (report,) = get_adapter("whatsapp").parse_callback(ear.wait(3)[-1][1])
        assert report.status == "delivered"

    def test_a_template_is_filled_and_one_that_is_not_approved_refused(self, sandbox):  # noqa: F811
        send(sandbox, "whatsapp", "+254711000001")
        assert [row["text"] for row in sandbox.messages()] == ["Habari Amina"]

        (outcome,) = send(sandbox, "whatsapp", "+254711000001", content={"template": "unknown", "language": "sw"})
        assert (outcome.kind, outcome.error_code) == ("rejected", "template_missing")
        (outcome,) = send(sandbox, "whatsapp", "+254711000001", content=TEMPLATE | {"parameters": []})
        assert (outcome.kind, outcome.error_code) == ("rejected", "template_refused")

    def test_templates_are_made_reviewed_and_listed(self, sandbox, ear):  # noqa: F811
        credentials = CREDENTIALS["whatsapp"]
        name = f"karibu_{time.monotonic_ns()}"  # templates outlive a test, as at WhatsApp
        body = {"type": "BODY", "text": "Karibu {{1}}, tunakuona.", "example": {"body_text": [["Amina"]]}}
        made = {"name": name, "language": "sw", "category": "utility", "components": [body]}
        answer = templates.created_by(perform(templates.create_request(credentials, sandbox.base_url, **made)))
        assert (answer.status, answer.problem, answer.unclear) == ("PENDING", "", False)
        again = templates.created_by(perform(templates.create_request(credentials, sandbox.base_url, **made)))
        assert (again.provider_id, again.problem) == ("", "Content in this language already exists.")

        (notice,) = get_adapter("whatsapp").parse_callback(ear.wait(1)[-1][1])
        assert (notice.about, notice.name, notice.language, notice.state) == ("template", name, "sw", "APPROVED")
        assert notice.provider_id == answer.provider_id
        found, following = templates.listed_in(perform(templates.list_request(credentials, sandbox.base_url)))
        assert following == ""
        assert (name, "sw", "APPROVED", "UTILITY", "UNKNOWN") in {
            (row.name, row.language, row.status, row.category, row.quality) for row in found
        }
        assert templates.created_by(HttpResponse(500, (), b"<html>")) == templates.Made(
            problem="HTTP 500", unclear=True
        )

    def test_a_template_is_changed_decided_about_and_taken_away(self, sandbox, ear):  # noqa: F811
        credentials, base = CREDENTIALS["whatsapp"], sandbox.base_url
        name = f"refused_{time.monotonic_ns()}"
        made = {"name": name, "language": "en", "category": "utility",
                "components": [{"type": "BODY", "text": "Your fees are due."}]}  # fmt: skip
        known = templates.created_by(perform(templates.create_request(credentials, base, **made))).provider_id
        read = get_adapter("whatsapp").parse_callback
        (rejected,) = read(ear.wait(1)[-1][1])
        assert (rejected.state, rejected.detail) == ("REJECTED", "INVALID_FORMAT")

        words = [{"type": "BODY", "text": "Your school fees are due."}]
        change = templates.change_request(credentials, base, provider_id=known, category="utility", components=words)
        assert templates.changed_by(perform(change)) == templates.Made(status="PENDING")
        ear.wait(2)
        said = []
        for number, event in enumerate(("PAUSED", "RED", "MARKETING"), start=3):
            sandbox.call("POST", "templates", name=name, language="en", event=event)
            (notice,) = read(ear.wait(number)[-1][1])
            said.append((notice.about, notice.state, notice.detail))
        assert said == [
            ("template", "PAUSED", "FIRST_PAUSE"),
            ("quality", "RED", "was UNKNOWN"),
            ("category", "MARKETING", "UTILITY"),
        ]
        template = {"template": name, "language": "en"}
        (outcome,) = send(sandbox, "whatsapp", "+254711000001", content=template)
        assert (outcome.kind, outcome.error_code) == ("rejected", "template_paused")

        remove = templates.remove_request(credentials, base, name=name, provider_id=known)
        assert templates.removed_by(perform(remove)) == ""
        assert templates.removed_by(perform(remove)) == "100 Invalid parameter"

    def test_a_file_and_a_read_receipt_are_taken(self, sandbox):  # noqa: F811
        adapter, credentials = adapter_of("whatsapp")
        media = {"media": {"kind": "image", "url": "https://crm.example.com/a.jpg", "caption": "Receipt"}}
        assert send(sandbox, "whatsapp", "+254711000001", content=media)[0].kind == "accepted"
        assert sandbox.messages()[0]["text"] == "[image] https://crm.example.com/a.jpg Receipt"

        answer = perform(adapter.read_receipt_request("wamid.X", credentials, sandbox.base_url))

        assert (answer.status, json.loads(answer.body)) == (200, {"success": True})


def test_a_person_answers_from_the_handset_page(sandbox, ear):  # noqa: F811
    username, sender = VENDORS["whatsapp"]
    send(sandbox, "whatsapp", "+254711000031")
    ear.wait(1)
    page = sandbox.http.get(f"{sandbox.base_url}/handset/+254711000031", timeout=5).text
    assert "bubble whatsapp" in page
    assert f"Write to {sender}" in page

    form = {"username": username, "sender": sender, "text": "Ndiyo"}
    answer = sandbox.http.post(f"{sandbox.base_url}/handset/+254711000031/reply", data=form, timeout=5)

    assert "Told to the product" in answer.text
    (notice,) = get_adapter("whatsapp").parse_callback(ear.wait(2)[-1][1])
    assert notice.text == "Ndiyo"
    opened = {"username": username, "id": sandbox.messages("+254711000031")[0]["provider_id"]}
    sandbox.http.post(f"{sandbox.base_url}/handset/+254711000031/read", data=opened, timeout=5)
    (read,) = get_adapter("whatsapp").parse_callback(ear.wait(3)[-1][1])
    assert read.status == "read"
