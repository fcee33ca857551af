"""One act on every contact that matches a filter, in chunks that a crash cannot double."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.audit import record_audit
from contacts import wake
from contacts.filters import ContactFilters
from contacts.models import BulkAct, BulkChange, BulkState, Channel, Contact, Group, OptOutSource
from contacts.services.bin import bin_chunk, delete_contacts
from contacts.services.groups import add_to_group, refuse_by_rule, remove_from_group
from contacts.services.opt_outs import record_opt_outs
from crm.common.errors import InvalidInput, WrongState
from crm.common.sql import database_now

log = logging.getLogger(__name__)

CHUNK = 2000
AT_ONCE = 1000  # a smaller set is dealt with before the page answers
LEASE_SECONDS = 60


class _LeaseLostError(Exception):
    """Stopped, or another worker has it: the present chunk was undone."""


@needs("contacts.write")
def start_bulk(
    *, client: Client, by: Any, act: str, filters: ContactFilters, group: Group | None = None, note: str = ""
) -> BulkChange:
    """Do `act` to every contact that matches now; a large set is left to a worker, a small one is done on return.

    group: the group or tag of add and remove. note: how one knows that they opted out.
    Raises: InvalidInput (`act`, `group`).
    """
    if act not in BulkAct.values:
        raise InvalidInput({"act": [_("Choose what to do.")]})
    needs_group = act in (BulkAct.ADD, BulkAct.REMOVE)
    if needs_group and (group is None or group.client_id != client.pk):
        raise InvalidInput({"group": [_("Choose a group or a tag first; nothing was changed.")]})
    if needs_group and group is not None:
        refuse_by_rule(group)
    rows = filters.rows(client)
    newest = Contact.objects.for_client(client).order_by("-pk").values_list("pk", flat=True).first() or 0
    total = rows.count()
    with transaction.atomic():
        change = BulkChange.objects.create(
            client=client,
            by=by,
            act=act,
            group=group if needs_group else None,
            group_name=group.name if needs_group and group else "",
            filters=filters.as_dict(),
            note=note.replace("\x00", "")[:300],
            total=total,
            until=newest,
        )
        if total > AT_ONCE:
            wake.run_bulk(change.pk)
        _audit(change, "started", {**_facts(act, change.group), "contacts": total, "filters": change.filters})
    if total <= AT_ONCE:
        run_bulk(bulk_id=change.pk)
        change.refresh_from_db()
    return change


@needs("contacts.write")
def change_contacts(
    *, client: Client, act: str, contact_ids: Sequence[int], group: Group | None, by: Any = None, note: str = ""
) -> int:
    """Do `act` to these contacts of the client; returns on how many something changed. Raises: InvalidInput (group)."""
    if act == BulkAct.DELETE:
        return delete_contacts(client=client, contact_ids=contact_ids, by=by)
    with transaction.atomic():
        if changed := _change(client=client, act=act, contact_ids=contact_ids, group=group, by=by, note=note):
            facts = {**_facts(act, group), "contacts": len(contact_ids), "changed": changed}
            record_audit(client=client, action="contacts.changed", target="contacts", after=facts)
    return changed


def _facts(act: str, group: Group | None) -> dict[str, Any]:
    return {"act": str(act)} | ({"group": f"group:{group.pk}", "name": group.name} if group else {})


def _audit(change: BulkChange, verb: str, after: dict[str, Any]) -> None:
    record_audit(client=change.client_id, action=f"bulk_change.{verb}", target=f"bulk_change:{change.pk}", after=after)


def _change(*, client: Client, act: str, contact_ids: Sequence[int], group: Group | None, by: Any, note: str) -> int:
    """`change_contacts` without its entry in the audit log."""
    if act == BulkAct.DELETE:
        return bin_chunk(client_id=client.pk, contact_ids=contact_ids, by=by)
    if act == BulkAct.OPT_OUT:
        phones = Contact.objects.for_client(client).filter(pk__in=list(contact_ids), phone__isnull=False)
        return record_opt_outs(
            client_id=client.pk,
            channel=Channel.SMS,
            addresses=[phone for phone in phones.values_list("phone", flat=True) if phone],
            source=OptOutSource.STAFF,
            proof=note,
            by=by,
        )
    if group is None:
        raise InvalidInput({"group": [_("Choose a group or a tag first; nothing was changed.")]})
    if act == BulkAct.ADD:
        return add_to_group(group=group, contact_ids=contact_ids)
    return remove_from_group(group=group, contact_ids=contact_ids)


def run_bulk(*, bulk_id: int) -> bool:
    """Carry out a bulk change that waits, or go on where a dead worker stopped; returns whether this call ended it."""
    token, now = uuid4().hex, database_now()
    free = Q(state=BulkState.WAITING) | Q(state=BulkState.RUNNING, lease_until__lt=now)
    mine = BulkChange.objects.unscoped().filter(free, pk=bulk_id)
    if not mine.update(state=BulkState.RUNNING, lease_token=token, lease_until=now + timedelta(seconds=LEASE_SECONDS)):
        return False
    change = BulkChange.objects.unscoped().select_related("client", "group", "by").get(pk=bulk_id)
    try:
        while _do_chunk(change, token):
            pass
    except _LeaseLostError:
        return False
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("bulk change %s failed at contact %s", change.pk, change.cursor)
        return _end(change, token, BulkState.FAILED, _("It stopped because of a fault. What was done stays."))
    return _end(change, token, BulkState.DONE)


def _do_chunk(change: BulkChange, token: str) -> bool:
    """Change the next contacts; returns whether there were any."""
    if change.act in (BulkAct.ADD, BulkAct.REMOVE) and change.group is None:
        _end(change, token, BulkState.FAILED, _("The group was deleted meanwhile. What was done stays."))
        raise _LeaseLostError
    rows = ContactFilters.read(change.filters).rows(change.client)
    ids = list(
        rows.filter(pk__gt=change.cursor, pk__lte=change.until).order_by("pk").values_list("pk", flat=True)[:CHUNK]
    )
    if not ids:
        return False
    with transaction.atomic():
        changed = _change(
            client=change.client, act=change.act, contact_ids=ids, group=change.group, by=change.by, note=change.note
        )
        mine = _held(change, token).filter(cursor=change.cursor)
        if not mine.update(
            cursor=ids[-1],
            done=F("done") + len(ids),
            changed=F("changed") + changed,
            lease_until=database_now() + timedelta(seconds=LEASE_SECONDS),
        ):
            raise _LeaseLostError
    change.cursor = ids[-1]
    return True


def _held(change: BulkChange, token: str) -> Any:
    return BulkChange.objects.filter(
        client_id=change.client_id, pk=change.pk, state=BulkState.RUNNING, lease_token=token
    )


def _end(change: BulkChange, token: str, state: BulkState, error: str = "") -> bool:
    with transaction.atomic():
        ended = _held(change, token).update(
            state=state, error=error, lease_token="", lease_until=None, finished_at=database_now()
        )
        if ended:
            change.refresh_from_db(fields=["done", "changed"])
            _audit(change, "ended", {"state": str(state), "contacts": change.done, "changed": change.changed})
    return bool(ended)


@needs("contacts.write", of="change")
def stop_bulk(*, change: BulkChange) -> BulkChange:
    """Stop after the contacts being changed; what was done stays. Raises: WrongState (it is over)."""
    open_ones = BulkChange.objects.filter(
        client_id=change.client_id, pk=change.pk, state__in=[BulkState.WAITING, BulkState.RUNNING]
    )
    with transaction.atomic():
        if not open_ones.update(state=BulkState.STOPPED, lease_token="", lease_until=None, finished_at=database_now()):
            raise WrongState(_("This is over already."))
        change.refresh_from_db()
        _audit(change, "stopped", {"contacts": change.done, "changed": change.changed})
    return change


def sweep_bulk() -> None:
    """Wake bulk changes that wait or whose worker died."""
    now = database_now()
    left = BulkChange.objects.unscoped().filter(
        Q(state=BulkState.WAITING) | Q(state=BulkState.RUNNING, lease_until__lt=now)
    )
    for bulk_id in left.order_by("pk").values_list("pk", flat=True)[:100]:
        wake.run_bulk(bulk_id)
