"""The sandbox's Daraja on the wire: token, push, query, statement and their error bodies, as the contract has them."""

import base64

import pytest
import requests

PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
STAMP = "20260301120000"
PASSWORD = base64.b64encode(f"174379{PASSKEY}{STAMP}".encode()).decode()
PUSH = {
    "BusinessShortCode": "174379", "Password": PASSWORD, "Timestamp": STAMP, "Amount": 100, "PartyA": "254712345678",
    "TransactionType": "CustomerPayBillOnline", "PartyB": "174379", "PhoneNumber": "254712345678",
    "CallBackURL": "http://127.0.0.1:9/pay/x", "AccountReference": "T1", "TransactionDesc": "Credit",
}  # fmt: skip


class Wire:
    def __init__(self, sandbox):
        self.base = sandbox.base_url
        answer = self.token()
        assert answer.status_code == 200
        assert answer.json()["expires_in"] == "3599"
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def token(self, pair=("key", "secret"), grant="client_credentials"):
        path = f"{self.base}/oauth/v1/generate"
        return requests.get(path, params={"grant_type": grant}, auth=pair, timeout=5)

    def post(self, path, body, **extra):
        return requests.post(self.base + path, json=body, headers=self.headers | extra, timeout=5)

    def push(self, **change):
        return self.post("/mpesa/stkpush/v1/processrequest", PUSH | change)

    def query(self, checkout):
        body = {name: PUSH[name] for name in ("BusinessShortCode", "Password", "Timestamp")}
        return self.post("/mpesa/stkpushquery/v1/query", body | {"CheckoutRequestID": checkout})


@pytest.fixture
def wire(sandbox):
    return Wire(sandbox)


def test_the_published_test_vector():
    assert PASSWORD == (
        "MTc0Mzc5YmZiMjc5ZjlhYTliZGJjZjE1OGU5N2RkNzFhNDY3Y2QyZTBjODkzMDU5YjEwZjc4ZTZiNzJhZGExZWQyYzkxOTIwMjYwMzAxMTIwMDAw"
    )


def test_tokens(wire):
    assert wire.token(grant="password").json()["errorCode"] == "400.008.02"
    wrong = wire.token(("key", "wrong"))
    assert (wrong.status_code, wrong.content) == (400, b"")
    wire.token()  # a newer token ends the one before
    refused = wire.push()
    assert (refused.status_code, refused.json()["errorCode"]) == (404, "404.001.03")


def test_a_push_is_accepted_and_pending_in_two_forms(wire, sandbox):
    body = wire.push().json()
    assert body["ResponseCode"] == "0"
    assert body["CheckoutRequestID"].startswith("ws_CO_")
    first, second = wire.query(body["CheckoutRequestID"]), wire.query(body["CheckoutRequestID"])
    assert (first.status_code, first.json()["errorMessage"]) == (500, "The transaction is being processed")
    assert (second.status_code, second.json()["ResultCode"]) == (200, "4999")
    sandbox.call("POST", "prompts", number="+254712345678", act="cancel")
    assert wire.query(body["CheckoutRequestID"]).json()["ResultCode"] == "1032"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"Amount": 1.5}, "Amount"), ({"Amount": 0}, "Amount"), ({"Amount": 250_001}, "Amount"),
        ({"PhoneNumber": "0712345678"}, "PhoneNumber"), ({"PartyA": "+254712345678"}, "PartyA"),
        ({"AccountReference": "x" * 13}, "AccountReference"), ({"TransactionDesc": ""}, "Remarks"),
        ({"CallBackURL": "http://127.0.0.1/mpesa"}, "CallBackURL"), ({"CallBackURL": "nowhere"}, "CallBackURL"),
        ({"TransactionType": "Pay"}, "TransactionType"), ({"Timestamp": "2026"}, "Timestamp"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(wire, change, field):
    answer = wire.push(**change)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "400.002.02")
    assert answer.json()["errorMessage"] == f"Bad Request - Invalid {field}"


def test_credentials_and_one_prompt_for_a_phone(wire):
    assert wire.push(Password="eA==").json()["errorMessage"] == "Wrong credentials"
    assert wire.push().status_code == 200
    busy = wire.push()
    assert (busy.status_code, busy.json()["errorCode"]) == (500, "500.001.1001")
    assert busy.json()["errorMessage"].startswith("Unable to lock subscriber")


def test_a_form_body_and_other_methods(wire):
    path = f"{wire.base}/mpesa/stkpush/v1/processrequest"
    answer = requests.post(path, data=PUSH, headers=wire.headers, timeout=5)
    assert answer.json()["errorMessage"] == "Bad Request - Invalid BusinessShortCode"
    assert requests.get(path, headers=wire.headers, timeout=5).json()["errorCode"] == "405.001"


def test_the_statement_lists_what_was_paid(wire, sandbox):
    paid = sandbox.call("POST", "payments", shortcode="174379", number="+254712345678", amount=250, account="7")
    asked = {"ShortCode": "174379", "StartDate": "2020-01-01 00:00:00", "EndDate": "2099-01-01 00:00:00",
             "OffSetValue": "0"}  # fmt: skip
    body = wire.post("/pulltransactions/v1/query", asked).json()
    assert body["ResponseCode"] == "1000"
    row = body["Response"][0][0]
    assert (row["transactionId"], row["amount"], row["billreference"]) == (paid["receipt"], "250.00", "7")
    assert row["msisdn"] == 712345678
    assert wire.post("/pulltransactions/v1/query", asked | {"OffSetValue": "1"}).json()["ResponseCode"] == "1001"


def test_payments_outlive_a_restart(sandbox, tmp_path):
    from tests.sandbox_process import running_sandbox

    with running_sandbox(tmp_path / "s.sqlite3") as own:
        paid = own.call("POST", "payments", shortcode="174379", number="+254712345678", amount=250, account="7")
        own.stop()
        own.start()
        assert own.call("GET", "payments")[0]["receipt"] == paid["receipt"]


def test_the_handset_shows_the_prompt_and_takes_a_pin(wire, sandbox):
    wire.push()
    page = f"{sandbox.base_url}/handset/+254712345678"
    shown = requests.get(page, timeout=5).text
    assert "Ksh 100.00" in shown
    assert "174379" in shown
    assert "A PIN has four digits" in requests.post(f"{page}/prompt", data={"act": "pay", "pin": "12"}, timeout=5).text
    requests.post(f"{page}/prompt", data={"act": "pay", "pin": "0000"}, timeout=5)
    assert sandbox.call("GET", "payments")[0]["code"] == "2001"
    wire.push()
    requests.post(f"{page}/prompt", data={"act": "pay", "pin": "4321"}, timeout=5)
    assert sandbox.call("GET", "payments")[0]["code"] == "0"
    assert "Paid" in requests.get(page, timeout=5).text
