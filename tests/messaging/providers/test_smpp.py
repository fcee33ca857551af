"""SMPP over real sockets against the sandbox's SMSC: outcomes, receipts, and what comes by itself (D2, D4 to D7)."""

import socket
import struct
import threading
import time

import pytest
from django.db import connections

from accounts.models import Client
from crm.common.sql import later_sql
from crm.common.text_units import count_segments
from messaging.models import InboundMessage, Message, ProviderAccount, ProviderCallback, ProviderLine
from messaging.providers.base import Callback, Credentials, Outbound, UnreadableCallback, UnusableCredentials
from messaging.providers.smpp import line, pdus, session, texts
from messaging.providers.smpp.adapter import Smpp, read_settings
from messaging.providers.smpp.ids import as_answered, as_kept
from messaging.sending import runner
from messaging.sending.lines import Lines, leave_line, take_line
from messaging.sending.loop import Loop
from messaging.services.accept import Draft, accept_messages
from messaging.services.providers import add_route, connect_provider
from messaging.services.reports import process_callbacks
from tests.messaging.core.conftest import woken  # noqa: F401 - wake-ups are kept in a list
from tests.messaging.core.world import (
    ONE,
    accept,
    balance,
    check_books,
    make_due,
    make_sender,
    run_loop,
    run_sql,
    statuses,
)
from tests.sandbox_process import Sandbox, sandbox, sandbox_process  # noqa: F401

WRONG = {"system_id": "acme", "password": "wrong"}


@pytest.fixture
def acme(db: None) -> Client:
    return make_sender()


def make_line(sandbox: Sandbox, **credentials: str) -> ProviderAccount:  # noqa: F811
    account = connect_provider(
        name="Aggregator",
        adapter="smpp",
        credentials={"system_id": "acme", "password": "secret"} | credentials,
        base_url=f"smpp://127.0.0.1:{sandbox.call('GET', 'ports')['smpp']}",
    )
    add_route(account=account)
    return account


@pytest.fixture
def road(acme: Client, sandbox: Sandbox) -> ProviderAccount:  # noqa: F811
    return make_line(sandbox)


def settle(account: ProviderAccount, *wanted: str, seconds: float = 8) -> None:
    """Keep the line up, as a worker does, until every message has one of the statuses."""
    deadline = time.monotonic() + seconds

    def stop() -> bool:
        process_callbacks()
        make_due()
        return set(statuses()) <= set(wanted) or time.monotonic() > deadline

    account.refresh_from_db()
    Loop(account, stop=stop, stays=lambda _: True).run()
    process_callbacks()
    assert set(statuses()) <= set(wanted), statuses()


class TestConversation:
    def test_messages_arrive_once_and_their_receipts_deliver_them(self, acme, road, sandbox):  # noqa: F811
        ids = accept(acme, 40)
        settle(road, "delivered")
        arrived = sandbox.messages()
        assert len(arrived) == 40
        assert sandbox.stats()["duplicates"] == 0
        kept = dict(Message.objects.unscoped().values_list("pk", "provider_message_id"))
        assert {kept[pk] for pk in ids} == {row["provider_id"] for row in arrived}
        check_books()

    @pytest.mark.parametrize("how", ["udh", "sar", "payload"])
    @pytest.mark.parametrize("text", ["Habari " + "€[~]" * 90, "Jambo 😀 " * 30, "ujumbe mfupi", "ñ" * 160, "漢" * 71])
    def test_any_text_arrives_as_it_was_written(self, acme, sandbox, how, text):  # noqa: F811
        road = make_line(sandbox, long_messages=how)
        accept(acme, 1, text=text)
        settle(road, "delivered")
        assert [row["text"] for row in sandbox.messages()] == [text]

    @pytest.mark.parametrize("credentials", [{"binds": "two"}, {"alphabet": "latin1"}, {"window": "1"}])
    def test_an_account_binds_by_its_agreement(self, acme, sandbox, credentials):  # noqa: F811
        road = make_line(sandbox, **credentials)
        accept(acme, 5, text="Été à Genève")
        settle(road, "delivered")
        assert {row["text"] for row in sandbox.messages()} == {"Été à Genève"}

    @pytest.mark.parametrize(
        ("number", "code"),
        [
            ("+254700000402", "sender_not_approved"),
            ("+254700000403", "invalid_number"),
            ("+254700000406", "provider_refused"),
        ],
    )
    def test_a_refusal_is_final_and_refunded(self, acme, road, number, code):
        accept_messages(client=acme, drafts=[Draft(number, "Habari")])
        run_loop(road)
        message = Message.objects.unscoped().get()
        assert (message.status, message.error_code) == ("failed", code)
        assert balance(acme) == 1000 * ONE
        check_books()

    def test_a_failed_delivery_is_refunded_once(self, acme, road, sandbox):  # noqa: F811
        sandbox.set_faults(report_delay=0.05, failed_deliveries=1, duplicate_reports=1)
        accept(acme, 3)
        settle(road, "failed")
        time.sleep(0.3)
        settle(road, "failed", seconds=1)
        assert balance(acme) == 1000 * ONE
        check_books()


class TestTrouble:
    def test_throttled_messages_go_again_by_themselves(self, acme, road, sandbox):  # noqa: F811
        sandbox.set_faults(throttle={"next": 4}, report_delay=0.05)
        accept(acme, 10)
        assert run_loop(road).submitted == 10
        assert statuses() == {"sent": 10}
        assert len(sandbox.messages()) == 10
        assert set(Message.objects.unscoped().values_list("attempts", flat=True)) == {1}

    def test_one_that_is_always_throttled_goes_back_to_the_queue(self, acme, road, sandbox, monkeypatch):  # noqa: F811
        monkeypatch.setattr(session, "THROTTLE_PATIENCE", 0.6)
        sandbox.set_faults(throttle=1)
        accept(acme, 2)
        run_loop(road)
        assert statuses() == {"queued": 2}
        assert set(Message.objects.unscoped().values_list("error_code", flat=True)) == {"provider_busy"}

    def test_system_errors_are_a_retry(self, acme, road, sandbox):  # noqa: F811
        sandbox.set_faults(error_before={"next": 1}, report_delay=0.05)
        accept(acme)
        run_loop(road)
        assert statuses() == {"queued": 1}
        make_due()
        settle(road, "delivered")
        assert len(sandbox.messages()) == 1

    @pytest.mark.parametrize("dial", ["hang_after", "reset_after", "garbage_after", "truncate_after", "error_after"])
    def test_D5_a_lost_answer_is_never_sent_again_and_its_receipt_settles_it(
        self,
        acme,
        road,
        sandbox,  # noqa: F811
        monkeypatch,
        dial,
    ):
        monkeypatch.setattr(session, "ANSWER_SECONDS", 0.5)
        # The receipt comes once a line is there that stays: on one that is just being given up it might be lost.
        sandbox.set_faults(**{dial: {"next": 1}}, report_delay=3)
        accept(acme)
        run_loop(road)
        message = Message.objects.unscoped().get()
        assert (message.status, message.unconfirmed) == ("sent", True)
        for _ in range(2):
            make_due()
            run_loop(road)
        assert len(sandbox.messages()) == 1
        self._age_callbacks_and_settle(road)
        assert len(sandbox.messages()) == 1
        check_books()

    def _age_callbacks_and_settle(self, road):
        """Its id was never learnt: the receipt finds it by its number, once that is beyond doubt."""
        deadline = time.monotonic() + 30

        def stop() -> bool:
            run_sql(f"UPDATE messaging_providercallback SET received_at = {later_sql(-60)}")
            make_due()
            process_callbacks()
            return set(statuses()) == {"delivered"} or time.monotonic() > deadline

        road.refresh_from_db()
        Loop(road, stop=stop, stays=lambda _: True).run()
        assert statuses() == {"delivered": 1}

    def test_D5_of_a_full_window_only_what_was_written_is_unknown(self, acme, sandbox):  # noqa: F811
        road = make_line(sandbox, window="4")
        sandbox.set_faults(latency=0.05, reset_after={"next": 1}, report_delay=0.05)
        accept(acme, 30)
        run_loop(road)
        unknown = Message.objects.unscoped().filter(unconfirmed=True).count()
        assert 1 <= unknown <= 4
        assert statuses() == {"sent": 30}
        assert sandbox.stats()["duplicates"] == 0

    def test_D6_nobody_there_is_a_retry(self, acme, road):
        ProviderAccount.objects.update(base_url="smpp://127.0.0.1:9")
        accept(acme, 3)
        run_loop(road)
        assert statuses() == {"queued": 3}
        assert set(Message.objects.unscoped().values_list("error_code", flat=True)) == {"provider_unreachable"}

    def test_a_refused_bind_is_the_operators_to_mend(self, acme, road):
        ProviderAccount.objects.filter(pk=road.pk).update(credentials=WRONG)
        accept(acme, 2)
        run_loop(road)
        assert set(Message.objects.unscoped().values_list("status", "error_code")) == {
            ("queued", "provider_credentials")
        }

    @pytest.mark.parametrize(
        "dials",
        [
            {"early_reports": 1},
            {"duplicate_reports": 1},
            {"out_of_order_reports": 1},
            {"contradicting_reports": 1},
            {"forged_reports": 1},
        ],
    )
    def test_D2_receipts_in_any_order_leave_one_final_state(self, acme, road, sandbox, dials):  # noqa: F811
        sandbox.set_faults(report_delay=0.05, **dials)
        accept(acme, 4)
        settle(road, "delivered")
        time.sleep(0.6)
        settle(road, "delivered", seconds=1)
        assert balance(acme) == 996 * ONE
        check_books()

    def test_receipts_that_nobody_acknowledged_come_again(self, acme, road, sandbox):  # noqa: F811
        sandbox.set_faults(report_delay=0.3)
        accept(acme, 3)
        run_loop(road)  # unbinds before the receipts
        assert statuses() == {"sent": 3}
        time.sleep(0.5)
        settle(road, "delivered")


class TestLine:
    """One process holds the bind; another follows when it is gone."""

    def test_one_holder_by_the_databases_clock(self, road):
        assert take_line(account_id=road.pk, owner="one")
        assert take_line(account_id=road.pk, owner="one")
        assert not take_line(account_id=road.pk, owner="two")
        leave_line(account_id=road.pk, owner="two")
        assert not take_line(account_id=road.pk, owner="two")
        leave_line(account_id=road.pk, owner="one")
        assert take_line(account_id=road.pk, owner="two")

    def test_the_dispatcher_leaves_such_accounts_to_their_holder(self, acme, road, sandbox):  # noqa: F811
        accept(acme)
        assert runner.send_waiting(account_id=road.pk) == 0
        assert sandbox.messages() == []

    @pytest.mark.django_db(transaction=True)
    def test_a_held_line_sends_receives_and_unbinds_at_the_end(self, acme, road, sandbox):  # noqa: F811
        ending = threading.Event()
        lines = Lines(stop=ending.is_set)
        lines.look()
        try:
            assert ProviderLine.objects.get().account_id == road.pk
            accept(acme, 5)
            deadline = time.monotonic() + 8
            while statuses() != {"delivered": 5} and time.monotonic() < deadline:
                process_callbacks()
                time.sleep(0.1)
            assert statuses() == {"delivered": 5}
        finally:
            ending.set()
            for thread in lines._held.values():
                thread.join(timeout=5)
            connections.close_all()
        assert not ProviderLine.objects.exists()


def test_what_a_person_writes_is_kept_before_it_is_acknowledged(acme, road, sandbox):  # noqa: F811
    sandbox.call("POST", "writes", username="acme", number="+254712000001", to="22225", text="Habari € 😀")
    deadline = time.monotonic() + 5
    mine = ProviderCallback.objects.filter(kind="inbound")  # beside receipts of earlier tests, which come on this line
    Loop(road, stop=lambda: mine.exists() or time.monotonic() > deadline, stays=lambda _: True).run()
    row = mine.get()
    found = pdus.read_deliver(bytes(row.body))
    assert (found.source, found.destination) == ("254712000001", "22225")
    assert texts.decode(found.octets, found.data_coding) == "Habari € 😀"
    assert process_callbacks() >= 1
    written = InboundMessage.objects.unscoped().get()
    assert (written.sender, written.recipient, written.text) == ("+254712000001", "22225", "Habari € 😀")


class TestTexts:
    @pytest.mark.parametrize(
        "text", ["a" * 160, "a" * 161, "€" * 81, "[" * 200, "😀" * 36, "ж" * 70, "ж" * 71, "a" * 306 + "€"]
    )
    def test_parts_agree_with_what_is_billed(self, text):
        parts = texts.parts_of(text, reference=300)
        assert len(parts) == count_segments(text).segments
        assert all(len(part.octets) <= (140 if part.data_coding == 8 else 160) for part in parts)
        joined = "".join(
            texts.decode(texts.without_header(p.octets)[0] if p.has_header else p.octets, p.data_coding) for p in parts
        )
        assert joined == text
        if len(parts) > 1:
            marks = [texts.without_header(part.octets)[1] for part in parts]
            assert marks == [(300 & 0xFF, len(parts), n) for n in range(1, len(parts) + 1)]

    def test_the_alphabet_goes_both_ways(self):
        every = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ§¿azäöñüà^{}\\[~]|€\f"
        coding, characters = texts.encode(every)
        assert coding == texts.GSM7
        assert texts.decode(b"".join(characters), coding) == every


class TestPdus:
    def test_a_stream_is_cut_wherever_it_is_torn(self):
        units = [pdus.Pdu(pdus.ENQUIRE_LINK, 0, n, b"x" * n) for n in range(1, 6)]
        octets = b"".join(unit.pack() for unit in units)
        reader = pdus.Reader()
        assert [unit for n in range(len(octets)) for unit in reader.feed(octets[n : n + 1])] == units

    @pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
    def test_what_is_no_smpp_is_refused(self, length):
        with pytest.raises(pdus.Garbage):
            list(pdus.Reader().feed(struct.pack(">IIII", length, 4, 0, 1)))

    def test_a_torn_deliver_sm_is_garbage_at_any_length(self):
        body = b"\x00\x01\x01254\x00\x00\x0022\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x05hello"
        assert pdus.read_deliver(body).octets == b"hello"
        for length in range(len(body)):
            with pytest.raises(pdus.Garbage):
                pdus.read_deliver(body[:length])


def receipt(text: str, tlvs: bytes = b"", ids: str = "same"):
    body = b"\x00\x01\x01254711000001\x00\x00\x00ACME\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00"
    body += bytes((len(text),)) + text.encode("latin-1") + tlvs
    (found,) = Smpp().parse_callback(Callback("delivery", f"application/smpp; receipt_ids={ids}", "", body, {}))
    return found


USUAL = "id:1a2b sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:DELIVRD err:000 text:Habari Asha"


class TestReceipts:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (USUAL, ("1a2b", "delivered", True, "")),
            ("stat:UNDELIV err:011 id:7 Text:", ("7", "failed", True, "delivery_failed")),
            ("id:7 stat:EXPIRED err:A1", ("7", "failed", True, "expired")),
            ("id:7 stat:ENROUTE", ("7", "sent", False, "")),
            ("id:7 stat:ACCEPTD err:0", ("7", "sent", False, "")),
            ("id:7 stat:WHATEVER", ("7", "sent", False, "")),
            ("id:7 stat:REJECTD text:id:9 stat:DELIVRD", ("7", "failed", True, "rejected_by_network")),
        ],
    )  # fmt: skip
    def test_read_by_key_in_any_order(self, text, expected):
        found = receipt(text)
        assert (found.provider_message_id, found.status, found.final, found.error_code) == expected
        assert found.recipient == "+254711000001"

    def test_fields_of_their_own_win_over_the_text(self):
        found = receipt("id:7 stat:DELIVRD", pdus.tlv(0x001E, b"abc\x00") + pdus.tlv(0x0427, b"\x05"))
        assert (found.provider_message_id, found.status) == ("abc", "failed")

    def test_one_that_names_no_message_is_unreadable(self):
        with pytest.raises(UnreadableCallback):
            receipt("stat:DELIVRD")

    @pytest.mark.parametrize(
        ("answered", "receipt_id", "ids"), [("001F", "31", "decimal"), ("31", "1F", "hex"), ("00ab", "00ab", "same")]
    )
    def test_ids_in_another_base_meet(self, answered, receipt_id, ids):
        assert as_kept(answered, ids) == as_answered(receipt_id, ids)
        assert receipt(f"id:{receipt_id} stat:DELIVRD", ids=ids).provider_message_id == as_kept(answered, ids)


@pytest.mark.parametrize(
    ("credentials", "address"),
    [
        ({"system_id": "a", "password": "b"}, "http://127.0.0.1:2775"),
        ({"system_id": "a", "password": "b"}, ""),
        ({"system_id": "a", "password": "b"}, "smpp://:1"),
        ({"system_id": "a" * 16, "password": "b"}, "smpp://127.0.0.1:2775"),
        ({"system_id": "a", "password": "b", "window": "0"}, "smpp://127.0.0.1:2775"),
        ({"system_id": "a", "password": ""}, "smpp://127.0.0.1:2775"),
    ],
)
def test_what_cannot_bind_says_so_and_sends_nothing(credentials, address):
    with pytest.raises(UnusableCredentials):
        read_settings(Credentials(credentials), address)
    opened = Smpp().open_session(Credentials(credentials), address)
    with pytest.raises(UnusableCredentials):
        opened.start([Outbound(1, "+254711000001", "x", "ACME", "MSG-000001")])
    assert list(opened.ended()) == []


def test_silence_ends_a_line(monkeypatch):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    monkeypatch.setattr(line, "ENQUIRE_SECONDS", -1)
    monkeypatch.setattr(line, "SILENCE_SECONDS", 0.05)
    kept = line.Line(ours, sends=True, receives=True)
    kept.pump()
    assert theirs.recv(100)[4:8] == struct.pack(">I", pdus.ENQUIRE_LINK)
    time.sleep(0.1)
    with pytest.raises(line.LineLost):
        kept.pump()
    theirs.close()
