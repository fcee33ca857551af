"""SMPP and mail over their own sessions: encrypted, at rest after errors, and killed in the middle (D4, D5, D8)."""

import os
import random
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import certifi
import pytest
from django.db import connection

from accounts.models import Client
from contacts.models import Contact
from messaging.models import DecisionKind, Message, ProviderAccount, RouteDecision
from messaging.sending.loop import Loop
from messaging.sending.sweep import sweep
from messaging.services.campaigns import save_draft
from messaging.services.expansion import campaigns_to_expand, expand_campaign
from messaging.services.mails import MailDraft, accept_mails
from messaging.services.providers import add_route, connect_provider
from messaging.services.reports import process_callbacks
from messaging.services.senders import approve_email_sender
from tests.messaging.core import world
from tests.messaging.core.conftest import woken  # noqa: F401 - wake-ups are kept in a list
from tests.messaging.providers.tls import door, make_authority
from tests.sandbox_process import Sandbox, sandbox, sandbox_process  # noqa: F401
from wallet.models import PricePlan
from wallet.services import set_rate

PEOPLE, SLOTS = 200, 16
KINDS = ("smpp", "smtp")


@pytest.fixture
def acme(db: None) -> Client:
    client = world.make_sender()
    set_rate(plan=PricePlan.objects.get(wallets__client=client), channel="email", price_per_unit=Decimal(1))
    approve_email_sender(client=client, address="news@acme.test")
    return client


def connect(kind: str, address: str, **credentials: str) -> ProviderAccount:
    own = {"system_id": "acme", "password": "secret"} if kind == "smpp" else {"tls": "none"}
    account = connect_provider(
        name=f"By {kind}", adapter=kind, credentials=own | credentials, base_url=address, batch_size=1
    )
    add_route(account=account, channel="sms" if kind == "smpp" else "email")
    return account


def port_of(sandbox: Sandbox, kind: str) -> int:  # noqa: F811
    return sandbox.call("GET", "ports")[kind]


def send(client: Client, kind: str, count: int = 1) -> list[int]:
    if kind == "smpp":
        return world.accept(client, count)
    drafts = [MailDraft(f"person{n}@acme.test", subject="Habari", text="Karibu.") for n in range(count)]
    return [result.id for result in accept_mails(client=client, drafts=drafts)]


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_authority(tmp_path_factory.mktemp("tls"))


WAYS = [("smpp", "smpps", {}), ("smtp", "smtps", {}), ("smtp", "smtp", {"tls": "starttls"})]


@pytest.mark.parametrize(("kind", "scheme", "credentials"), WAYS, ids=["smpps", "smtps", "starttls"])
class TestTls:
    def test_what_goes_by_tls_arrives_once(
        self, acme, sandbox, authority, monkeypatch, kind, scheme, credentials  # noqa: F811
    ):  # fmt: skip
        ca, chain = authority
        monkeypatch.setattr(certifi, "where", lambda: str(ca))
        with door(chain, port_of(sandbox, kind), starttls=scheme == "smtp") as opened:
            road = connect(kind, f"{scheme}://127.0.0.1:{opened.port}", **credentials)
            send(acme, kind, 12)
            world.run_loop(road)
            assert opened.encrypted >= 1
        assert len(sandbox.messages()) == 12
        assert set(world.statuses()) <= {"sent", "delivered"}
        assert not Message.objects.unscoped().filter(unconfirmed=True).exists()

    def test_a_certificate_that_nobody_vouches_for_gets_nothing(
        self, acme, sandbox, authority, kind, scheme, credentials  # noqa: F811
    ):  # fmt: skip
        _, chain = authority
        with door(chain, port_of(sandbox, kind), starttls=scheme == "smtp") as opened:
            road = connect(kind, f"{scheme}://127.0.0.1:{opened.port}", **credentials)
            (pk,) = send(acme, kind)
            world.run_loop(road)
            message = world.message(pk)
            assert (message.status, message.error_code) == ("queued", "provider_unreachable")
            assert sandbox.messages() == []
            ProviderAccount.objects.update(credentials=road.credentials | {"check_certificate": "no"})
            world.make_due()
            world.run_loop(road)
        assert len(sandbox.messages()) == 1


def test_a_mail_server_without_tls_gets_nothing_where_tls_is_asked_for(acme, sandbox):  # noqa: F811
    road = connect("smtp", f"smtp://127.0.0.1:{port_of(sandbox, 'smtp')}", tls="starttls")
    (pk,) = send(acme, "smtp")
    world.run_loop(road)
    assert (world.message(pk).status, sandbox.messages()) == ("queued", [])


# --- at rest ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_D8_an_account_that_errs_rests_and_comes_back_by_itself(acme, sandbox, kind):  # noqa: F811
    road = connect(kind, f"{kind}://127.0.0.1:{port_of(sandbox, kind)}")
    sandbox.set_faults(error_before=1, report_delay=0.05)
    send(acme, kind, 40)
    tried = world.run_loop(road, slots=4).submitted
    road.refresh_from_db()
    assert road.rest_level == 1
    assert road.rest_until is not None
    assert tried < 40, "it went on although every answer was an error"
    assert set(world.statuses()) == {"queued"}
    assert RouteDecision.objects.filter(account=road, kind=DecisionKind.RESTED).count() == 1
    world.run_loop(road)
    assert sandbox.messages() == []

    sandbox.set_faults(report_delay=0.05)
    for _ in range(3):  # the rest is over: one message tries the account, then the others follow
        world.make_due()
        world.run_loop(road)
    road.refresh_from_db()
    assert road.rest_level == 0
    assert RouteDecision.objects.filter(account=road, kind=DecisionKind.WORKING).count() == 1
    assert len(sandbox.messages()) == 40
    assert sandbox.stats()["duplicates"] == 0
    world.check_books()


def test_D8_a_line_stays_up_while_its_account_rests(acme, sandbox):  # noqa: F811
    """What comes by it is still taken: the receipts of what was sent before."""
    road = connect("smpp", f"smpp://127.0.0.1:{port_of(sandbox, 'smpp')}")
    sandbox.set_faults(report_delay=1.5)
    world.accept(acme, 3)
    world.run_loop(road)
    assert len(sandbox.messages()) == 3
    sandbox.set_faults(error_before=1, report_delay=1.5)
    world.accept(acme, 30, first=3)
    until = time.monotonic() + 10

    def stop() -> bool:
        process_callbacks()
        return world.statuses()["delivered"] == 3 or time.monotonic() > until

    road.refresh_from_db()
    Loop(road, stop=stop, slots=4, stays=lambda _: True).run()
    process_callbacks()
    road.refresh_from_db()
    assert road.rest_level >= 1
    assert world.statuses() == {"delivered": 3, "queued": 30}


def test_the_sandbox_owes_no_receipt_of_messages_that_it_was_told_to_forget(acme, sandbox):  # noqa: F811
    """They would settle the next test's messages to the same numbers."""
    road = connect("smpp", f"smpp://127.0.0.1:{port_of(sandbox, 'smpp')}")
    sandbox.set_faults(report_delay=0.6)
    world.accept(acme, 2)
    world.run_loop(road)
    sandbox.reset()
    until = time.monotonic() + 1.5
    Loop(road, stop=lambda: time.monotonic() > until, slots=4, stays=lambda _: True).run()
    process_callbacks()
    assert world.statuses() == {"sent": 2}


# --- killed -----------------------------------------------------------------------------------------------------------


def database_url() -> str:
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    return "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**found)


def start_sender(road: ProviderAccount, campaign_id: int) -> subprocess.Popen:
    """A process that expands the campaign and sends it, on this test's own database."""
    command = [sys.executable, "-m", "tests.messaging.core.crash_driver"]
    command += [str(road.pk), str(campaign_id), "none", "1", str(SLOTS)]
    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "crm.settings"}
    environment.pop("PYTEST_VERSION", None)
    return subprocess.Popen(command, env=environment)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KINDS)
def test_D5_killed_in_the_middle_nobody_gets_it_twice(acme, sandbox, kind):  # noqa: F811
    road = connect(kind, f"{kind}://127.0.0.1:{port_of(sandbox, kind)}")
    ids = world.make_contacts(acme, PEOPLE)
    if kind == "smtp":
        for pk in ids:
            Contact.objects.for_client(acme).filter(pk=pk).update(email=f"person{pk}@acme.test")
    group = world.make_group(acme, ids)
    channel = "sms" if kind == "smpp" else "email"
    mail = {"mail": {"subject": "Habari"}} if kind == "smtp" else {}
    draft = save_draft(
        client=acme, by=None, name="Sale", text="Habari {name}", group_ids=[group.pk], channel=channel, **mail
    )
    campaign = world.confirm(draft)
    sandbox.set_faults(latency=0.05, report_delay=0.1)
    killed = 0
    for _ in range(3):
        aim = len(sandbox.messages()) + random.randint(5, 40)
        process = start_sender(road, campaign.pk)
        give_up = time.monotonic() + 30
        while process.poll() is None and len(sandbox.messages()) < aim and time.monotonic() < give_up:
            time.sleep(0.02)
        killed += process.poll() is None
        process.kill()
        process.wait(timeout=10)
        world.age_leases()
        sweep()
    assert killed, "it was never killed while it sent"
    sandbox.set_faults(report_delay=0.1)
    for _ in range(2):
        world.age_leases()
        sweep()
        for campaign_id in campaigns_to_expand():
            expand_campaign(campaign_id=campaign_id)
        world.run_loop(road)
    process_callbacks()
    arrived = [row["number"] for row in sandbox.messages()]
    unknown = Message.objects.unscoped().filter(unconfirmed=True)
    assert len(arrived) == len(set(arrived)), "sent twice"
    assert sum(world.statuses().values()) == PEOPLE, "lost or doubled"
    assert set(world.statuses()) <= {"sent", "delivered"}
    assert unknown.count() <= SLOTS * 3
    everybody = set(Message.objects.unscoped().values_list("recipient", flat=True))
    doubtful = set(unknown.values_list("recipient", flat=True))
    assert everybody - doubtful <= set(arrived), "told as sent, but never written"
    assert (world.balance(acme), world.reserved(acme)) == ((1000 - PEOPLE) * world.ONE, 0)
    world.check_books()
