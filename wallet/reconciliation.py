"""What `reconcile` compares. Apps above add their checks by `register` from their AppConfig.ready."""

from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import IntegrityError

from crm.common.money import from_micros
from wallet import queries, services


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
    ledger entries or messages' prices: only cached sums and states that follow from other rows.
    """

    name: str
    find: Callable[[], list[Difference]]
    repair: Callable[[Difference], bool] = field(default=_unrepairable)


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


register(Check("wallets", _wallet_differences, _repair_wallet))
register(Check("running balances", _chain_differences))
register(Check("refunds", _refund_differences))
