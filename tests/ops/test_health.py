"""GET /api/health, as contracts/dialects/native.md has it."""

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from crm import __version__, health
from crm.common import heartbeat
from crm.common.sql import database_now
from tests.ops.installation import ROOT, own_environment


@pytest.mark.django_db
def test_all_well(client: Browser) -> None:
    for queue in heartbeat.QUEUES:
        heartbeat.beat(queue)
    answer = client.get("/api/health")
    assert answer.status_code == 200
    body = answer.json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body.pop("time"))
    assert body == {
        "status": "ok",
        "version": __version__,
        "checks": {"database": "ok", "broker": "ok", "worker": "ok"},
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("living", "word"),
    [
        ((), "no sign of main and heavy"),
        (("main",), "no sign of heavy"),
        (("heavy",), "no sign of main"),
    ],
)
def test_a_missing_worker_is_named(client: Browser, living: tuple[str, ...], word: str) -> None:
    for queue in living:
        heartbeat.beat(queue)
    answer = client.get("/api/health")
    assert answer.status_code == 503
    assert answer.json()["status"] == "error"
    assert answer.json()["checks"] == {"database": "ok", "broker": "ok", "worker": word}


@pytest.mark.django_db
def test_a_worker_silent_for_too_long_counts_as_missing(client: Browser) -> None:
    long_ago = database_now() - timedelta(seconds=heartbeat.STALE_SECONDS + 1)
    cache.set("worker:main", long_ago.isoformat())
    heartbeat.beat("heavy")
    assert client.get("/api/health").json()["checks"]["worker"] == "no sign of main"


@pytest.mark.django_db
def test_other_methods_get_the_documented_refusal(client: Browser) -> None:
    answer = Browser(enforce_csrf_checks=True).post("/api/health")
    assert answer.status_code == 405
    assert answer["Allow"] == "GET, HEAD"
    assert answer.json()["error_code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.django_db
def test_it_costs_few_queries_and_no_session(client: Browser, django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(4):
        answer = client.get("/api/health")
    assert "Set-Cookie" not in answer
    assert "no-store" in answer["Cache-Control"]


def test_json_although_database_broker_and_cache_are_away(tmp_path: Path) -> None:
    source = (
        "import django; django.setup()\n"
        "from django.test import Client\n"
        "answer = Client().get('/api/health', headers={'host': 'localhost'})\n"
        "print(answer.status_code, answer.content.decode())"
    )
    environment = own_environment(
        tmp_path,
        DJANGO_SETTINGS_MODULE="crm.settings",
        DATABASE_URL="postgres://nobody@127.0.0.1:1/none",
        CELERY_BROKER_URL="redis://127.0.0.1:1/0",
        CACHE_URL="redis://127.0.0.1:1/1",
    )
    ran = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    status, _, body = ran.stdout.partition(" ")
    assert status == "503", ran.stderr
    assert json.loads(body)["checks"] == {"database": "unavailable", "broker": "unavailable", "worker": "unknown"}


@pytest.mark.django_db
def test_live_and_ready_speak_of_this_process_alone(client: Browser) -> None:
    """Without a worker the installation is not well, and this process may still take requests."""
    assert client.get("/api/health").status_code == 503
    answer = client.get("/api/health/live")
    assert (answer.status_code, answer.json()["status"], answer.json()["checks"]) == (200, "ok", {})
    answer = client.get("/api/health/ready")
    assert (answer.status_code, answer.json()["checks"]) == (200, {"database": "ok", "migrations": "ok"})
    assert client.post("/api/health/ready").status_code == 405


@pytest.mark.django_db
def test_a_process_of_a_release_whose_migrations_wait_is_not_ready(
    client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_migrated", False)
    monkeypatch.setattr(health.MigrationExecutor, "migration_plan", lambda self, targets: [("one", False)])
    answer = client.get("/api/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "ok", "migrations": "1 not applied"}
    assert client.get("/api/health/live").status_code == 200


@pytest.mark.django_db
def test_balancers_ask_by_plain_http_and_by_address(client: Browser, settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["crm.example.com"]
    for path in ("/api/health/live", "/api/health/ready"):
        assert Browser(headers={"Host": "10.0.0.7:8000"}).get(path).status_code == 200
    assert Browser(headers={"Host": "10.0.0.7:8000"}).get("/login").status_code == 400
    assert Browser(headers={"Host": "crm.example.com"}).get("/login").status_code == 301
