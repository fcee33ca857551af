"""A campaign over three roads of which one slows down, one fails and one loses its answers (issue 8).

Each message reaches a phone once, ends in one final state and is paid for once, and the shift is there to read.
THREE_ROADS_PEOPLE=20000 runs it at full size.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from django.db import connection

from crm.common.sql import later_sql
from messaging import provider_board
from messaging.models import Campaign, Message, ProviderAccount, RouteDecision
from messaging.sending import breaker, runner, transports
from messaging.sending import loop as looping
from messaging.sending.sweep import sweep
from messaging.services.campaigns import finish_campaigns
from messaging.services.expansion import expand_campaign
from messaging.services.reports import process_callbacks
from tests.messaging.core.carrier import Carrier
from tests.messaging.core.world import (
    ONE,
    balance,
    check_books,
    confirm,
    make_contacts,
    make_draft,
    make_group,
    make_road,
    make_sender,
    movements,
    number,
    report,
    reserved,
    run_sql,
    statuses,
)

PEOPLE = int(os.environ.get("THREE_ROADS_PEOPLE", "600"))
SECONDS = 60 + PEOPLE / 40


@pytest.fixture
def carriers() -> Iterator[dict[str, Carrier]]:
    made = {name: Carrier() for name in ("slow", "failing", "losing")}
    yield made
    for carrier in made.values():
        carrier.close()


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of a real day in tenths of them."""
    real = transports.Transfers
    monkeypatch.setattr(transports, "Transfers", lambda: real(connect_seconds=2, total_seconds=3))
    monkeypatch.setattr(breaker, "SLOW_SECONDS", 0.15)
    monkeypatch.setattr(looping, "JUDGE_EVERY", 0.1)


def misbehave(carriers: dict[str, Carrier]) -> None:
    """From the middle of the campaign on, every road has its own trouble; later all of them are well again."""
    while sum(carrier.accepted.total() for carrier in carriers.values()) < PEOPLE // 6:
        time.sleep(0.01)
    carriers["slow"].delay = 0.4
    carriers["failing"].always = "busy"
    carriers["losing"].always = "reset"
    until = time.monotonic() + SECONDS / 2
    rested = RouteDecision.objects.filter(kind="rested", account__name__in=["failing", "losing"])
    while rested.values("account").distinct().count() < 2 and time.monotonic() < until:
        time.sleep(0.02)
    connection.close()
    carriers["slow"].delay = 0.0
    carriers["failing"].always = carriers["losing"].always = "ok"


@pytest.mark.timeout(int(SECONDS * 3) + 300)
@pytest.mark.django_db(transaction=True)
def test_each_message_once_in_one_state_and_money_right(carriers, short_times, monkeypatch):
    acme = make_sender(credit=PEOPLE + 100)
    roads = {name: make_road(carrier.url, name=name) for name, carrier in carriers.items()}
    ProviderAccount.objects.filter(pk=roads["slow"].pk).update(usual_seconds=0.01)
    campaign = confirm(make_draft(acme, make_group(acme, make_contacts(acme, PEOPLE))))
    assert expand_campaign(campaign_id=campaign.pk) == PEOPLE
    shares = Counter(Message.objects.unscoped().values_list("provider_account_id", flat=True))
    assert min(shares.values()) > PEOPLE / 5, "the three share the campaign"
    monkeypatch.setattr(looping.settings, "SENDING_SLOTS", 24)

    trouble = threading.Thread(target=misbehave, args=(carriers,), daemon=True)
    trouble.start()
    until = time.monotonic() + SECONDS
    while statuses().get("queued") and time.monotonic() < until:
        sweep()
        for account_id in runner.accounts_with_work():
            runner.send_waiting(account_id=account_id)
        run_sql("UPDATE messaging_message SET next_attempt_at = NULL WHERE status = 'queued'")
        time.sleep(0.05)
    trouble.join(30)

    # Each once, whatever happened to the answer.
    arrived = sum((carrier.accepted for carrier in carriers.values()), Counter())
    assert arrived == {number(n): 1 for n in range(PEOPLE)}
    assert statuses() == {"sent": PEOPLE}
    lost = set(Message.objects.unscoped().filter(unconfirmed=True).values_list("recipient", flat=True))
    assert lost, "a road that loses answers leaves unknown outcomes"
    assert lost <= set(carriers["losing"].accepted) | set(carriers["slow"].accepted)

    # Everybody's report comes, also of those whose answer was lost; every twentieth did not arrive.
    failed = set()
    for name, carrier in carriers.items():
        for place, (identifier, to) in enumerate(carrier.ids.items()):
            bad = place % 20 == 0
            failed |= {to} if bad else set()
            report(roads[name], identifier, "Failed" if bad else "Success", to, "UserIsInactive" if bad else "")
    run_sql(f"UPDATE messaging_providercallback SET received_at = {later_sql(-10)}", [])
    for _ in range(PEOPLE):
        if not process_callbacks():
            break
    assert statuses() == {"delivered": PEOPLE - len(failed), "failed": len(failed)}
    assert not Message.objects.unscoped().filter(unconfirmed=True).exists()

    # Money: what arrived is paid for once, what failed was given back once, nothing is held.
    assert movements(acme, "debit") == PEOPLE
    assert movements(acme, "refund") == len(failed)
    assert balance(acme) == (100 + len(failed)) * ONE
    finish_campaigns()
    assert Campaign.objects.unscoped().get(pk=campaign.pk).state == "done"
    assert reserved(acme) == 0
    check_books()

    # The shift is there to read.
    kinds = {name: set(road.decisions.values_list("kind", flat=True)) for name, road in roads.items()}
    assert "rested" in kinds["failing"]
    assert "rested" in kinds["losing"]
    assert RouteDecision.objects.filter(kind="moved", messages__gt=0).exists()
    fared = {line.account.name: line.fared for line in provider_board.board("1h")}
    assert sum(one.accepted for one in fared.values()) == PEOPLE
    assert sum(one.delivered for one in fared.values()) == PEOPLE - len(failed)
    assert fared["losing"].unconfirmed == len(lost & set(carriers["losing"].accepted))
