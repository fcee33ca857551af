"""Closing an organisation: asked for by its owner, thirty days to change their mind, then its personal data is erased.

Ledger entries, messages without texts and numbers, tallies and the audit log stay: accounts must add up afterwards.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Client, Closure, ErasedAddress, Export, Membership
from accounts.personal_data import PARTS, Limits
from accounts.services.access import needs
from accounts.services.audit import record_audit
from accounts.services.clients import suspend_client
from accounts.services.exports import delete_files, make_export
from crm.common.errors import InvalidInput, WrongState
from crm.common.sql import database_now

NOTICE = timedelta(days=30)
_LEASE = timedelta(minutes=30)
_STEP = 2000


def closure_of(client: Client) -> Closure | None:
    return Closure.objects.for_client(client).filter(done_at=None).select_related("asked_by").first()


@needs("client.write")
@transaction.atomic
def ask_closure(*, client: Client, by: Membership, name: str) -> Closure:
    """Close the organisation in thirty days. name: its name, typed again. Raises: InvalidInput (`name`), WrongState."""
    if by.role != "owner":
        raise WrongState(_("Only an owner can close the organisation."))
    if " ".join(name.split()) != " ".join(client.name.split()):
        raise InvalidInput({"name": [_("Type the name as it is written above.")]})
    now = database_now()
    Closure.objects.bulk_create(
        [Closure(client=client, asked_by=by.user, asked_at=now, due_at=now + NOTICE)], ignore_conflicts=True
    )
    closure = closure_of(client)
    if closure is None or closure.asked_at != now:
        raise WrongState(_("The closure was asked for already."))
    record_audit(client=client, action="client.closing", target=f"client:{client.pk}", after={"due_at": closure.due_at})
    return closure


@needs("client.write")
@transaction.atomic
def withdraw_closure(*, client: Client) -> bool:
    """Keep the organisation after all. Returns whether there was a closure to take back."""
    gone = Closure.objects.for_client(client).filter(done_at=None, due_at__gt=database_now()).delete()[0]
    if gone:
        record_audit(client=client, action="client.closing_withdrawn", target=f"client:{client.pk}")
    return bool(gone)


@needs("client.write", of="membership")
@transaction.atomic
def export_everything(*, membership: Membership, language: str = "en") -> Export:
    """Have a worker put everything of the organisation into one ZIP of CSV files. Raises: TooManyExports."""
    export = make_export(membership=membership, kind="organisation", language=language)
    record_audit(client=membership.client, action="client.export_made", target=f"export:{export.pk}")
    return export


def close_due() -> int:
    """Erase the organisations whose closure is due; returns how many are closed now."""
    closed, now = 0, database_now()
    for closure in Closure.objects.unscoped().filter(done_at=None, due_at__lte=now).select_related("client")[:20]:
        mine = Closure.objects.for_client(closure.client_id).filter(done_at=None, due_at=closure.due_at)
        if mine.update(due_at=now + _LEASE):  # whoever dies here is followed after the lease
            closed += _close(closure)
    return closed


def _close(closure: Closure) -> bool:
    client, now = closure.client, database_now()
    if client.is_active:
        suspend_client(client=client, reason="The organisation was closed by its owner.")
    ApiKey.objects.for_client(client).filter(revoked_at=None).update(revoked_at=Now())
    delete_files(client_id=client.pk)
    limits = Limits(now, now, now, now, everything=True)
    cursors: dict = {}
    for part in reversed(PARTS.values()):
        while True:
            with transaction.atomic():
                if not part.purge(client.pk, limits, cursors, _STEP, False):
                    break
    if any(cursors.get(f"{name}_late") for name in ("texts", "numbers")):
        return False  # something is still on its way; the next round takes the rest
    with transaction.atomic():
        ErasedAddress.objects.for_client(client).delete()
        client.name, client.contact_email = f"Closed organisation {client.pk}", ""
        client.save(update_fields=["name", "contact_email"])
        Closure.objects.for_client(client).update(done_at=now, asked_by=None)
        record_audit(client=client, action="client.closed", target=f"client:{client.pk}")
    return True
