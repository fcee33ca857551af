"""From acceptance to the last report over real HTTP: the sandbox as carrier, its callbacks at our own door (F, M8)."""

import time

import pytest
from django.db import connections

from crm.common import transfers
from messaging.models import Message, ProviderCallback
from messaging.services.campaigns import finish_campaigns
from messaging.services.expansion import expand_campaign
from messaging.services.reports import process_callbacks
from tests.messaging.core.world import (
    ONE,
    accept,
    age_leases,
    balance,
    confirm,
    make_contacts,
    make_draft,
    make_due,
    make_group,
    make_road,
    make_sender,
    movements,
    run_loop,
    statuses,
)
from tests.sandbox_process import sandbox, sandbox_process  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("books")]


def test_D2_reports_twice_out_of_order_contradicting_and_forged_settle_a_campaign_once(sandbox, live_server):  # noqa: F811
    acme, road = make_sender(), make_road(sandbox.base_url, batch_size=10)
    sandbox.set_callbacks(delivery=f"{live_server.url}/callbacks/africastalking/{road.callback_token}/delivery")
    sandbox.set_faults(
        duplicate_reports=1,
        out_of_order_reports=0.5,
        contradicting_reports=0.5,
        forged_reports=0.2,
        early_reports=0.2,
        failed_deliveries=0.3,
    )
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, 120)), text="Habari {name}"))
    expand_campaign(campaign_id=campaign.pk)
    run_loop(road)
    assert statuses() == {"sent": 120}
    assert finish_campaigns() == [campaign.pk]
    give_up = time.monotonic() + 30
    while statuses().get("sent") and time.monotonic() < give_up:
        make_due()
        process_callbacks()
        time.sleep(0.05)
    time.sleep(0.3)
    settled = statuses()
    make_due()
    process_callbacks()
    assert statuses() == settled
    assert set(settled) == {"delivered", "failed"}
    assert ProviderCallback.objects.count() > 240
    assert movements(acme, "refund") == settled["failed"]
    assert balance(acme) == (880 + settled["failed"]) * ONE


@pytest.mark.parametrize("fault", ["error_after", "reset_after", "garbage_after", "truncate_after"])
def test_D5_an_answer_lost_over_the_wire_is_settled_by_its_report(sandbox, live_server, fault):  # noqa: F811
    acme, road = make_sender(), make_road(sandbox.base_url)
    sandbox.set_callbacks(delivery=f"{live_server.url}/callbacks/africastalking/{road.callback_token}/delivery")
    sandbox.set_faults(**{fault: 1})
    ids = accept(acme, 5)
    run_loop(road)
    assert Message.objects.unscoped().filter(unconfirmed=True).count() == 5
    age_leases()
    assert run_loop(road).submitted == 0
    give_up = time.monotonic() + 15
    while statuses() != {"delivered": 5} and time.monotonic() < give_up:
        ProviderCallback.objects.update(received_at="2026-01-01T00:00:00Z")
        make_due()
        process_callbacks()
        time.sleep(0.05)
    assert statuses() == {"delivered": 5}
    assert not Message.objects.unscoped().filter(pk__in=ids, unconfirmed=True).exists()


def test_M8_no_socket_opens_inside_a_transaction(carrier, monkeypatch):
    seen = []

    def watch(address: tuple) -> bool:
        seen.append(connections["default"].in_atomic_block)
        return True

    monkeypatch.setattr(transfers, "socket_guard", watch)
    acme, road = make_sender(), make_road(carrier.url)
    accept(acme, 50)
    run_loop(road)
    assert statuses() == {"sent": 50}
    assert seen
    assert not any(seen)
