"""What `reconcile` compares of messaging: charges against messages, leases nobody ended, reservations nobody freed."""

from django.db import connection

from crm.common.money import from_micros
from crm.common.sql import later_sql
from messaging.models import Campaign, CampaignState
from messaging.sending.sweep import free_leases
from messaging.services.tallies import counted_sql, recount
from wallet import services as wallet
from wallet.models import CARRIED, Reservation
from wallet.reconciliation import Check, Difference, register

# The sweep ends leases every ten seconds; one that outlived its end by more has been forgotten.
GRACE_SECONDS = 60

_CHARGES = f"""
SELECT client_id, SUM(cost), SUM(taken) FROM (
    SELECT client_id, SUM(cost_micros) AS cost, 0 AS taken FROM messaging_message
    WHERE status NOT IN ('failed', 'cancelled') GROUP BY client_id
    UNION ALL
    SELECT client_id, cost_micros, 0 FROM messaging_messagesum WHERE status NOT IN ('failed', 'cancelled')
    UNION ALL
    SELECT wallet_id, 0, -SUM(amount_micros) FROM wallet_ledgerentry
    WHERE kind IN ('debit', 'refund') AND (reference LIKE 'message:%%' OR reference LIKE '{CARRIED}%%')
    GROUP BY wallet_id
) AS sums GROUP BY client_id HAVING SUM(cost) <> SUM(taken) ORDER BY client_id
"""


def charge_differences() -> list[Difference]:
    """M2: by client, debits less refunds of messages are what its messages cost that did not fail."""
    with connection.cursor() as cursor:
        cursor.execute(_CHARGES, [])
        rows = cursor.fetchall()
    return [
        Difference(
            f"client {client_id}: messages cost {from_micros(int(cost))}, the ledger took {from_micros(int(taken))}",
            client_id,
        )
        for client_id, cost, taken in rows
    ]


def lease_differences() -> list[Difference]:
    """Leases that nobody ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT m.client_id, l.submitting, COUNT(*) FROM messaging_messagelease l
                JOIN messaging_message m ON m.id = l.message_id WHERE l.until <= {later_sql(-GRACE_SECONDS)}
                GROUP BY m.client_id, l.submitting ORDER BY m.client_id, l.submitting""",
            [],
        )
        rows = cursor.fetchall()
    return [
        Difference(
            f"client {client_id}: {count} messages {'submitting' if submitting else 'claimed'} beyond their lease",
            client_id,
        )
        for client_id, submitting, count in rows
    ]


def repair_leases(difference: Difference) -> bool:
    """End every dead lease, as the sweep does."""
    free_leases()
    return not [found for found in lease_differences() if found.client_id == difference.client_id]


def _left_over() -> list[tuple[int, str, int]]:
    """(client id, reference, micros) of money still held for campaigns that are over or do not exist."""
    held = Reservation.objects.unscoped().filter(remaining_micros__gt=0, reference__startswith="campaign:")
    rows = list(held.order_by("pk").values_list("wallet_id", "reference", "remaining_micros"))
    running = {
        campaign.reservation
        for campaign in Campaign.objects.unscoped().filter(state__in=[CampaignState.SENDING, CampaignState.PAUSED])
    }
    return [row for row in rows if row[1] not in running]


def reservation_differences() -> list[Difference]:
    return [
        Difference(f"client {client_id}: {reference} is over and still holds {from_micros(micros)}", client_id)
        for client_id, reference, micros in _left_over()
    ]


def repair_reservations(difference: Difference) -> bool:
    """Free what campaigns of this client hold that are over."""
    for client_id, reference, _ in _left_over():
        if client_id == difference.client_id:
            wallet.release_reservation(client_id=client_id, reference=reference)
    return True


def tally_differences() -> list[Difference]:
    """Clients whose tallies are not what their messages add up to."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT DISTINCT client_id FROM (
                    SELECT client_id, hour, channel, state FROM (
                        SELECT client_id, hour, channel, state, messages, cost_micros FROM messaging_messagetally
                        UNION ALL
                        SELECT client_id, hour, channel, state, -messages, -cost_micros FROM ({counted_sql()}) AS c
                    ) AS both_sides GROUP BY client_id, hour, channel, state
                    HAVING SUM(messages) <> 0 OR SUM(cost_micros) <> 0
                ) AS d ORDER BY client_id""",
            [],
        )
        rows = cursor.fetchall()
    return [Difference(f"client {pk}: tallies differ from its messages", pk) for (pk,) in rows]


def repair_tallies(difference: Difference) -> bool:
    """Count the client's messages anew."""
    if difference.client_id is None:
        return False
    recount(client_id=difference.client_id)
    return True


def register_checks() -> None:
    register(
        Check(
            "message charges",
            charge_differences,
            advice="Compare the client's messages with its ledger; correct the wallet by an adjustment.",
        )
    )
    register(Check("message leases", lease_differences, repair_leases, "--fix ends them; then look at the workers."))
    register(Check("message tallies", tally_differences, repair_tallies, "--fix counts anew."))
    register(Check("campaign reservations", reservation_differences, repair_reservations, "--fix frees the money."))
