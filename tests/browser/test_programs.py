"""Keys, webhooks and the documentation as a developer meets them: acceptance checks 17, 18 and 19 (UX.md §18)."""

import re
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from pytest_httpserver import HTTPServer

from tests.browser.conftest import Opened

KEYS = "/app/settings/api-webhooks"
DEADLINE = """
from django.utils import timezone
from accounts.models import ApiKey
found = ApiKey.objects.unscoped().filter(name="Web shop", replaced_by__isnull=False, revoked_at=None)
assert found.update(expires_at=timezone.now()) == 1
"""


@pytest.fixture
def developer(windows):
    return windows.open("neema", permissions=["clipboard-read", "clipboard-write"])


def answers(neema: Opened, key: str) -> int:
    """The status that a call with `key` gets."""
    call = urllib.request.Request(f"{neema.base}/api/{neema.id}/client/balance", headers={"X-API-Key": key})
    try:
        with urllib.request.urlopen(call, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_17_a_key_is_shown_once_copied_and_rotated_with_an_overlap(developer, server, windows):
    neema = server.cast["neema"]
    developer.goto(f"{KEYS}/keys/new")
    developer.fill("[name=name]", "Web shop")
    developer.click("main form button[type=submit]")
    first = developer.inner_text("#api-key")
    # Once to be read, and once hidden in the form that makes the file.
    assert developer.locator(f"code:text-is('{first}')").count() == 1
    developer.click("[data-copy=api-key]")
    developer.locator("[data-copy=api-key]", has_text="Copied").wait_for()
    assert developer.evaluate("navigator.clipboard.readText()") == first
    windows.keep_secret(first)
    developer.check("[name=stored]")
    developer.click("button:has-text('Done')")
    developer.wait_for_url(f"**{KEYS}*")
    for path in (KEYS, f"{KEYS}/requests", "/docs/quick-start", "/app/settings/audit", f"{KEYS}/compat"):
        developer.goto(path)  # `windows` looks at what comes
    assert answers(neema, first) == 200

    def rotate(overlap: str) -> str:
        developer.goto(KEYS)
        row = developer.locator("tr", has_text="Web shop").filter(has=developer.locator("a:has-text('Rotate')")).first
        row.locator("a:has-text('Rotate')").click()
        developer.check(f"[name=overlap][value='{overlap}']")
        developer.click("button:has-text('Rotate this key')")
        developer.locator("#api-key").wait_for()
        made = developer.inner_text("#api-key")
        windows.keep_secret(made)
        developer.check("[name=stored]")
        developer.click("button:has-text('Done')")
        return made

    second = rotate("1h")
    assert (answers(neema, first), answers(neema, second)) == (200, 200)
    server.manage("shell", "-c", DEADLINE)
    assert (answers(neema, first), answers(neema, second)) == (401, 200)
    third = rotate("now")
    assert (answers(neema, second), answers(neema, third)) == (401, 200)


def test_18_a_webhook_is_tested_and_what_failed_is_delivered_again_in_place(developer, server, httpserver: HTTPServer):
    httpserver.expect_request("/bad").respond_with_data("no", status=500)
    developer.goto(f"{KEYS}/webhooks/new")
    bad = httpserver.url_for("/bad").replace("localhost", "127.0.0.1")
    developer.fill("[name=url]", bad)
    for box in developer.locator("[name=events]").all():
        box.check()
    developer.click("main form button[type=submit]")
    developer.goto(KEYS)
    developer.click(f"a:has-text('{bad}')")
    developer.wait_for_url(re.compile(r"/webhooks/\d+$"))
    begun = time.monotonic()
    developer.reload()
    plain = time.monotonic() - begun
    developer.evaluate("window.stayed = true")
    begun = time.monotonic()
    developer.click("button:has-text('Send test event')")
    developer.locator("#test-result", has_text="HTTP 500").wait_for()
    # Three seconds, or what as many plain pages take where the machine is busy with something else.
    assert time.monotonic() - begun <= max(3, 3 * plain)
    row = developer.locator("#deliveries tbody tr").last
    row.locator("td[data-label=Answer]", has_text="HTTP 500").wait_for()
    row.locator("td[data-label=Attempts]", has_text=re.compile(r"^1/")).wait_for()
    assert re.search(r"\d\d:\d\d", row.locator("td[data-label='Next try']").inner_text())

    server.cast["neema"].api("POST", "sms/send", {"message": "Habari", "recipients": ["254733020001"]})
    developer.click("button:has-text('Show')")
    developer.wait_for_function(
        """() => {
          const tried = [...document.querySelectorAll("#deliveries tbody tr td[data-label=Answer]")];
          return tried.length > 1 && tried.every((cell) => cell.innerText.includes("500"));
        }"""
    )

    def said(button: str) -> int:
        """Of how many events the answer says that they are sent again."""
        developer.click(f"button:has-text('{button}')")
        notice = developer.locator("#deliveries .notice", has_text="sent again")
        notice.wait_for()
        return int(re.match(r"\d+", notice.inner_text())[0])

    row.locator("input[type=checkbox]").check()
    calls = len(httpserver.log)
    assert said("Redeliver selected") == 1
    developer.wait_for_function(
        "() => document.querySelector('#deliveries .notice') === null"  # the log went on by itself
    )
    assert len(httpserver.log) > calls
    assert said("Redeliver all") == developer.locator("#deliveries tbody tr").count()
    assert developer.evaluate("window.stayed")


def test_19_the_documentation_knows_who_reads_it_and_its_samples_run(developer, server):
    neema = server.cast["neema"]
    developer.goto("/docs/quick-start")
    box = developer.locator("[data-samples]").first
    hint = f"{neema.key[:8]}"
    for tab in ("PHP", "Python", "Node", "PowerShell", "curl"):
        box.get_by_role("tab", name=tab, exact=True).click()
        code = box.locator("details:not([hidden]) code").inner_text()
        assert f"/api/{neema.id}/" in code, tab
        assert hint in code, tab
        assert neema.key not in code
    box.get_by_role("tab", name="Python", exact=True).click()
    developer.goto("/docs/reference/messages")
    chosen = developer.locator("[data-samples]").first.locator("[role=tab][aria-selected=true]")
    assert chosen.inner_text() == "Python"

    developer.goto(f"{KEYS}/keys/new")
    developer.fill("[name=name]", "Trial of samples")
    developer.check("[name=mode][value=simulation]")
    developer.click("main form button[type=submit]")
    key = developer.inner_text("#api-key")
    developer.check("[name=stored]")
    developer.click("button:has-text('Done')")
    developer.goto("/docs/quick-start")
    box = developer.locator("[data-samples]").first
    box.get_by_role("tab", name="curl", exact=True).click()
    box.locator("details:not([hidden]) [data-copy]").click()
    box.locator("details:not([hidden]) [data-copy]", has_text="Copied").wait_for()
    copied = developer.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(
        ["sh", "-c", copied], env={"TARISHI_API_KEY": key, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert '"success"' in done.stdout or '"MSG-' in done.stdout, done.stdout
