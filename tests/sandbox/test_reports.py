"""Delivery reports and opt-outs: what the carrier posts, when, and how it behaves while the product is down."""

import time

import pytest

from crm.sandbox.networks import FAILING, SILENT, UNKNOWN_WORD
from messaging.providers.base import Callback
from messaging.providers.registry import get_adapter
from tests.messaging.providers.cases import FORM
from tests.sandbox.conftest import Receiver
from tests.sandbox_process import running_sandbox

NUMBER = "+254711000001"


def settled(sandbox, sent):
    """Stats when that many callbacks were taken and none waits."""
    return sandbox.wait_for(lambda stats: stats["reports_sent"] >= sent and not stats["reports_waiting"])


def test_a_delivered_message_is_reported_to_the_letter(sandbox, send, receiver):
    (outcome,) = send(NUMBER)
    settled(sandbox, 1)

    assert receiver.got == [
        (
            "/delivery",
            {
                "id": outcome.provider_message_id,
                "status": "Success",
                "phoneNumber": NUMBER,
                "networkCode": "63902",
                "retryCount": "0",
            },
        )
    ]
    assert sandbox.messages()[0]["state"] == "Success"


def test_an_intermediate_report_comes_first(sandbox, send, receiver):
    sandbox.set_faults(report_delay=0.3, intermediate_reports=1)
    send(NUMBER)
    settled(sandbox, 2)

    first, second = (form["status"] for form in receiver.forms())
    assert first in ("Sent", "Submitted", "Buffered")
    assert second == "Success"


def test_each_failing_number_is_reported_by_its_words_and_the_adapter_knows_them(sandbox, send, receiver):
    send(*FAILING)
    settled(sandbox, len(FAILING))

    assert {f["phoneNumber"]: (f["status"], f.get("failureReason", "")) for f in receiver.forms()} == FAILING
    for path, form in receiver.got:
        body = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in form.items()).encode()
        (report,) = get_adapter("africastalking").parse_callback(Callback("delivery", FORM, "", body, {}))
        assert (path, report.status, report.final, bool(report.error_code)) == ("/delivery", "failed", True, True)


def test_some_numbers_stay_silent_or_say_what_nobody_knows(sandbox, send, receiver):
    send(SILENT, UNKNOWN_WORD)
    settled(sandbox, 1)

    assert [(form["phoneNumber"], form["status"]) for form in receiver.forms()] == [(UNKNOWN_WORD, "Teleported")]
    assert sandbox.messages(SILENT)[0]["state"] == "Sent"


@pytest.mark.parametrize(
    ("dial", "statuses"),
    [
        ("duplicate_reports", ["Success", "Success"]),
        ("contradicting_reports", ["Success", "Failed"]),
        ("forged_reports", ["Success", "Success"]),
    ],
)
def test_second_reports_that_should_not_be(sandbox, send, receiver, dial, statuses):
    sandbox.set_faults(report_delay=0, intermediate_reports=0, **{dial: 1})
    (outcome,) = send(NUMBER)
    settled(sandbox, 2)

    assert sorted(form["status"] for form in receiver.forms()) == sorted(statuses)
    ours = [form["id"] == outcome.provider_message_id for form in receiver.forms()]
    assert sum(ours) == (1 if dial == "forged_reports" else 2)
    assert sandbox.messages()[0]["state"] == "Success"


def test_out_of_order_reports_end_with_an_intermediate_one(sandbox, send, receiver):
    sandbox.set_faults(report_delay=0, out_of_order_reports=1)
    send(NUMBER)
    settled(sandbox, 2)

    first, second = (form["status"] for form in receiver.forms())
    assert first == "Success"
    assert second in ("Sent", "Submitted", "Buffered")
    assert sandbox.messages()[0]["state"] == "Success"


def test_a_missing_report_leaves_the_phone_with_its_message(sandbox, send, receiver):
    sandbox.set_faults(report_delay=0, missing_reports={"next": 1})
    send(NUMBER)
    send("+254711000002")
    settled(sandbox, 1)

    assert {form["phoneNumber"] for form in receiver.forms()} == {"+254711000002"}
    assert {kept["state"] for kept in sandbox.messages()} == {"Success"}


def test_late_reports_come_late(sandbox, send, receiver):
    sandbox.set_faults(report_delay=0, intermediate_reports=0, late_reports=1, late_seconds=0.6)
    send(NUMBER)
    time.sleep(0.3)
    assert receiver.got == []

    settled(sandbox, 1)


def test_an_early_report_overtakes_the_answer(sandbox, send, receiver):
    sandbox.set_faults(early_reports=1)
    (outcome,) = send(NUMBER)

    assert [form["id"] for form in receiver.forms()] == [outcome.provider_message_id]


def test_failed_deliveries_draw_from_the_reasons_given(sandbox, send, receiver):
    sandbox.set_faults(report_delay=0, intermediate_reports=0, failed_deliveries=1, reasons=["AbsentSubscriber"])
    send(NUMBER)
    settled(sandbox, 1)

    assert receiver.forms()[0]["status"] == "AbsentSubscriber"
    assert "failureReason" not in receiver.forms()[0]


def test_a_product_that_answers_badly_is_called_again_until_it_takes_the_report(sandbox, send, receiver):
    receiver.status = 503
    send(NUMBER)
    sandbox.wait_for(lambda stats: stats["reports_refused_attempts"])
    receiver.status = 200
    stats = settled(sandbox, 1)

    assert stats["reports_failed"] == 0
    assert len(receiver.got) >= 2


def test_a_product_that_was_down_loses_no_report(sandbox, send):
    down = Receiver()
    down.stop()
    sandbox.set_callbacks(delivery=f"{down.url}/delivery")
    send(*(f"+25471100{n:04}" for n in range(50)))
    sandbox.wait_for(lambda stats: stats["reports_refused_attempts"] >= 50)

    back = Receiver(down.port)
    settled(sandbox, 50)
    back.stop()

    assert len({form["id"] for form in back.forms()}) == 50


def test_without_an_address_nothing_is_posted_and_the_page_can_say_so(sandbox, send):
    send(NUMBER)

    stats = sandbox.wait_for(lambda stats: stats["reports_without_address"])
    assert stats["reports_sent"] == 0
    assert sandbox.messages()[0]["state"] == "Success"


def test_a_username_with_an_address_of_its_own_is_called_there(sandbox, send, receiver):
    sandbox.set_callbacks(username="acme", delivery=f"{receiver.url}/acme")
    send(NUMBER)
    settled(sandbox, 1)
    sandbox.set_callbacks(username="acme", delivery="")

    assert [path for path, _ in receiver.got] == ["/acme"]


def test_leaving_a_sender_is_told_and_refuses_only_that_sender(sandbox, send, receiver):
    send(NUMBER)
    assert sandbox.call("POST", "optouts", username="acme", sender="ACME", number=NUMBER) == {"told": True}
    settled(sandbox, 2)

    assert ("/optout", {"senderId": "ACME", "phoneNumber": NUMBER}) in receiver.got
    assert send(NUMBER)[0].error_code == "blocked"
    assert send(NUMBER, sender="OTHER")[0].kind == "accepted"


def test_a_restart_keeps_messages_dials_and_reports_still_owed(tmp_path):
    receiver = Receiver()
    with running_sandbox(tmp_path / "sandbox.sqlite3") as sandbox:
        sandbox.set_callbacks(delivery=f"{receiver.url}/delivery")
        sandbox.set_faults(report_delay=30, intermediate_reports=0, latency=0.01)
        form = {"username": "acme", "to": "+254700001001", "message": "Habari", "from": "ACME"}
        answer = sandbox.http.post(f"{sandbox.base_url}/version1/messaging", data=form, headers={"apiKey": "any"})
        sandbox.call("POST", "optouts", username="acme", sender="ACME", number=NUMBER)
        assert receiver.got == []

        assert sandbox.stop() < 2
        sandbox.start()
        sandbox.wait_for(lambda stats: stats["reports_sent"] == 1)

        row = answer.json()["SMSMessageData"]["Recipients"][0]
        assert [(f["id"], f["status"]) for f in receiver.forms()] == [(row["messageId"], "Failed")]
        assert receiver.forms()[0]["failureReason"] == "UserIsInactive"
        assert sandbox.messages("+254700001001")[0]["text"] == "Habari"
        assert sandbox.call("GET", "faults")["latency"] == 0.01
        refused = sandbox.http.post(
            f"{sandbox.base_url}/version1/messaging", data=form | {"to": NUMBER}, headers={"apiKey": "any"}
        )
        assert refused.json()["SMSMessageData"]["Recipients"][0]["statusCode"] == 406
    receiver.stop()
