"""The figures for Prometheus and the back office (crm/watching)."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from crm import health, leases
from crm.common import heartbeat
from crm.common.sql import database_now
from crm.watching import views
from messaging.models import Message
from messaging.services.reports import process_callbacks
from tests.messaging.core.world import accept, make_road, make_sender, report, send_one
from wallet.models import ReconciliationRun, TopUp

TOKEN = "t0ken-of-the-scraper"


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "KEPT_SECONDS", -1.0)


@pytest.fixture
def scrape(settings, client: Browser):
    """Lines of /metrics as a mapping from name with labels to value."""
    settings.METRICS_TOKEN = TOKEN

    def read() -> dict[str, float]:
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain")
        lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    return read


@pytest.mark.django_db
def test_nobody_reads_them_unless_a_token_or_a_network_says_so(client: Browser, settings) -> None:
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer other"}).status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    settings.METRICS_TOKEN = ""
    settings.METRICS_NETWORKS = ["10.0.0.0/8"]
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 200


@pytest.mark.django_db
def test_messages_are_counted_by_what_became_of_them(scrape) -> None:
    sender, road = make_sender(), make_road()
    before = scrape()["tarishi_messages_accepted_total"]
    send_one(sender, road)
    report(road, "AT1")
    process_callbacks()
    accept(sender, first=1)
    found = scrape()
    assert found["tarishi_messages_accepted_total"] >= before + 2
    assert found['tarishi_messages_day{channel="sms",state="delivered"}'] == 1
    assert found['tarishi_messages_day{channel="sms",state="waiting"}'] == 1
    depths = {name: value for name, value in found.items() if name.startswith("tarishi_queue_depth")}
    assert sum(depths.values()) == 1
    accepted = [v for n, v in found.items() if "tarishi_provider_messages_hour" in n and 'outcome="accepted"' in n]
    assert sum(accepted) == 1


@pytest.mark.django_db
def test_an_old_queue_shows_its_age_and_a_resting_account_its_rest(scrape) -> None:
    sender, _ = make_sender(), make_road()
    accept(sender)
    waiting = Message.objects.unscoped().select_related("provider_account").get()
    Message.objects.unscoped().update(queued_at=timezone.now() - timedelta(minutes=5))
    account = waiting.provider_account
    label = f'account="{account.name}"'
    assert 299 <= scrape()[f"tarishi_queue_oldest_seconds{{{label}}}"] < 400
    account.rest_until = timezone.now() + timedelta(minutes=1)
    account.save()
    working = {name: value for name, value in scrape().items() if name.startswith("tarishi_provider_working{")}
    assert [value for name, value in working.items() if label in name] == [0]


@pytest.mark.django_db
def test_silent_workers_a_lost_schedule_and_books_that_differ_show(scrape) -> None:
    found = scrape()
    assert found['tarishi_up{part="worker"}'] == 0
    assert found['tarishi_worker_silent_seconds{queue="main"}'] == 24 * 3600
    assert found["tarishi_schedule_held"] == 0
    assert "tarishi_books_differences" not in found
    for queue in heartbeat.QUEUES:
        heartbeat.beat(queue)
    leases.hold("schedule", "one")
    moment = database_now() - timedelta(hours=2)
    ReconciliationRun.objects.create(started_at=moment, finished_at=moment, differences=3, results={})
    found = scrape()
    assert found['tarishi_up{part="worker"}'] == 1
    assert found['tarishi_worker_silent_seconds{queue="main"}'] < 20
    assert found["tarishi_schedule_held"] == 1
    assert found["tarishi_books_differences"] == 3
    assert 7190 < found["tarishi_books_age_seconds"] < 7300


@pytest.mark.django_db
def test_top_ups_by_state_of_the_last_day(scrape) -> None:
    sender = make_sender()
    for number, (state, age) in enumerate((("failed", 1), ("failed", 2), ("pending", 3), ("pending", 30)), start=1):
        moment = timezone.now() - timedelta(hours=age)
        TopUp.objects.create(
            client=sender, transaction_id=f"TXN-20260101-{number:03}", day=moment.date(), number=number,
            amount=100, currency="KES", state=state, created_at=moment,
        )  # fmt: skip
    found = scrape()
    assert found['tarishi_topups_day{state="failed"}'] == 2
    assert found['tarishi_topups_day{state="pending"}'] == 1


@pytest.mark.django_db
def test_without_the_database_a_scrape_still_says_what_is_up(scrape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "run_checks", lambda: {"database": "unavailable", "broker": "ok", "worker": "unknown"})
    found = scrape()
    assert found['tarishi_up{part="database"}'] == 0
    assert found['tarishi_up{part="broker"}'] == 1
    assert not [name for name in found if name.startswith("tarishi_queue")]


@pytest.mark.django_db
def test_a_scrape_costs_the_same_however_many_messages_wait(scrape) -> None:
    sender, _ = make_sender(), make_road()
    accept(sender)
    scrape()
    with CaptureQueriesContext(
        connection,
    ) as few:
        scrape()
    accept(sender, 5, first=1)
    with CaptureQueriesContext(connection) as many:
        scrape()
    assert len(many) == len(few) < 40


@pytest.mark.django_db
def test_staff_see_the_same_facts_and_others_do_not(client: Browser) -> None:
    client.force_login(User.objects.create_user("baraka@acme.test", "correct-horse-7"))
    assert client.get("/staff/crm/lease/").status_code == 302
    client.force_login(User.objects.create_user("zuri@else.test", "correct-horse-7", is_staff=True))
    assert client.get("/staff/crm/lease/").status_code == 403
    client.force_login(User.objects.create_superuser("staff@else.test", "correct-horse-7"))
    page = client.get("/staff/crm/lease/").content.decode()
    assert "No process keeps the schedule" in page
    assert "tarishi_worker_silent_seconds" in page
    leases.hold("schedule", "host:7:ab")
    assert "The schedule is kept by host:7:ab." in client.get("/staff/crm/lease/").content.decode()
