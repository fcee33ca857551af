"""`manage.py doctor`: each fault is named with what to do, and the exit code tells."""

import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.management import call_command

from crm.common import heartbeat
from crm.common.dns_text import NoAnswer, text_records
from crm.common.sql import database_now
from crm.doctor import roads
from messaging.models import Message, ProviderAccount, SenderId
from messaging.services.providers import add_route, connect_provider, pause_account, rest_account
from tests.factories import make_client

pytestmark = pytest.mark.django_db


class Vendor(BaseHTTPRequestHandler):
    """A provider that knows its account."""

    def do_GET(self) -> None:
        body = b'{"UserData": {"balance": "KES 100.00"}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def carrier() -> Iterator[int]:
    """The port of a provider on this machine."""
    with HTTPServer(("127.0.0.1", 0), Vendor) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class Resolver(socketserver.DatagramRequestHandler):
    """A name server that knows the TXT records of `known`."""

    known: dict[str, list[str]] = {}  # noqa: RUF012 - set by tests

    def handle(self) -> None:
        query = self.rfile.read()
        labels, place = [], 12
        while query[place]:
            labels.append(query[place + 1 : place + 1 + query[place]].decode())
            place += 1 + query[place]
        texts = self.known.get(".".join(labels), [])
        question = query[12 : place + 5]
        answer = query[:2] + b"\x81\x80" + b"\0\1" + bytes([0, len(texts)]) + b"\0\0\0\0" + question
        for text in texts:
            parts = b"".join(bytes([len(piece)]) + piece for piece in (text[:5].encode(), text[5:].encode()))
            answer += b"\xc0\x0c\0\x10\0\1\0\0\0\x3c" + len(parts).to_bytes(2, "big") + parts
        self.wfile.write(answer)


@pytest.fixture
def resolver() -> Iterator[str]:
    with socketserver.UDPServer(("127.0.0.1", 0), Resolver) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1#{server.server_address[1]}"
        server.shutdown()


def consult(capsys: pytest.CaptureFixture[str], **options: bool) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", no_color=True, **options)
    return ended.value.code, capsys.readouterr().out


def connect(port: int) -> ProviderAccount:
    account = connect_provider(
        name="Carrier",
        adapter="africastalking",
        credentials={"username": "acme", "api_key": "k"},
        base_url=f"http://127.0.0.1:{port}",
    )
    add_route(account=account)
    return account


def test_all_well(capsys, carrier: int) -> None:
    connect(carrier)
    for queue in heartbeat.QUEUES:
        heartbeat.beat(queue)
    code, said = consult(capsys)
    assert code == 0, said
    assert "FAULT" not in said
    assert f"provider “Carrier”: 127.0.0.1:{carrier} knows the account: balance KES 100.00" in said


def test_faults_come_with_advice(capsys) -> None:
    connect(1)
    code, said = consult(capsys)
    assert code == 1
    assert "FAULT main worker: not seen in the last day" in said
    assert "python manage.py worker --queue heavy" in said
    assert "FAULT provider “Carrier”: 127.0.0.1:1 cannot be reached" in said
    assert said.rstrip().endswith("3 faults found.")


def test_a_fresh_database_without_providers_is_told_so(capsys) -> None:
    _, said = consult(capsys)
    assert "FAULT providers: none" in said
    assert "FAULT routes: none leads to an active account" in said


@pytest.mark.parametrize(("age", "fault"), [(30, False), (90, True)])
def test_a_queue_that_stands_still_is_a_fault(capsys, carrier: int, age: int, fault: bool) -> None:
    account = connect(carrier)
    then = database_now() - timedelta(seconds=age)
    Message.objects.create(
        client=make_client(), recipient="+254712345678", sender="ACME", text="Habari",
        provider_account=account, created_at=then, queued_at=then,
    )  # fmt: skip
    _, said = consult(capsys)
    assert f"{'FAULT' if fault else 'ok   '} message queue: 1 waiting, the oldest for {age // 10}" in said


def beat_all() -> None:
    for queue in heartbeat.QUEUES:
        heartbeat.beat(queue)


def test_warnings_have_an_exit_code_of_their_own(capsys, carrier: int) -> None:
    account = connect(carrier)
    beat_all()
    rest_account(account_id=account.pk, reason="HTTP 500")
    ProviderAccount.objects.filter(pk=account.pk).update(rest_until=database_now() + timedelta(minutes=5))
    code, said = consult(capsys)
    assert code == 2, said
    assert "WARN  provider “Carrier”: rests until" in said
    assert "HTTP 500" in said
    assert said.rstrip().endswith("1 warning found.")


def test_json_says_the_same_to_programs(capsys, carrier: int) -> None:
    account = connect(carrier)
    beat_all()
    ProviderAccount.objects.filter(pk=account.pk).update(balance_alarm_micros=500_000_000)
    code, said = consult(capsys, json=True)
    body = json.loads(said)
    assert (code, body["faults"], body["warnings"]) == (2, 0, 1)
    (low,) = [finding for finding in body["findings"] if finding["severity"] == "warning"]
    assert low["advice"] == "Top it up at the provider."
    assert "KES 100.00, which is low" in low["words"]


def test_credentials_are_tried_at_every_account(capsys, carrier: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Vendor) -> None:
        self.send_error(401, "The supplied API key is invalid")

    monkeypatch.setattr(Vendor, "do_GET", refuse)
    connect(carrier)
    code, said = consult(capsys)
    assert code == 1
    assert f"FAULT provider “Carrier”: 127.0.0.1:{carrier} refuses the credentials (HTTP 401" in said
    assert "Correct the credentials in the account's form." in said


def test_what_waits_for_a_paused_account_is_shown(capsys, carrier: int) -> None:
    account = connect(carrier)
    then = database_now() - timedelta(seconds=30)
    Message.objects.create(
        client=make_client(), recipient="+254712345678", sender="ACME", text="Habari",
        provider_account=account, created_at=then, queued_at=then,
    )  # fmt: skip
    pause_account(account_id=account.pk, by=None)
    _, said = consult(capsys)
    assert "FAULT queue of “Carrier”: 1 waiting, the oldest for" in said
    assert "what waits for four hours fails and is refunded" in said


def test_a_public_address_that_leads_elsewhere_loses_reports(carrier: int, settings) -> None:
    settings.PUBLIC_URL = f"http://127.0.0.1:{carrier}"  # answers, but is not us
    far = connect(carrier)
    far.base_url = "https://api.carrier.example"
    (finding,) = roads.examine_callbacks([far])
    assert finding.severity == "fault"
    assert "does not lead here (HTTP 200)" in finding.words


def test_email_records(resolver: str) -> None:
    client = make_client()
    SenderId.objects.create(client=client, channel="email", name="news@shop.example", state="approved")
    letters = ProviderAccount(name="Mail", adapter="smtp", base_url="smtp://mail.example:587", credentials={})

    def look(name: str) -> list[str]:
        return text_records(name, servers=[resolver])

    Resolver.known = {}
    found = list(roads.examine_email([letters], look))
    assert [(f.severity, f.words) for f in found] == [
        ("fault", "has no SPF record"),
        ("fault", "has no DMARC record"),
        ("warning", "no DKIM key under the usual selectors"),
    ]
    Resolver.known = {
        "shop.example": ["v=spf1 include:mail.example ~all", "other=1"],
        "_dmarc.shop.example": ["v=DMARC1; p=none"],
        "mail._domainkey.shop.example": ["v=DKIM1; k=rsa; p=MIIB"],
    }
    assert [f.words for f in roads.examine_email([letters], look)] == ["SPF, DKIM and DMARC are there"]
    Resolver.known["shop.example"].append("v=spf1 -all")
    assert [f.words for f in roads.examine_email([letters], look)] == ["has 2 SPF records, which counts as none"]


def test_a_resolver_that_is_away_is_no_verdict() -> None:
    with pytest.raises(NoAnswer):
        text_records("shop.example", servers=["127.0.0.1#1"])
