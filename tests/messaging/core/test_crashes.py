"""A sender killed at every named point and at random moments: nothing lost, nothing sent twice (K, D1, D4, D5, D9)."""

import os
import random
import subprocess
import sys
import time

import pytest
from django.db import connection

from messaging.models import Message
from messaging.sending.sweep import sweep
from messaging.services.expansion import campaigns_to_expand, expand_campaign
from tests.messaging.core.crash_points import POINTS
from tests.messaging.core.world import (
    ONE,
    age_leases,
    balance,
    check_books,
    confirm,
    make_contacts,
    make_draft,
    make_group,
    make_road,
    make_sender,
    number,
    reserved,
    run_loop,
    statuses,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PEOPLE, SLOTS = 240, 16
REFUSED = {number(n): 406 for n in range(0, PEOPLE, 6)}


def database_url() -> str:
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    return "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**found)


def start(road, campaign, point="none", nth=1) -> subprocess.Popen:
    """The driver on this test's own database."""
    command = [sys.executable, "-m", "tests.messaging.core.crash_driver"]
    command += [str(road.pk), str(campaign.pk), point, str(nth), str(SLOTS)]
    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "crm.settings"}
    environment.pop("PYTEST_VERSION", None)
    return subprocess.Popen(command, env=environment)


@pytest.fixture
def scene(carrier):
    carrier.refused = REFUSED
    acme, road = make_sender(), make_road(carrier.url)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, PEOPLE))))
    return acme, road, campaign


def recover(acme, road, carrier, *, crashes: int) -> int:
    """What follows a crash: leases run out, the sweep comes, others go on. Returns how many outcomes are unknown."""
    for _ in range(2):
        age_leases()
        sweep()
        for campaign_id in campaigns_to_expand():
            expand_campaign(campaign_id=campaign_id)
        run_loop(road, slots=SLOTS)
    sweep()
    unknown = Message.objects.unscoped().filter(unconfirmed=True)
    assert set(carrier.accepted.values()) <= {1}, "sent twice"
    assert sum(statuses().values()) == PEOPLE, "lost or doubled"
    assert set(statuses()) <= {"sent", "failed"}
    assert unknown.count() <= SLOTS * crashes
    doubtful = set(unknown.values_list("recipient", flat=True))
    settled = {number(n) for n in range(PEOPLE)} - doubtful
    assert {to for to in settled if to not in REFUSED} <= set(carrier.accepted), "told as sent, but never written"
    assert set(carrier.accepted) & set(REFUSED) == set()
    failed = statuses()["failed"]
    assert balance(acme) == (1000 - PEOPLE + failed) * ONE
    assert reserved(acme) == 0
    check_books()
    return len(doubtful)


@pytest.mark.parametrize(("point", "nth"), [(point, nth) for point, nths in POINTS.items() for nth in nths])
def test_a_process_that_dies_there_harms_nobody(scene, carrier, point, nth):
    acme, road, campaign = scene
    assert start(road, campaign, point, nth).wait(timeout=30) == 9, "it did not reach the point"
    unknown = recover(acme, road, carrier, crashes=1)
    if point in ("after claim", "after record") or "expansion" in point:
        assert unknown <= (SLOTS if point == "after record" else 0)


def test_killed_at_random_moments(scene, carrier):
    acme, road, campaign = scene
    carrier.delay = 0.02
    for _ in range(4):
        aim = carrier.requests + random.randint(1, 50)
        process = start(road, campaign)
        give_up = time.monotonic() + 10
        while process.poll() is None and carrier.requests < aim and time.monotonic() < give_up:
            time.sleep(0.002)
        process.kill()
        process.wait(timeout=10)
        age_leases()
        sweep()
    recover(acme, road, carrier, crashes=4)
