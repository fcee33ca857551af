"""The carrier's wire protocol, seen as a client sees it, and read by the product's own adapter."""

import re

import pytest
import requests

from crm.sandbox.networks import FAILING, REFUSING
from crm.sandbox.parts import count_parts
from messaging.providers.africastalking import REFUSED

NUMBER, OTHER = "+254711000001", "+254733000002"


def post(sandbox, path="/version1/messaging", headers=None, **form):
    form = {"username": "acme", "to": NUMBER, "message": "Habari", "from": "ACME", "enqueue": "1"} | form
    headers = {"apiKey": "any", "Accept": "application/json"} if headers is None else headers
    return requests.post(sandbox.base_url + path, data=form, headers=headers, timeout=5)


def test_an_accepted_request_is_answered_to_the_letter(sandbox):
    answer = post(sandbox, to=f"{NUMBER},{OTHER}")

    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "application/json"
    data = answer.json()["SMSMessageData"]
    assert data["Message"] == "Sent to 2/2 Total Cost: KES 1.6000 Message parts: 1"
    first, second = data["Recipients"]
    message_id = first.pop("messageId")
    assert re.fullmatch("ATXid_[0-9a-f]{32}", message_id)
    assert first == {"statusCode": 102, "number": NUMBER, "status": "Success", "cost": "KES 0.8000"}
    assert second["messageId"] != message_id


def test_without_enqueue_the_row_says_sent(sandbox):
    assert post(sandbox, enqueue="0").json()["SMSMessageData"]["Recipients"][0]["statusCode"] == 101


@pytest.mark.parametrize("endpoint", ["classic", "bulk"])
def test_the_adapter_and_the_carrier_understand_each_other(sandbox, send, endpoint):
    text = "50% & zaidi = €5 + Zoë\nasante"

    outcomes = send(NUMBER, OTHER, text=text, endpoint=endpoint)

    assert [outcome.kind for outcome in outcomes] == ["accepted", "accepted"]
    (kept,) = sandbox.messages(NUMBER)
    assert (kept["text"], kept["sender"], kept["username"]) == (text, "ACME", "acme")
    assert kept["provider_id"] == outcomes[0].provider_message_id


@pytest.mark.parametrize(("number", "code"), REFUSING.items())
def test_each_test_number_is_refused_by_its_code_and_costs_nothing(sandbox, send, number, code):
    (outcome,) = send(number)

    assert (outcome.kind, outcome.error_code) == REFUSED[code]
    assert sandbox.messages() == []


@pytest.mark.parametrize(
    ("number", "code"), [("0711000001", 403), ("+2547", 403), ("ACME", 403), ("+254202345678", 404)]
)
def test_wrong_numbers_are_refused_one_by_one(sandbox, number, code):
    first, second = post(sandbox, to=f"{number},{NUMBER}").json()["SMSMessageData"]["Recipients"]

    assert (first["statusCode"], first["messageId"], first["cost"]) == (code, "None", "0")
    assert second["statusCode"] == 102


@pytest.mark.parametrize("headers", [{}, {"apiKey": ""}, {"apiKey": "wrong"}])
def test_a_wrong_key_is_refused_in_plain_text(sandbox, headers):
    sandbox.call("PUT", "accounts", username="locked", api_key="right")

    answer = post(sandbox, headers=headers, username="locked")

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert answer.text == "The supplied authentication is invalid"
    assert sandbox.messages() == []
    assert post(sandbox, headers={"APIKEY": "right"}, username="locked").status_code == 201


def test_a_refused_sender_refuses_the_whole_request(sandbox, send):
    answer = post(sandbox, **{"from": "REFUSED"})

    assert (answer.status_code, answer.json()) == (
        201,
        {"SMSMessageData": {"Message": "InvalidSenderId", "Recipients": []}},
    )
    assert [outcome.error_code for outcome in send(NUMBER, OTHER, sender="REFUSED")] == ["sender_not_approved"] * 2
    assert sandbox.messages() == []


def test_money_runs_out_in_the_middle_and_then_altogether(sandbox):
    sandbox.call("PUT", "accounts", username="poor", balance=1)

    first = post(sandbox, username="poor", to=f"{NUMBER},{OTHER}").json()["SMSMessageData"]
    then = post(sandbox, username="poor").json()["SMSMessageData"]
    balance = requests.get(
        f"{sandbox.base_url}/version1/user", params={"username": "poor"}, headers={"apiKey": "any"}, timeout=5
    ).json()

    assert [row["statusCode"] for row in first["Recipients"]] == [102, 405]
    assert first["Message"] == "Sent to 1/2 Total Cost: KES 0.8000 Message parts: 1"
    assert then == {"Message": "InsufficientBalance", "Recipients": []}
    assert balance == {"UserData": {"balance": "KES 0.2000"}}


def test_a_long_text_costs_its_parts(sandbox):
    data = post(sandbox, message="a" * 161).json()["SMSMessageData"]

    assert data["Message"] == "Sent to 1/1 Total Cost: KES 1.6000 Message parts: 2"
    assert data["Recipients"][0]["cost"] == "KES 1.6000"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 307, 3),
        ("€" + "a" * 159, 2),
        ("€" * 80, 1),
        ("€" * 153, 3),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("a" * 151 + "€" + "a" * 153, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 67, 3),
        ("ж" * 66 + "😀" + "ж" * 66, 3),
        ("garçon", 1),
    ],
)
def test_parts_are_counted_as_networks_do(text, parts):
    assert count_parts(text) == parts


def test_the_inbox_is_empty_because_handsets_cannot_write(sandbox):
    answer = requests.get(
        f"{sandbox.base_url}/version1/messaging?username=acme&lastReceivedId=0", headers={"apiKey": "any"}, timeout=5
    )

    assert answer.json() == {"SMSMessageData": {"Messages": []}}


@pytest.mark.parametrize("missing", ["username", "to", "message"])
def test_a_missing_field_is_named(sandbox, missing):
    answer = post(sandbox, **{missing: ""})

    assert (answer.status_code, answer.text) == (400, f"Request is missing required form field '{missing}'")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"username":"acme","message":"x","phoneNumbers":[]}',
        b'{"username":"\\ud800","message":"x","phoneNumbers":["+254711000001"]}',
    ],
)
def test_an_unreadable_bulk_request_is_refused(sandbox, body):
    answer = requests.post(
        f"{sandbox.base_url}/version1/messaging/bulk", data=body, headers={"apiKey": "any"}, timeout=5
    )

    assert answer.status_code == 400


def test_http_that_cannot_be_read_is_refused_and_the_sandbox_goes_on(sandbox):
    chunked = requests.post(f"{sandbox.base_url}/version1/messaging", data=iter([b"a"]), timeout=5)

    assert chunked.status_code == 411
    assert requests.get(f"{sandbox.base_url}/nowhere", timeout=5).status_code == 404
    assert post(sandbox).status_code == 201


def test_network_codes_follow_the_number_except_in_the_vendors_own_sandbox(sandbox):
    post(sandbox, to=f"{NUMBER},{OTHER},+255754123456,+33612345678")
    post(sandbox, username="sandbox", to="+254711000009")

    assert {kept["number"]: kept["network"] for kept in sandbox.messages()} == {
        NUMBER: "63902",
        OTHER: "63903",
        "+255754123456": "64004",
        "+33612345678": "99999",
        "+254711000009": "99999",
    }


def test_the_lists_of_test_numbers_do_not_overlap():
    assert not REFUSING.keys() & FAILING.keys()


def test_messages_that_came_twice_are_counted(sandbox, send):
    send(NUMBER, OTHER)
    send(NUMBER)
    send(NUMBER, text="Other words")

    stats = sandbox.stats()

    assert (stats["accepted_requests"], stats["accepted_messages"], stats["duplicates"]) == (3, 4, 1)
