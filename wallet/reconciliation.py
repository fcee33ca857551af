"""What `reconcile` compares. Apps above add their checks by `register` from their AppConfig.ready."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import IntegrityError

from crm.common.money import from_micros
from crm.common.sql import database_now
from wallet import queries, services
from wallet.models import ReconciliationRun

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not agree. text: one line for the operator; client_id: whose it is, if one client's;
    reference: what a repair needs to find it again.
    """

    text: str
    client_id: int | None = None
    reference: str = ""


def _unrepairable(difference: Difference) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Check:
    """find lists the differences and changes nothing; repair mends one and says whether it could. No check changes
    ledger entries or messages' prices: only cached sums and states that follow from other rows. advice: what a person
    does about such a difference.
    """

    name: str
    find: Callable[[], list[Difference]]
    repair: Callable[[Difference], bool] = field(default=_unrepairable)
    advice: str = ""


CHECKS: list[Check] = []


def register(check: Check) -> None:
    """Add a check to `reconcile`; the same name again replaces the earlier one."""
    CHECKS[:] = [known for known in CHECKS if known.name != check.name] + [check]


def _wallet_differences() -> list[Difference]:
    differences = []
    for found in queries.check_wallets():
        facts = []
        if found.balance_micros != found.entries_micros:
            balance, entries = from_micros(found.balance_micros), from_micros(found.entries_micros)
            facts.append(f"balance {balance}, entries sum to {entries}")
        if found.reserved_micros != found.reservations_micros:
            reserved, held = from_micros(found.reserved_micros), from_micros(found.reservations_micros)
            facts.append(f"reserved {reserved}, reservations hold {held}")
        differences.append(Difference(f"client {found.client_id}: {'; '.join(facts)}", found.client_id))
    return differences


def _repair_wallet(difference: Difference) -> bool:
    assert difference.client_id is not None
    try:
        services.repair_sums(client_id=difference.client_id)
    except IntegrityError:
        return False
    return True


def _chain_differences() -> list[Difference]:
    return [
        Difference(f"client {client_id}: entry {entry} does not continue the balance before it", client_id)
        for client_id, entry in queries.check_running_balances()
    ]


def _refund_differences() -> list[Difference]:
    return [
        Difference(f"client {client_id}: the refund of {reference} is not what it cost", client_id)
        for client_id, reference in queries.check_refunds()
    ]


register(Check("wallets", _wallet_differences, _repair_wallet, "--fix sets the cached sums to those of their rows."))
register(
    Check(
        "running balances",
        _chain_differences,
        advice="Entries are never changed by the product: find who wrote to the database. The sums above still hold.",
    )
)
register(Check("refunds", _refund_differences, advice="Give or take the difference by an adjustment of the wallet."))


# --- the daily run ----------------------------------------------------------------------------------------------------

AGAIN_AFTER = timedelta(hours=23)
MOST_TEXTS = 200
KEPT_RUNS = 90


def run_if_due() -> ReconciliationRun | None:
    """Compare everything once a day and keep what was found; repairs nothing. None where it is not time yet.

    Begun by the row, so that a day that the schedule missed is made up for at its next tick.
    """
    now = database_now()
    if ReconciliationRun.objects.filter(started_at__gt=now - AGAIN_AFTER).exists():
        return None
    run = ReconciliationRun.objects.create(started_at=now)
    results, total = {}, 0
    for check in CHECKS:
        found = check.find()
        results[check.name] = [difference.text for difference in found[:MOST_TEXTS]]
        total += len(found)
    run.finished_at, run.results, run.differences = database_now(), results, total
    run.save(update_fields=["finished_at", "results", "differences"])
    if total:
        log.warning("the daily reconciliation found %d differences: see the back office or manage.py reconcile", total)
    old = ReconciliationRun.objects.order_by("-pk").values_list("pk", flat=True)[KEPT_RUNS:]
    ReconciliationRun.objects.filter(pk__in=list(old)).delete()
    return run


def last_run() -> ReconciliationRun | None:
    return ReconciliationRun.objects.exclude(finished_at=None).first()
