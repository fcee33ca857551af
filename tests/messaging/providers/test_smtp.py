"""Email over real sockets against the sandbox's mail server: outcomes, what arrives, bounces and complaints."""

import email
import email.policy
import socket
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accounts.models import Client
from contacts.models import OptOut
from crm.sandbox.smtp import bounce_of, complaint_of
from messaging.models import Message, ProviderAccount, ProviderCallback
from messaging.providers.base import Credentials, Outbound, UnreadableCallback, UnusableCredentials
from messaging.providers.smtp import connection, mime
from messaging.providers.smtp.adapter import Smtp
from messaging.providers.smtp.bounces import read_bounce
from messaging.services.accept import Accepted
from messaging.services.mails import MailDraft, accept_mails
from messaging.services.providers import add_route, connect_provider
from messaging.services.reports import process_callbacks, store_callback
from messaging.services.senders import approve_email_sender
from tests.messaging.core.conftest import woken  # noqa: F401 - wake-ups are kept in a list
from tests.messaging.core.world import ONE, balance, check_books, make_due, make_sender, run_loop, statuses
from tests.sandbox_process import Sandbox, sandbox, sandbox_process  # noqa: F401
from wallet.models import PricePlan
from wallet.services import set_rate


@pytest.fixture
def acme(db: None) -> Client:
    client = make_sender()
    set_rate(plan=PricePlan.objects.get(wallets__client=client), channel="email", price_per_unit=Decimal("0.5"))
    approve_email_sender(client=client, address="News@Acme.test", display_name="Acme Hôpital")
    return client


@pytest.fixture
def road(acme: Client, sandbox: Sandbox) -> ProviderAccount:  # noqa: F811
    account = connect_provider(
        name="Mail",
        adapter="smtp",
        credentials={"tls": "none", "bounce_address": "bounces@acme.test"},
        base_url=f"smtp://127.0.0.1:{sandbox.call('GET', 'ports')['smtp']}",
    )
    add_route(account=account, channel="email")
    return account


def send(client: Client, *recipients: str, **fields) -> list[int]:
    values = {"subject": "Habari", "text": "Karibu."} | fields
    results = accept_mails(client=client, drafts=[MailDraft(recipient, **values) for recipient in recipients])
    assert all(isinstance(result, Accepted) for result in results), results
    return [result.id for result in results]


def arrived(sandbox: Sandbox, number: str = "") -> list:  # noqa: F811
    found = []
    for row in sandbox.messages(number):
        answer = sandbox.http.get(f"{sandbox.base_url}/sandbox/mail", params={"id": row["provider_id"]}, timeout=5)
        found.append(email.message_from_bytes(answer.content, policy=email.policy.default))
    return found


class TestConversation:
    def test_a_mail_arrives_whole_with_the_way_out(self, acme, road, sandbox):  # noqa: F811
        html = "<p>Bei: <b>1 < 2</b></p><script>x()</script><p>.</p>\n.\n..dots é 😀"
        (pk,) = send(acme, "Amina@Example.test", subject="Ofa ✓ mpya " * 8, html=html, text="", preheader="Leo tu",
                     reply_to="info@acme.test", headers={"X-Campaign": "é"})  # fmt: skip
        run_loop(road)
        (mail,) = arrived(sandbox, "amina@example.test")
        message = Message.objects.unscoped().get(pk=pk)
        assert message.status == "sent"
        assert mail["Subject"] == ("Ofa ✓ mpya " * 8).strip()
        assert (mail["From"], mail["To"], mail["Reply-To"]) == (
            "Acme Hôpital <news@acme.test>", "amina@example.test", "info@acme.test"
        )  # fmt: skip
        assert mail["X-Campaign"] == "é"
        assert mail["Message-ID"] == f"<{message.provider_message_id}@acme.test>"
        link = message.content["unsubscribe"]
        assert mail["List-Unsubscribe"] == f"<{link}>"
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        text, shown = (mail.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html"))
        assert link in text
        assert f'href="{link}"' in shown
        assert "..dots é 😀" in text
        assert "\n.\n..dots é 😀" in shown
        assert "<script" not in shown
        assert "<b>1 &lt; 2</b>" in shown
        assert "Leo tu" in shown

    def test_many_arrive_once_each_over_kept_connections(self, acme, road, sandbox):  # noqa: F811
        send(acme, *(f"p{n}@example.test" for n in range(150)))
        run_loop(road)
        assert statuses() == {"sent": 150}
        assert sorted(row["number"] for row in sandbox.messages()) == sorted(f"p{n}@example.test" for n in range(150))
        assert balance(acme) == 1000 * ONE - 150 * ONE // 2
        check_books()

    def test_each_recipient_has_an_outcome_of_its_own(self, acme, road, sandbox):  # noqa: F811
        send(acme, "ok@example.test", "unknown@example.test", "full@example.test", "busy@example.test")
        run_loop(road)
        found = dict(Message.objects.unscoped().values_list("recipient", "error_code"))
        assert found == {
            "ok@example.test": "",
            "unknown@example.test": "bad_mailbox",
            "full@example.test": "mailbox_full",
            "busy@example.test": "provider_busy",
        }
        assert statuses() == {"sent": 1, "failed": 2, "queued": 1}
        check_books()

    def test_without_a_bounce_address_and_text_alone(self, acme, road, sandbox):  # noqa: F811
        ProviderAccount.objects.update(credentials={"tls": "none", "username": "acme", "password": "secret"})
        send(acme, "one@example.test", unsubscribe=False)
        run_loop(road)
        (mail,) = arrived(sandbox)
        assert mail.get_content_type() == "text/plain"
        assert mail["List-Unsubscribe"] is None
        assert mail.get_content().strip() == "Karibu."


class TestTrouble:
    @pytest.mark.parametrize("dial", ["throttle", "error_before"])
    def test_a_passing_refusal_goes_again(self, acme, road, sandbox, dial):  # noqa: F811
        sandbox.set_faults(**{dial: {"next": 1}})
        send(acme, "one@example.test")
        run_loop(road)
        assert statuses() == {"queued": 1}
        make_due()
        run_loop(road)
        assert (statuses(), len(sandbox.messages())) == ({"sent": 1}, 1)

    @pytest.mark.parametrize("dial", ["hang_after", "reset_after", "garbage_after", "truncate_after", "error_after"])
    def test_D5_lost_after_the_last_line_is_never_sent_again(self, acme, road, sandbox, monkeypatch, dial):  # noqa: F811
        monkeypatch.setattr(connection, "REPLY_SECONDS", 0.6)
        sandbox.set_faults(**{dial: {"next": 1}, "hang_seconds": 2})
        send(acme, "one@example.test")
        for _ in range(3):
            run_loop(road)
            make_due()
        message = Message.objects.unscoped().get()
        assert (message.status, message.unconfirmed) == ("sent", True)
        assert message.provider_message_id, "a bounce must find it"
        assert len(sandbox.messages()) == 1
        assert balance(acme) == 1000 * ONE - ONE // 2

    @pytest.mark.parametrize("cut", ["greeting", "mail", "data", "body"])
    def test_lost_before_the_last_line_is_a_retry(self, acme, road, cut):
        server = Cutting(cut)
        ProviderAccount.objects.update(base_url=f"smtp://127.0.0.1:{server.port}")
        send(acme, "one@example.test", text="x" * 150_000)
        run_loop(road)
        server.close()
        message = Message.objects.unscoped().get()
        assert (message.status, message.unconfirmed) == (("sent", True) if cut == "body" else ("queued", False))

    def test_nobody_there_and_wrong_passwords_are_the_operators_to_mend(self, acme, road, sandbox):  # noqa: F811
        send(acme, "one@example.test")
        right = road.base_url
        for base_url, credentials, code in (
            ("smtp://127.0.0.1:9", {"tls": "none"}, "provider_unreachable"),
            (right, {"tls": "none", "username": "acme", "password": "wrong"}, "provider_credentials"),
            (right, {"tls": "starttls"}, "provider_credentials"),
            ("http://127.0.0.1", {}, "provider_credentials"),
        ):
            ProviderAccount.objects.update(base_url=base_url, credentials=credentials)
            make_due()
            run_loop(road)
            message = Message.objects.unscoped().get()
            assert (message.status, message.error_code) == ("queued", code)


class Cutting:
    """A server that takes one connection and ends it at a point."""

    def __init__(self, cut: str) -> None:
        self.cut = cut
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.listener.close()
        self.thread.join(timeout=3)

    def _serve(self) -> None:
        peer, _ = self.listener.accept()
        with peer, peer.makefile("rb") as lines:
            if self.cut == "greeting":
                return
            peer.sendall(b"220 here\r\n")
            lines.readline()
            peer.sendall(b"250 here\r\n")
            lines.readline()
            if self.cut == "mail":
                return
            peer.sendall(b"250 ok\r\n")
            lines.readline()
            peer.sendall(b"250 ok\r\n")
            lines.readline()
            if self.cut == "data":
                return
            peer.sendall(b"354 go on\r\n")
            time.sleep(0.3)
            lines.readline()


class TestWhatComesBack:
    def bounce(self, road, raw: bytes) -> None:
        store_callback(account=road, kind="bounce", content_type="message/rfc822", query="", body=raw)
        process_callbacks()

    def test_a_bounce_fails_refunds_and_ends_writing_to_the_address(self, acme, road, sandbox):  # noqa: F811
        send(acme, "bounce@example.test")
        run_loop(road)
        (mail,) = arrived(sandbox)
        raw = bounce_of("bounces@acme.test", "bounce@example.test", mail.as_bytes().replace(b"\n", b"\r\n"))
        for _ in range(2):
            self.bounce(road, raw)
        message = Message.objects.unscoped().get()
        assert (message.status, message.error_code) == ("failed", "bad_mailbox")
        assert balance(acme) == 1000 * ONE
        gone = OptOut.objects.for_client(acme).get()
        assert (gone.channel, gone.address, gone.source) == ("email", "bounce@example.test", "bounce")
        (again,) = accept_mails(client=acme, drafts=[MailDraft("bounce@example.test", "Habari", "Tena")])
        assert again.error.code == "opted_out"
        check_books()

    def test_a_complaint_ends_writing_but_is_no_failure(self, acme, road, sandbox):  # noqa: F811
        send(acme, "one@example.test")
        run_loop(road)
        (mail,) = arrived(sandbox)
        self.bounce(road, complaint_of("one@example.test", mail.as_bytes()))
        assert Message.objects.unscoped().get().status == "sent"
        assert OptOut.objects.for_client(acme).get().source == "complaint"

    def test_the_bounce_of_a_lost_answer_finds_its_message(self, acme, road, sandbox):  # noqa: F811
        sandbox.set_faults(reset_after={"next": 1})
        send(acme, "one@example.test")
        run_loop(road)
        (mail,) = arrived(sandbox)
        self.bounce(road, bounce_of("bounces@acme.test", "one@example.test", mail.as_bytes()))
        assert Message.objects.unscoped().get().status == "failed"
        assert balance(acme) == 1000 * ONE

    def test_a_made_up_bounce_changes_nothing(self, acme, road, sandbox):  # noqa: F811
        (pk,) = send(acme, "one@example.test")
        run_loop(road)
        raw = f"To: bounces+msg-{pk:06d}.0000000000@acme.test\r\nMessage-ID: <x@y>\r\n".encode() + NOTE
        self.bounce(road, raw)
        assert Message.objects.unscoped().get().status == "sent"
        assert not OptOut.objects.for_client(acme).exists()
        assert ProviderCallback.objects.get().note == "waiting for its message"

    def test_a_note_that_names_its_message_by_the_address_alone(self):
        failed, gone = read_bounce(b"To: <bounces+msg-000081.ab12@acme.test>\r\n" + NOTE)
        assert (failed.provider_message_id, failed.status, failed.error_code) == (
            "msg-000081.ab12", "failed", "bad_mailbox"
        )  # fmt: skip
        assert (gone.provider_message_id, gone.reason) == ("msg-000081.ab12", "bounce")

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\x00\xff",
            b"To: bounces@acme.test\r\n\r\nOut of office",
            b"To: bounces+msg-000081@a\r\n\r\nhi",
            b"x" * 9000,
        ],
    )
    def test_other_mails_say_nothing(self, raw):
        with pytest.raises(UnreadableCallback):
            read_bounce(raw)


NOTE = b"""MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r
\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx\r
\r
Final-Recipient: rfc822; one@example.test\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp; 550 no such user\r
\r
--b--\r
"""


class TestMime:
    def test_nothing_typed_adds_a_header(self):
        content = {
            "subject": "a\r\nBcc: x@y.test",
            "from_name": 'A" <z@z>\r\nX: 1',
            "headers": {"Bcc": "q", "X-A\r\nB": "c"},
        }
        octets = mime.compose(
            Outbound(1, "a@b.test", "hi", "c@d.test", "MSG-000001", "email", content), connection_time()
        )
        mail = email.message_from_bytes(octets, policy=email.policy.default)
        assert mail["Bcc"] is None
        assert set(mail.keys()) == {"Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type",
                                    "Content-Transfer-Encoding"}  # fmt: skip

    @pytest.mark.parametrize("text", [".", "..", "a\n.\nb", "x" * 5000, "é" * 3000, "\n\n.", "ends with dot\n."])
    def test_any_text_survives_the_transfer(self, text):
        octets = mime.stuffed(
            mime.compose(Outbound(1, "a@b.test", text, "c@d.test", "MSG-000001", "email", {}), connection_time())
        )
        assert octets.endswith(b"\r\n.\r\n")
        body = octets[:-3]
        assert b"\r\n.\r\n" not in body
        assert max(map(len, octets.split(b"\r\n"))) <= 998
        mail = email.message_from_bytes(body.replace(b"\r\n..", b"\r\n."), policy=email.policy.default)
        assert mail.get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")


def connection_time():
    return datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("credentials", "address"),
    [
        ({}, ""),
        ({}, "http://x"),
        ({"connections": "0"}, "smtp://127.0.0.1"),
        ({"bounce_address": "x"}, "smtp://127.0.0.1"),
    ],
)
def test_what_cannot_connect_says_so(credentials, address):
    session = Smtp().open_session(Credentials(credentials), address)
    with pytest.raises(UnusableCredentials):
        session.start([Outbound(1, "a@b.test", "x", "c@d.test", "MSG-000001", "email", {})])
