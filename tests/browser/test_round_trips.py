"""Out and back again in a browser: WhatsApp, mail and SMPP through the sandbox, seen on both sides (issue 8)."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.conftest import DESK, Opened, Server, signed_in_state

NUMBER, CODE, MAIL = "+254700000000", "22225", "news@sunshine.test"
SETUP = """
from decimal import Decimal
from accounts.models import Client
from messaging.models import ProviderAccount
from messaging.services.providers import add_route, connect_provider
from messaging.services.senders import approve_email_sender, approve_sender, approve_sender_id
from wallet.models import PricePlan
from wallet.services import set_rate
client = Client.objects.get(pk={client})
plan = PricePlan.objects.get(wallets__client=client)
for channel, price in (("whatsapp", "0.5"), ("email", "0.1")):
    set_rate(plan=plan, channel=channel, price_per_unit=Decimal(price))
approve_sender(client=client, channel="whatsapp", name={number!r})
approve_sender_id(client=client, name={code!r})
approve_email_sender(client=client, address={mail!r}, display_name="Sunshine")
business = {{"phone_number_id": "1001", "business_account_id": "2001", "access_token": "t",
             "app_secret": "sandbox-app-secret", "verify_token": "v"}}
whatsapp = connect_provider(name="WhatsApp", adapter="whatsapp", base_url={sandbox!r}, credentials=business)
add_route(account=whatsapp, channel="whatsapp")
smpp = connect_provider(name="Aggregator", adapter="smpp", base_url="smpp://127.0.0.1:{smpp}",
                        credentials={{"system_id": "sunshine", "password": "secret"}})
add_route(account=smpp, channel="sms", sender={code!r})
smtp = connect_provider(name="Post", adapter="smtp", base_url="smtp://127.0.0.1:{smtp}", credentials={{"tls": "none"}})
add_route(account=smtp, channel="email", preference=1)
print("TOKENS", whatsapp.callback_token, smtp.callback_token)
"""


class Sandbox:
    """The other side, by its script's door."""

    def __init__(self, server: Server) -> None:
        self.base = f"http://127.0.0.1:{server.sandbox_port}"

    def call(self, method: str, path: str, **values: Any) -> Any:
        request = urllib.request.Request(
            f"{self.base}/sandbox/{path}",
            data=json.dumps(values).encode() if values else None,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def messages(self, number: str) -> list[dict[str, Any]]:
        return [row for row in self.call("GET", "messages?limit=1000") if row["number"] == number]


@pytest.fixture(scope="module")
def sandbox(server: Server) -> Sandbox:
    return Sandbox(server)


@pytest.fixture(scope="module")
def school(server: Server, sandbox: Sandbox) -> Opened:
    """A client that has a number at WhatsApp, a short code at an aggregator, and an address."""
    client = server.cast["achieng"]
    ports = sandbox.call("GET", "ports")
    values = {"client": client.id, "number": NUMBER, "code": CODE, "mail": MAIL, "sandbox": sandbox.base, **ports}
    said = server.manage("shell", "-c", SETUP.format(**values)).partition("TOKENS ")[2].split()
    for username, adapter, token, kind in (
        ("whatsapp:1001", "whatsapp", said[0], "events"), ("smtp:mail", "smtp", said[1], "bounce"),
    ):  # fmt: skip
        hook = f"{server.url}/callbacks/{adapter}/{token}/{kind}"
        sandbox.call("PUT", "callbacks", username=username, delivery=hook)
    return client


@pytest.fixture
def signed_in(server: Server, chrome: Any, school: Opened) -> Iterator[Any]:
    """A window that also goes to the sandbox's pages, unlike those that must never leave the product."""
    state = signed_in_state(chrome, server, school.email)
    context = chrome.new_context(viewport=DESK, base_url=server.url, storage_state=state)
    window = context.new_page()
    window.set_default_timeout(30_000)
    failures: list[str] = []
    window.on("pageerror", lambda error: failures.append(str(error)))
    yield window
    context.close()
    assert not failures, failures


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"{what} did not come"
        time.sleep(0.3)
    return found


def shows(page: Any, address: str, words: str, seconds: float = 60) -> None:
    """Load a page until it says so."""

    def look() -> bool:
        page.goto(address)
        return words in page.inner_text("main").replace("\u00a0", " ")

    wait_for(look, f"“{words}” on {address}", seconds)


def send(client: Opened, **message: Any) -> str:
    answer = client.api("POST", "messages/send", message)
    assert "message_id" in answer, answer
    return answer["message_id"]


def write_from_handset(page: Any, sandbox: Sandbox, number: str, sender: str, text: str) -> None:
    page.goto(f"{sandbox.base}/handset/{number}")
    page.get_by_label(f"Write to {sender}").fill(text)
    page.locator("form[action$='/reply'] button").first.click()
    page.get_by_text("Told to the product.").wait_for()


def answer_in_inbox(page: Any, heard: str, text: str) -> str:
    """Open the thread that says `heard` and answer it at the price shown; its address."""
    shows(page, "/app/inbox", heard)
    page.get_by_role("link").filter(has_text=heard).first.click()
    page.wait_for_url("**/app/inbox/*")
    page.fill("#id_text", text)
    page.locator("#reply-price input[name=expected_cost_micros]").wait_for(state="attached")
    page.locator("#reply-price button[type=submit]").click()
    page.locator(".said-out .bubble").filter(has_text=text).first.wait_for()
    return page.url


def test_whatsapp_out_in_answered_within_its_window_and_read(signed_in, school, sandbox):
    page, person = signed_in, "+254711000077"
    send(
        school, channel="whatsapp", recipient=person, template="hello_world", language="en_US",
        variables={"1": "Asha"},
    )  # fmt: skip
    wait_for(lambda: sandbox.messages(person), "the template")
    page.goto(f"{sandbox.base}/handset/{person}")
    assert "Habari Asha" in page.inner_text(".screen")

    write_from_handset(page, sandbox, person, "WhatsApp", "Mko wapi leo?")
    thread = answer_in_inbox(page, "Mko wapi leo?", "Tuko shuleni, karibu.")
    assert "You can write freely" in page.inner_text("main")
    wait_for(lambda: len(sandbox.messages(person)) == 2, "the answer")
    page.goto(f"{sandbox.base}/handset/{person}")
    assert "Tuko shuleni, karibu." in page.inner_text(".screen")
    page.locator("article").filter(has_text="Tuko shuleni").get_by_role("button", name="Open it").click()
    page.get_by_text("Told to the product.").wait_for()
    shows(page, thread, "Read")
    assert len(sandbox.messages(person)) == 2


def test_a_template_is_written_approved_and_paused(signed_in, school, sandbox):
    page = signed_in
    page.goto("/app/templates/whatsapp/new")
    page.fill("#id_name", "fees_due")
    page.select_option("#id_language", "en")
    page.fill("#id_body", "{{1}} has to pay.")
    page.click("button[value=submit].btn-primary")
    page.get_by_text("cannot be the first thing").first.wait_for()
    page.fill("#id_body", "Dear {{1}}, the school fees for this term are due. Please come to the office.")
    page.fill("#id_samples", "Asha")
    page.click("button[value=submit].btn-primary")
    page.wait_for_url("**/app/templates/whatsapp/*")
    template = page.url
    shows(page, template, "Approved")
    page.goto(f"{sandbox.base}/templates")
    card = page.locator("form.card").filter(has_text="fees_due")
    card.locator("select").select_option("PAUSED")
    card.get_by_role("button").click()
    page.get_by_text("Decided, and told to the product.").wait_for()
    shows(page, template, "it is paused for 3 hours")
    refused = school.api(
        "POST", "messages/send",
        {"channel": "whatsapp", "recipient": "+254711000078", "template": "fees_due", "language": "en",
         "variables": {"1": "Asha"}},
    )  # fmt: skip
    assert "WhatsApp paused the template fees_due" in json.dumps(refused)


def test_a_mail_arrives_and_a_complaint_ends_writing_to_the_address(signed_in, school, sandbox):
    page, person = signed_in, "asha@people.test"
    message = send(
        school, channel="email", recipient=person, sender=MAIL, subject="Term dates", body="School opens on Monday."
    )
    wait_for(lambda: sandbox.messages(person), "the mail")
    page.goto(f"{sandbox.base}/handset/{person}")
    assert "School opens on Monday." in page.inner_text(".screen")
    page.get_by_role("button", name="Report as spam").click()
    page.get_by_text("Reported as spam.").wait_for()
    shows(page, "/app/contacts/opt-outs", person)
    again = {"channel": "email", "recipient": person, "sender": MAIL, "subject": "More", "body": "More."}
    assert "opted out" in json.dumps(school.api("POST", "messages/send", again))
    assert len(sandbox.messages(person)) == 1, message


def test_smpp_out_in_and_answered(signed_in, school, sandbox):
    page, person = signed_in, "+254711000079"
    send(school, channel="sms", recipient=person, sender=CODE, body="Shule inafunguliwa Jumatatu.")
    wait_for(lambda: sandbox.messages(person), "the message")
    page.goto(f"{sandbox.base}/handset/{person}")
    assert "Shule inafunguliwa Jumatatu." in page.inner_text(".screen")
    write_from_handset(page, sandbox, person, CODE, "Saa ngapi?")
    thread = answer_in_inbox(page, "Saa ngapi?", "Saa mbili asubuhi.")
    wait_for(lambda: len(sandbox.messages(person)) == 2, "the answer")
    assert {row["username"] for row in sandbox.messages(person)} == {"smpp:sunshine"}
    shows(page, thread, "Delivered")
    page.goto(f"{sandbox.base}/handset/{person}")
    assert "Saa mbili asubuhi." in page.inner_text(".screen")
