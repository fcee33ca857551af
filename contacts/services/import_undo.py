"""Taking an import back: what it created goes, what it changed is restored, who was written to meanwhile stays."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from accounts.services.access import needs
from accounts.services.audit import record_audit
from contacts import wake
from contacts.importing.engine import LEASE_SECONDS, LeaseLostError
from contacts.models import KEEP_UNDO_DAYS, Contact, ContactImport, GroupMember, ImportChange, ImportState
from contacts.signals import messaged_among
from crm.common.errors import WrongState
from crm.common.sql import database_now, update_rows

CHUNK = 1000
KEEP_UNDO = timedelta(days=KEEP_UNDO_DAYS)
_ENDED = (ImportState.DONE, ImportState.STOPPED, ImportState.FAILED)
_COLUMNS = ("email", "name", "department", "consent_id")


@needs("contacts.write", of="contact_import")
def undo_import(*, contact_import: ContactImport) -> ContactImport:
    """Hand the import to a worker to be taken back.

    Raises: WrongState (it is not over, is undone already, or ended longer ago than KEEP_UNDO).
    """
    now = database_now()
    ended = ContactImport.objects.filter(
        client_id=contact_import.client_id, pk=contact_import.pk, state__in=_ENDED, finished_at__gte=now - KEEP_UNDO
    )
    with transaction.atomic():
        if not ended.update(state=ImportState.UNDOING, lease_token="", lease_until=None, undone_at=None):
            raise WrongState(_("This import cannot be undone (any more)."))
        wake.undo_import(contact_import.pk)
        target = f"import:{contact_import.pk}"
        record_audit(client=contact_import.client_id, action="import.undone", target=target)
    contact_import.refresh_from_db()
    return contact_import


def run_undo(*, import_id: int) -> bool:
    """Take back an import that waits for it, or go on where a dead worker stopped; returns whether this call ended it.

    Contacts that a later file touched, or that were messaged since the import began, stay and are counted as kept.
    """
    token, now = uuid4().hex, database_now()
    until = now + timedelta(seconds=LEASE_SECONDS)
    waiting = ContactImport.objects.unscoped().filter(
        Q(lease_until=None) | Q(lease_until__lt=now), pk=import_id, state=ImportState.UNDOING
    )
    if not waiting.update(lease_token=token, lease_until=until):
        return False
    batch = ContactImport.objects.unscoped().get(pk=import_id)
    try:
        while _remove_chunk(batch, token):
            pass
        while _restore_chunk(batch, token):
            pass
        with transaction.atomic():
            _leave_groups(batch)
            _advance(batch, token, state=ImportState.UNDONE, undone_at=database_now(), lease_token="", lease_until=None)
    except LeaseLostError:
        return False
    return True


def _advance(batch: ContactImport, token: str, **fields: Any) -> None:
    """Note progress while the lease holds. Raises: LeaseLostError, which undoes the chunk."""
    fields = {"lease_until": database_now() + timedelta(seconds=LEASE_SECONDS)} | fields
    mine = ContactImport.objects.filter(
        client_id=batch.client_id, pk=batch.pk, state=ImportState.UNDOING, lease_token=token
    )
    if not mine.update(**fields):
        raise LeaseLostError


def _remove_chunk(batch: ContactImport, token: str) -> bool:
    """Delete the next contacts that the import created; returns whether there were any."""
    created = Contact.objects.for_client(batch.client_id).filter(created_import=batch, pk__gt=batch.undo_cursor)
    rows = list(created.order_by("pk").values_list("pk", "phone", "created_row", "met__contact_import_id")[:CHUNK])
    if not rows:
        return False
    phones = [phone for _pk, phone, *_ in rows if phone]
    since = batch.started_at or batch.created_at
    messaged = messaged_among(batch.client_id, phones, since) if phones else set()
    # Without a row it came back from the bin: somebody wanted it.
    gone = [pk for pk, phone, row, met in rows if phone not in messaged and row is not None and met is None]
    cursor = rows[-1][0]
    with transaction.atomic():
        GroupMember.objects.filter(client_id=batch.client_id, contact_id__in=gone).delete()
        deleted = Contact.objects.filter(client_id=batch.client_id, pk__in=gone)
        deleted._raw_delete(deleted.db)  # type: ignore[attr-defined]  # members are gone; the collector would load each row
        kept = len(rows) - len(gone)
        _advance(batch, token, undo_cursor=cursor, removed=F("removed") + len(gone), kept=F("kept") + kept)
    batch.undo_cursor = cursor
    return True


def _restore_chunk(batch: ContactImport, token: str) -> bool:
    """Put back what the import changed on the next contacts, where nobody changed it again; returns whether any."""
    changes = list(ImportChange.objects.filter(client_id=batch.client_id, contact_import=batch).order_by("pk")[:CHUNK])
    if not changes:
        return False
    ids = [change.contact_id for change in changes]
    contacts = {contact.pk: contact for contact in Contact.objects.filter(client_id=batch.client_id, pk__in=ids)}
    now = database_now()
    rows = []
    for change in changes:
        contact = contacts.get(change.contact_id)
        if contact and _put_back(contact, change.values):
            rows.append((contact.pk, *(getattr(contact, name) for name in _COLUMNS), contact.attributes, now))
    with transaction.atomic():
        update_rows(Contact, ["id", *_COLUMNS, "attributes", "updated_at"], rows)
        ImportChange.objects.filter(client_id=batch.client_id, pk__in=[change.pk for change in changes]).delete()
        _advance(batch, token, restored=F("restored") + len(rows))
    return True


def _put_back(contact: Contact, values: dict[str, list]) -> bool:
    changed = False
    for field, (before, after) in values.items():
        if field.startswith("attributes."):
            key = field.partition(".")[2]
            if contact.attributes.get(key, "") != after:
                continue
            contact.attributes.pop(key)
            if before:
                contact.attributes[key] = before
        elif getattr(contact, field) == after:
            setattr(contact, field, before)
        else:
            continue
        changed = True
    return changed


def _leave_groups(batch: ContactImport) -> None:
    """Contacts that were in the book before leave the group, and lose the tags, that the import had given them."""
    if sets := [pk for pk in (batch.group_id, *batch.tags) if pk]:
        places = GroupMember.objects.filter(client_id=batch.client_id, group_id__in=sets, added_by_import=batch.pk)
        places.exclude(contact__created_import=batch).delete()


def sweep_undo(now: datetime) -> None:
    """Wake undoings whose worker died; forget the former values of imports that can no longer be undone."""
    everyone = ContactImport.objects.unscoped()
    lost = everyone.filter(Q(lease_until=None) | Q(lease_until__lt=now), state=ImportState.UNDOING)
    for import_id in lost.values_list("pk", flat=True)[:100]:
        wake.undo_import(import_id)
    old = everyone.filter(finished_at__lt=now - KEEP_UNDO).exclude(state=ImportState.UNDOING)
    stale = ImportChange.objects.unscoped().filter(contact_import__in=old.values("pk")).values("pk")[:20_000]
    ImportChange.objects.unscoped().filter(pk__in=list(stale.values_list("pk", flat=True))).delete()
