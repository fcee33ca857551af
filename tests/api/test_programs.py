"""Programs of the world outside, run as they are against a live server: published clients, and our own samples."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contacts import services as contacts
from crm.docs.reference import endpoints
from crm.docs.samples import KEY_VARIABLE, Caller, samples_of
from messaging.models import Message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

CLIENTS = Path(__file__).parent / "clients"
PROGRAMS = {"php": "php", "python": sys.executable, "node": "node", "curl": "sh"}
SUFFIXES = {"php": "php", "python": "py", "node": "mjs", "curl": "sh"}


def program(language):
    found = shutil.which(PROGRAMS[language])
    if found is None or (language == "curl" and shutil.which("curl") is None):
        pytest.skip(f"{language} is not installed here")
    if language == "php" and subprocess.run([found, "-r", "exit((int) !function_exists('curl_init'));"]).returncode:
        pytest.skip("PHP has no curl extension here")
    return found


def run(command, folder, **env):
    done = subprocess.run(command, cwd=folder, env=os.environ | env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    ("language", "file"), [("php", "top_level.php"), ("python", "nested.py"), ("node", "mixed.mjs")]
)
def test_published_programs_run_unchanged(acme, live_server, tmp_path, language, file):
    command = [program(language), str(CLIENTS / file), live_server.url, str(acme.client.pk), acme.key]
    told = json.loads(run(command, tmp_path))
    sent = Message.objects.for_client(acme.client).get(recipient="+254712345678")
    assert (told["balance"], told["id"], told["sent"], told["total"]) == (10, sent.pk, 1, 2)
    assert told["status"] in ("success", "queued")
    assert told["state"] == "queued"
    assert "this one has 2" in told["refused"]
    assert acme.balance() == 8


@pytest.fixture
def values(acme):
    """Ids for the paths of the samples: things that exist."""
    client = acme.client
    people = [contacts.create_contact(client=client, phone=f"071200000{n}") for n in range(3)]
    group = contacts.create_group(client=client, name="Staff")
    webhook = acme.post("webhooks", {"url": "https://example.com/hook", "events": ["*"]}).json()["id"]
    return {
        "contact_id": people[0].pk,
        "group_id": group.pk,
        "campaign_id": acme.post("campaigns", {"name": "x", "message": "y", "recipients": ["0712000001"]}).json()["id"],
        "endpoint_id": webhook,
        "delivery_id": acme.post(f"webhooks/{webhook}/test", {}).json()["id"],
        "message_id": acme.send().json()["message_id"],
        "import_id": _imported(acme),
    }


def _imported(acme):
    from django.core.files.uploadedfile import SimpleUploadedFile

    data = {"file": SimpleUploadedFile("a.csv", b"Phone\n0712000009\n")}
    return acme.browser.post(acme.url("contacts/bulk-import"), data, headers={"X-API-KEY": acme.key}).json()[
        "import_id"
    ]


# Calls that need a state of their own, and those that would take away what others show.
_NOT_ALONE = {"pause-a-campaign", "resume-a-campaign", "cancel-a-campaign", "send-a-campaign", "replace-a-contact"}
_CALLS = {
    one.slug: one for one in endpoints() if one.slug not in _NOT_ALONE and not one.short_path.startswith("wallet/topup")
}
_ORDER = sorted(_CALLS.values(), key=lambda one: (one.method == "DELETE", one.method != "GET", -len(one.path)))
_FEW = {"send-a-message", "send-an-sms-to-many", "add-a-contact", "import-contacts-from-a-file", "write-a-campaign",
        "list-messages", "read-the-balance", "take-contacts-out-of-a-group"}  # fmt: skip


@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", ["curl", "python", "node", "php"])
def test_the_samples_of_the_documentation_work(acme, values, live_server, tmp_path, language):
    """Every call in curl; in the other languages one of each kind, since their samples are made by the same lines."""
    runner = program(language)
    (tmp_path / "contacts.csv").write_text("Name,Phone\nAmina,0712000077\n")
    caller = Caller(live_server.url, acme.client.pk, key_hint="tk_live_ab12", sender="HOSPITAL")
    for endpoint in _ORDER:
        if language != "curl" and endpoint.slug not in _FEW:
            continue
        sample = next(one for one in samples_of(endpoint, caller, values) if one.language == language)
        script = tmp_path / f"sample.{SUFFIXES[language]}"
        code = (
            sample.code.replace("curl -X", "curl --silent --fail-with-body -X") if language == "curl" else sample.code
        )
        script.write_text(code)
        run([runner, str(script)], tmp_path, **{KEY_VARIABLE: acme.key})
    assert Message.objects.for_client(acme.client).filter(sender="HOSPITAL").count() >= 4


@pytest.mark.parametrize("language", ["python", "node", "php"])
def test_the_sample_of_a_call_that_must_wait_makes_it_again(httpserver, tmp_path, language):
    url = httpserver.url_for("").replace("localhost", "127.0.0.1")
    (endpoint,) = [one for one in endpoints() if one.slug == "send-a-campaign"]
    sample = next(one for one in samples_of(endpoint, Caller(url, 3)) if one.language == language)
    for status, more in ((409, {"headers": {"Retry-After": "1"}}), (200, {})):
        body = {"status": "x", "error_code": "CONFLICT", "message": "Counting", "data": {"state": "sending"}}
        httpserver.expect_ordered_request("/api/3/campaigns/1/send").respond_with_json(body, status=status, **more)
    script = tmp_path / f"sample.{SUFFIXES[language]}"
    script.write_text(sample.code)
    assert "sending" in run([program(language), str(script)], tmp_path, **{KEY_VARIABLE: "k"})
    httpserver.check()
