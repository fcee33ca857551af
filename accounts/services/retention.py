"""How long a client's data is kept, and the purge that removes the rest in bounded steps (GUARANTEES.md S4).

Texts and numbers leave the messages; the messages, their states, tallies and the ledger stay, so that no total changes.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Min, Q
from django.utils.translation import gettext as _

from accounts import wake
from accounts.models import Client, Closure, Retention
from accounts.models.privacy import LEAST_DAYS, MOST_DAYS, USUAL_DAYS
from accounts.personal_data import INSTALLATION, PARTS, Limits
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import InvalidInput
from crm.common.sql import database_now
from crm.common.stopping import stop_requested

log = logging.getLogger(__name__)

FIELDS = ("text_days", "number_days", "log_days", "export_days")
STEP = 2000  # rows of a part at once
MOST_STEPS = 50  # of one client before the next one's turn
EVERY = timedelta(hours=1)
LEASE = timedelta(minutes=15)


def retention_of(client: Client) -> Retention:
    """The client's own days, or the usual ones, unsaved."""
    return Retention.objects.for_client(client).first() or Retention(client=client)


@needs("client.write")
@transaction.atomic
def set_retention(*, client: Client, **days: int) -> Retention:
    """Keep data for so many days from now on; the purge follows within the hour. days: those of FIELDS.

    Raises: InvalidInput, fields as the parameters.
    """
    wrong = [name for name in FIELDS if not LEAST_DAYS <= days[name] <= MOST_DAYS]
    if wrong:
        sentence = _("Choose between %(least)s and %(most)s days.") % {"least": LEAST_DAYS, "most": MOST_DAYS}
        raise InvalidInput({name: [sentence] for name in wrong})
    before = retention_of(client)
    facts = {name: getattr(before, name) for name in FIELDS}
    changed = {name: days[name] for name in FIELDS}
    Retention.objects.for_client(client).get_or_create(client=client)
    Retention.objects.for_client(client).update(**changed, next_at=database_now())
    if changed != facts:
        record_audit(
            client=client, action="client.retention_changed", target=f"client:{client.pk}", before=facts, after=changed
        )
    return retention_of(client)


def limits_of(found: Retention, now: datetime) -> Limits:
    texts, numbers, logs, exports = (now - timedelta(days=getattr(found, name)) for name in FIELDS)
    return Limits(texts, numbers, logs, exports)


def purge_client(*, client: Client, most_steps: int = MOST_STEPS, dry_run: bool = False) -> int:
    """Remove what is older than the client keeps it; returns how many rows changed or, dry, would change in one step.

    Each step is short and commits by itself, its place with it, so that a crash costs nothing but time.
    """
    if not dry_run:
        Retention.objects.for_client(client).get_or_create(client=client)
    found, total = retention_of(client), 0
    limits = limits_of(found, database_now())
    for part in PARTS.values():
        if dry_run:
            total += part.purge(client.pk, limits, dict(found.cursors), 1_000_000, True)
            continue
        for _step in range(most_steps):
            with transaction.atomic():
                cursors = dict(found.cursors)
                changed = part.purge(client.pk, limits, cursors, STEP, False)
                if cursors != found.cursors:
                    Retention.objects.for_client(client).update(cursors=cursors)
                    found.cursors = cursors
            total += changed
            if not changed or stop_requested():
                break
    return total


def purge_due() -> int:
    """Purge the clients whose turn it is, each at most once an hour; returns how many rows changed."""
    total, now = 0, database_now()
    due = Retention.objects.unscoped().filter(Q(next_at=None) | Q(next_at__lte=now)).select_related("client")
    for found in due.order_by("next_at", "pk")[:200]:
        mine = Retention.objects.for_client(found.client_id).filter(next_at=found.next_at)
        if stop_requested() or not mine.update(next_at=now + LEASE):
            continue
        total += purge_client(client=found.client)
        Retention.objects.for_client(found.client_id).update(next_at=database_now() + EVERY)
    return total + purge_installation()


def purge_installation(*, dry_run: bool = False) -> int:
    """Remove what belongs to no client in particular once the strictest client would have removed it."""
    strictest = Retention.objects.unscoped().aggregate(days=Min("number_days"))["days"] or USUAL_DAYS
    before, total = database_now() - timedelta(days=strictest), 0
    for purge in INSTALLATION:
        for _step in range(1 if dry_run else MOST_STEPS):
            changed = purge(before, 1_000_000 if dry_run else STEP, dry_run)
            total += changed
            if not changed or stop_requested():
                break
    return total


def sweep_retention() -> None:
    """Every client has its row; the purge is woken where one is due."""
    without = Client.objects.exclude(pk__in=Retention.objects.unscoped().values("pk"))
    rows = [Retention(client_id=pk) for pk in without.values_list("pk", flat=True)[:500]]
    if rows:
        Retention.objects.bulk_create(rows, ignore_conflicts=True)
    now = database_now()
    closing = Closure.objects.unscoped().filter(done_at=None, due_at__lte=now).exists()
    if Retention.objects.unscoped().filter(Q(next_at=None) | Q(next_at__lte=now)).exists() or closing:
        wake.purge()
