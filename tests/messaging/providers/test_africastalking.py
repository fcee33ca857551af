"""Africa's Talking: its wire to the letter, and its quirks."""

import json
import logging
from dataclasses import replace
from urllib.parse import parse_qsl

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.providers.africastalking import FAILURE_REASON, REFUSED, REPORT_STATUS, AfricasTalking
from messaging.providers.base import Callback, Credentials, HttpResponse
from messaging.providers.failures import FAILURES
from tests.messaging.providers.cases import FORM, batch

AT = AfricasTalking()
CLASSIC = Credentials({"username": "acme", "api_key": "atsk_1"})
BULK = Credentials({"username": "acme", "api_key": "atsk_1", "endpoint": "bulk"})
BASE = "https://api.africastalking.com"


def answer(*rows, message="Sent to 0/1 Total Cost: 0 Message parts: 1"):
    body = {"SMSMessageData": {"Message": message, "Recipients": list(rows)}}
    return HttpResponse(201, (), orjson.dumps(body))


def row(code, number="+254711000001", status="Success", cost="0", message_id="None"):
    return {"statusCode": code, "number": number, "status": status, "cost": cost, "messageId": message_id}


def test_the_classic_endpoint_takes_a_form():
    request = AT.request_for(batch(), CLASSIC, BASE)

    assert (request.method, request.url) == ("POST", f"{BASE}/version1/messaging")
    assert dict(request.headers) == {"apiKey": "atsk_1", "Accept": "application/json", "Content-Type": FORM}
    assert parse_qsl(request.body.decode()) == [
        ("username", "acme"),
        ("to", "+254711000001,+254711000002"),
        ("message", "Habari"),
        ("bulkSMSMode", "1"),
        ("enqueue", "1"),
        ("from", "ACME"),
    ]
    assert b"to=%2B254711000001%2C%2B254711000002&" in request.body


def test_the_bulk_endpoint_takes_json_with_names_of_its_own():
    request = AT.request_for(batch(), BULK, BASE)

    assert request.url == f"{BASE}/version1/messaging/bulk"
    assert dict(request.headers)["Content-Type"] == "application/json"
    assert orjson.loads(request.body) == {
        "username": "acme",
        "message": "Habari",
        "senderId": "ACME",
        "phoneNumbers": ["+254711000001", "+254711000002"],
    }


@pytest.mark.parametrize("credentials", [CLASSIC, BULK])
def test_without_a_sender_the_vendors_default_is_used(credentials):
    request = AT.request_for([replace(batch()[0], sender="")], credentials, BASE)

    assert b"from" not in request.body
    assert b"senderId" not in request.body


def test_any_text_travels_unchanged():
    text = "Bei 50% & zaidi = €5 + «Zoë» 😀\nasante"
    request = AT.request_for([replace(batch()[0], text=text)], CLASSIC, BASE)

    assert dict(parse_qsl(request.body.decode()))["message"] == text


def test_rows_are_matched_by_number_and_keep_id_and_cost():
    second = row(102, "+254711000002", cost="KES 1.6000", message_id="ATXid_2")
    first = row(101, "+254711000001", cost="KES 0.8000", message_id="ATXid_1")

    outcomes = AT.outcomes_of(batch(), answer(second, first, message="Sent to 2/2"))

    assert [(o.provider_message_id, o.provider_cost) for o in outcomes] == [
        ("ATXid_1", "KES 0.8000"),
        ("ATXid_2", "KES 1.6000"),
    ]


@pytest.mark.parametrize(
    ("code", "kind", "error_code"),
    [
        (401, "rejected", "provider_review"),
        (402, "rejected", "sender_not_approved"),
        (403, "rejected", "invalid_number"),
        (404, "rejected", "unsupported_number"),
        (405, "retry", "provider_balance"),
        (406, "rejected", "blocked"),
        (407, "retry", "not_routed"),
        (409, "rejected", "quiet_hours"),
        (500, "retry", "provider_error"),
        (501, "retry", "provider_error"),
        (502, "rejected", "rejected_by_network"),
    ],
)
def test_each_documented_refusal_has_its_class(code, kind, error_code):
    (outcome,) = AT.outcomes_of(batch("+254711000001"), answer(row(code, status="Word")))

    assert (outcome.kind, outcome.error_code, outcome.error_message) == (kind, error_code, "Word")
    assert outcome.provider_message_id == ""
    assert outcome.provider_cost == ""


def test_codes_and_numbers_may_come_as_the_other_json_type():
    taken = row("101", number=254711000001, message_id="ATXid_1")

    (outcome,) = AT.outcomes_of(batch("+254711000001"), answer(taken, message="Sent to 1/1"))

    assert (outcome.kind, outcome.provider_message_id) == ("accepted", "ATXid_1")


@pytest.mark.parametrize(
    "contradiction",
    [
        row(101),  # a success without an id
        row(500, message_id="ATXid_1"),  # a refusal with one
        row(777, message_id="ATXid_1"),
        {"statusCode": 777, "number": "+254711000001"},  # neither
    ],
)
def test_a_contradicting_row_is_ambiguous_and_keeps_its_id(contradiction):
    (outcome,) = AT.outcomes_of(batch("+254711000001"), answer(contradiction))

    assert outcome.kind == "ambiguous"
    assert outcome.provider_message_id == contradiction.get("messageId", "").removeprefix("None")


def test_one_row_for_a_number_asked_twice_answers_the_first_and_leaves_the_second_open():
    taken = row(101, message_id="ATXid_1")

    outcomes = AT.outcomes_of(batch("+254711000001", "+254711000001"), answer(taken, message="Sent to 1/1"))

    assert [outcome.kind for outcome in outcomes] == ["accepted", "ambiguous"]


def test_whole_refusals_are_found_whatever_their_case():
    response = answer(message=" invalidsenderid ")

    assert {o.error_code for o in AT.outcomes_of(batch(), response)} == {"sender_not_approved"}


def test_nul_never_reaches_the_database():
    body = orjson.dumps({"SMSMessageData": {"Message": "a\x00b", "Recipients": []}})

    assert all("\x00" not in o.error_message + o.raw for o in AT.outcomes_of(batch(), HttpResponse(201, (), body)))


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "statusCode": st.sampled_from([101, 406, 500, "102"]) | ANYTHING,
            "number": st.sampled_from(["+254711000001", 254711000002, "0711000001"]) | ANYTHING,
            "messageId": st.sampled_from(["None", "ATXid_1"]) | ANYTHING,
            "cost": st.sampled_from(["0", "KES 0.8000"]) | ANYTHING,
            "status": ANYTHING,
        },
    )
)


@given(rows=ROWS, summary=st.sampled_from(["Sent to 2/2", "Sent to 0/2", "InvalidSenderId"]) | st.text())
def test_whatever_the_rows_hold_nothing_with_an_id_is_free_to_send_again(rows, summary):
    body = json.dumps({"SMSMessageData": {"Message": summary, "Recipients": rows}}).encode()

    outcomes = AT.outcomes_of(batch(), HttpResponse(201, (), body))

    assert [outcome.message_id for outcome in outcomes] == [1, 2]
    assert all(not o.provider_message_id for o in outcomes if o.kind in ("retry", "rejected"))
    assert all("\x00" not in o.raw + o.error_message + o.provider_message_id for o in outcomes)


@pytest.mark.parametrize("reason", ["UserInBlacklist", "UserInBlackList", "USERINBLACKLIST"])
def test_reasons_are_compared_without_case(reason):
    body = f"id=ATXid_1&status=Failed&phoneNumber=%2B254711000001&failureReason={reason}".encode()

    (report,) = AT.parse_callback(Callback("delivery", f"{FORM}; charset=utf-8", "", body, {}))

    assert (report.error_code, report.error_message) == ("blocked", reason)


def test_unknown_words_are_logged_without_the_number(caplog):
    body = b"id=ATXid_1&status=Teleported&phoneNumber=%2B254711000001"
    with caplog.at_level(logging.WARNING, logger="messaging.providers.africastalking"):
        AT.parse_callback(Callback("delivery", FORM, "", body, {}))

    assert "Teleported" in caplog.text
    assert "254711000001" not in caplog.text


def test_every_word_of_the_tables_leads_to_a_known_failure():
    codes = {code for _, code in REFUSED.values()} | set(FAILURE_REASON.values())
    codes |= {code for _, _, code in REPORT_STATUS.values() if code}

    assert codes <= FAILURES.keys()
