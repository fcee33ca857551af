"""Programs as integrators write them, over real HTTP: Python with requests, Node, PHP and curl, where installed."""

import json
import os
import shutil
import subprocess
import threading
from urllib.parse import urlencode

import pytest
import requests

from crm.docs.moving import APP_VARIABLE, MOVES, SECRET_VARIABLE
from crm.docs.samples import KEY_VARIABLE, Caller
from messaging.models import Message
from tests.messaging.dialects.cast import Program

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def base(live_server) -> str:
    return live_server.url


def run(*argv: str, text: str = "") -> str:
    """The output of a program; a skip where it is not installed."""
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def texts(program: Program) -> list[tuple[str, str]]:
    return sorted(Message.objects.for_client(program.client).values_list("recipient", "text"))


class MifumoClient:
    """As its guide has it: a session with the key, a base URL, paths that end in a slash."""

    def __init__(self, key: str, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.headers.update({"Authorization": f"Bearer {key}", "Content-Type": "application/json"})

    def send_sms(self, message: str, recipients: list[str], sender_id: str | None = None) -> dict:
        data = {"message": message, "recipients": recipients}
        if sender_id:
            data["sender_id"] = sender_id
        response = self.session.post(f"{self.base_url}/api/integration/v1/sms/send/", json=data, allow_redirects=False)
        return response.json()

    def get(self, path: str) -> dict:
        return self.session.get(f"{self.base_url}/api/integration/v1/sms/{path}", allow_redirects=False).json()


def test_mifumo_in_python(acme, base):
    client = MifumoClient(acme.key, base)
    result = client.send_sms("Karibu!", ["+254712345678", "+255123456789"], "Taarifa-SMS")
    assert result["success"], result
    status = client.get(f"status/{result['data']['message_id']}/")
    assert [row["recipient"] for row in status["data"]["delivery_details"]] == ["+254712345678", "+255123456789"]
    assert client.get("balance/")["data"]["balance"] == 998.0
    assert client.send_sms("", ["+254712345678"])["error_code"] == "MISSING_MESSAGE"
    assert texts(acme) == [("+254712345678", "Karibu!"), ("+255123456789", "Karibu!")]


def test_texin_in_python_with_a_form(acme, base):
    data = {"api_key": acme.key, "recipient": "0712345678", "message": "Habari yako à Noël"}
    sent = requests.post(f"{base}/api/send_sms", data=data, timeout=30).json()
    assert sent["success"], sent
    asked = {"api_key": acme.key, "message_id": sent["message_id"]}
    assert requests.post(f"{base}/api/check_status", json=asked, timeout=30).json()["status"] == "queued"
    assert texts(acme) == [("+254712345678", "Habari yako à Noël")]


def test_paydunya_in_python_with_multipart(acme, base):
    form = {"user_key": (None, acme.key), "secret_key": (None, acme.secret)}
    token = requests.post(f"{base}/api/v1/auth/login", files=form, timeout=30).json()["access_token"]
    node = acme.send_node({"from": "SENDER-ID", "to": "+221776665544", "text": "Un sms de test."})
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.post(f"{base}/api/v1/sms/send", json=node, headers=headers, timeout=30).json()["code"] == "00"
    assert requests.post(f"{base}/api/v1/auth/logout", headers=headers, timeout=30).json()["code"] == "00"
    assert requests.post(f"{base}/api/v1/sms/send", json=node, headers=headers, timeout=30).status_code == 401
    assert texts(acme) == [("+221776665544", "Un sms de test.")]


NODE = """
const [base, key, secret, appKey] = process.argv.slice(1);
const post = async (path, body, headers = {}) => {
  const response = await fetch(base + path, {
    method: "POST", headers: {"Content-Type": "application/json", ...headers}, body: JSON.stringify(body)});
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
};
(async () => {
  const bearer = {Authorization: `Bearer ${key}`};
  const text = {message: "Node 1", recipients: ["+254712345671"]};
  const mifumo = await post("/api/integration/v1/sms/send/", text, bearer);
  const texin = await post("/api/send_bulk_sms", {api_key: key, recipients: ["0712345672"], message: "Node 2"});
  const {access_token} = await post("/api/v1/auth/login", {user_key: key, secret_key: secret});
  const sms = [{from: "HOSPITAL", to: "+254712345673", text: "Node 3"}];
  const paydunya = await post("/api/v1/sms/send", {send_sms_request: {type: "application", app_key: appKey, sms}},
    {Authorization: `Bearer ${access_token}`});
  const presto = await post("/console/api/", {user: key, pass: secret, action: "sendsms", from: "HOSPITAL",
    message: "Node 4", to: [{recipient: "254712345674"}]});
  console.log(JSON.stringify([mifumo.success, texin.statistics.successful, paydunya.data.sms[0].sender_addresss,
    presto["message-count"]]));
})().catch((error) => { console.error(error); process.exit(1); });
"""


def test_every_dialect_in_node(acme, base):
    told = run("node", "-e", NODE, base, acme.key, acme.secret, acme.app_key)
    assert json.loads(told) == [True, 1, "HOSPITAL", 1]
    assert texts(acme) == [(f"+25471234567{number}", f"Node {number}") for number in range(1, 5)]


PHP = """<?php
[$_, $base, $key, $secret] = $argv;
function post($url, $body, $type = "application/json") {
    $context = stream_context_create(["http" => [
        "method" => "POST", "header" => "Content-Type: $type", "content" => $body, "ignore_errors" => true]]);
    return json_decode(file_get_contents($url, false, $context), true);
}
$bulk = http_build_query(["api_key" => $key, "recipients" => ["0712345672"], "message" => "PHP é"]);
$texin = post("$base/api/send_bulk_sms", $bulk, "application/x-www-form-urlencoded");
$data = json_encode(["user" => $key, "pass" => $secret, "action" => "sendsms", "from" => "HOSPITAL",
    "message" => "PHP 2", "to" => [["recipient" => "254712345674"]]]);
$presto = post("$base/console/api/", "data=" . urlencode($data), "application/x-www-form-urlencoded");
echo json_encode([$texin["statistics"]["successful"], $presto["message-count"]]);
"""


def test_forms_in_php(acme, base, tmp_path):
    script = tmp_path / "program.php"
    script.write_text(PHP)
    assert json.loads(run("php", str(script), base, acme.key, acme.secret)) == [1, 1]
    assert texts(acme) == [("+254712345672", "PHP é"), ("+254712345674", "PHP 2")]


def test_curl(acme, base):
    query = urlencode({"user": acme.key, "pass": acme.secret, "action": "sendsms", "from": "HOSPITAL",
                       "to": "254712345671,254712345672", "message": "Bonjour é"})  # fmt: skip
    assert json.loads(run("curl", "-s", f"{base}/console/api/?{query}"))["message-count"] == 2
    body = json.dumps({"api_key": acme.key, "recipient": "0712345673", "message": "Curl"})
    assert json.loads(run("curl", "-s", f"{base}/api/send_sms", "-d", body))["success"]
    assert run("curl", "-s", "-w", "%{http_code}", f"{base}/api/integration/v1/sms/balance",
               "-H", f"Authorization: Bearer {acme.key}").endswith("200")  # fmt: skip
    assert len(texts(acme)) == 3


def test_M5_twenty_calls_of_four_dialects_at_once_with_money_for_ten(acme, base):
    """The wallet is one, whoever asks: exactly ten messages leave, and the balance is zero."""
    from wallet.queries import check_wallets

    acme.client.wallet.price_plan.rates.update(unit_price_micros=100 * 10**6)
    acme.token()
    calls = [
        lambda: acme.mifumo("POST", "sms/send/", {"message": "m", "recipients": ["+254712345678"]}),
        lambda: acme.texin("send_sms", recipient="0712345678", message="t"),
        lambda: acme.paydunya("sms/send", acme.send_node({"from": "", "to": "+254712345678", "text": "p"})),
        lambda: acme.presto("sendsms", **{"from": "HOSPITAL", "to": "254712345678", "message": "s"}),
    ]
    barrier = threading.Barrier(20)

    def go(number: int) -> None:
        from django.db import connection

        barrier.wait(timeout=30)
        try:
            calls[number % 4]()
        finally:
            connection.close()

    threads = [threading.Thread(target=go, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=90)
    assert len(texts(acme)) == 10
    assert acme.units() == 0
    assert check_wallets() == []


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_the_main_call_of_each_moving_page_works_as_printed(acme, base, move, monkeypatch):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    for name, value in ((KEY_VARIABLE, acme.key), (SECRET_VARIABLE, acme.secret), (APP_VARIABLE, acme.app_key)):
        monkeypatch.setitem(os.environ, name, value)
    (sample,) = move.samples(Caller(base, acme.client.pk, acme.key[:8], "Taarifa-SMS"))
    answer = json.loads(run("sh", "-c", sample.code))
    sent = Message.objects.for_client(acme.client).get()
    assert (sent.recipient, sent.sender) == ("+254712345678", "Taarifa-SMS"), answer
    assert answer.get("success", answer.get("code", answer.get("status"))) in (True, "00", 0)
