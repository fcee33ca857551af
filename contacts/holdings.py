"""What a book holds of people: contacts, the bin, former addresses, imports with their files, opt-outs."""

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.personal_data import CHUNK, Limits, Part, Person, delete_some, facts_of, register
from contacts.importing.reading import Table
from contacts.models import (
    BinnedContact,
    BulkChange,
    Consent,
    Contact,
    ContactField,
    ContactImport,
    FormerAddress,
    Group,
    GroupMember,
    ImportChange,
    ImportReject,
    ImportState,
    OptOut,
    OptOutChange,
    OptOutLink,
)
from contacts.search import forget
from contacts.services import discard_import
from crm.common.errors import WrongState

_RUNNING = (ImportState.READY, ImportState.HELD, ImportState.RUNNING, ImportState.UNDOING)


def register_part() -> None:
    register(Part("contacts", _collect, _erase, _purge, _tables))


def _of_person(model: Any, client_id: int, person: Person) -> QuerySet:
    found = Q(phone__in=person.phones) if person.phones else Q(pk=None)
    if person.emails:
        found |= Q(email__in=person.emails)
    return model.objects.for_client(client_id).filter(found)


def _collect(client_id: int, person: Person) -> Iterator[tuple[str, dict[str, Any]]]:
    columns = ("phone", "email", "name", "department", "attributes", "created_at")
    for contact in _of_person(Contact, client_id, person).select_related("consent"):
        groups = GroupMember.objects.for_client(client_id).filter(contact=contact)
        consent = contact.consent
        yield (
            "contact",
            facts_of(contact, *columns, "updated_at")
            | {
                "groups": list(groups.values_list("group__name", flat=True)),
                "consent": facts_of(consent, "source", "statement", "created_at") if consent else None,
            },
        )
    for binned in _of_person(BinnedContact, client_id, person):
        yield "contact in the bin", facts_of(binned, *columns, "deleted_at")
    for opt_out in OptOut.objects.for_client(client_id).filter(address__in=person.addresses):
        yield "opt-out", facts_of(opt_out, "channel", "address", "sender", "source", "proof", "created_at")
    for change in OptOutChange.objects.for_client(client_id).filter(address__in=person.addresses):
        yield "opt-out change", facts_of(change, "channel", "address", "is_out", "source", "note", "created_at")
    for reject in _rejects(client_id, person):
        yield "rejected row", facts_of(reject, "row", "sentence", "cells")


def _rejects(client_id: int, person: Person) -> QuerySet[ImportReject]:
    return ImportReject.objects.for_client(client_id).filter(person.mentioned("cells", "value"))


def _erase(client_id: int, person: Person) -> tuple[int, bool]:
    changed = 0
    ids = [*_of_person(Contact, client_id, person).values_list("pk", flat=True)]
    former = FormerAddress.objects.for_client(client_id).filter(address__in=person.addresses)
    ids += former.values_list("contact_id", flat=True)
    with transaction.atomic():
        binned = _of_person(BinnedContact, client_id, person)
        ids += binned.values_list("contact_id", flat=True)
        changed += binned.delete()[0]
        changed += ImportChange.objects.for_client(client_id).filter(contact_id__in=ids).delete()[0]
        changed += GroupMember.objects.for_client(client_id).filter(contact_id__in=ids).delete()[0]
        changed += Contact.objects.for_client(client_id).filter(pk__in=ids).delete()[0]
        forget(ids)
        changed += OptOutLink.objects.for_client(client_id).filter(address__in=person.addresses).delete()[0]
        changed += OptOut.objects.for_client(client_id).filter(address__in=person.addresses).delete()[0]
        history = OptOutChange.objects.for_client(client_id).filter(address__in=person.addresses)
        changed += history.update(address=person.mark, note="")
    while found := delete_some(_rejects(client_id, person), CHUNK):
        changed += found
    uploads, is_done = _erase_uploads(client_id, person)
    return changed + uploads, is_done


def _erase_uploads(client_id: int, person: Person) -> tuple[int, bool]:
    """An upload that nobody started is discarded where the person is in it; one that runs is waited for: it leaves the
    person out, and its file goes at its end."""
    changed, is_done = 0, True
    batches = ContactImport.objects.for_client(client_id)
    changed += batches.filter(person.mentioned("edits")).exclude(state=ImportState.UPLOADED).update(edits={})
    for batch in batches.filter(state__in=[ImportState.UPLOADED, *_RUNNING]):
        if not batch.path.is_file() or not _is_in_file(batch, person):
            continue
        if batch.state in _RUNNING:
            is_done = False
            continue
        try:
            discard_import(contact_import=batch)
            changed += 1
        except WrongState:  # started this very moment
            is_done = False
    return changed, is_done


def _is_in_file(batch: ContactImport, person: Person) -> bool:
    rows = Table(batch.path, batch.encoding, batch.delimiter).rows()
    return any(person.is_in(" ".join(cells)) for _, cells in rows if cells is not None)


def _purge(client_id: int, limits: Limits, cursors: dict[str, Any], most: int, dry_run: bool) -> int:
    old = Q(contact_import__finished_at__lt=limits.logs)
    lists: list[QuerySet] = [
        ImportReject.objects.for_client(client_id).filter(old),
        ImportChange.objects.for_client(client_id).filter(old),
    ]
    if limits.everything:
        lists = [
            model.objects.for_client(client_id)
            for model in (
                ImportReject, ImportChange, GroupMember, FormerAddress, BinnedContact, Contact, OptOutLink, OptOut,
                OptOutChange, BulkChange, ContactField,
            )
        ]  # fmt: skip
        lists.append(Consent.objects.for_client(client_id))
        for batch in ContactImport.objects.for_client(client_id):
            if not dry_run:
                batch.path.unlink(missing_ok=True)
        if not dry_run:
            ContactImport.objects.for_client(client_id).update(filename="", edits={}, headers=[], mapping=[])
            Group.objects.for_client(client_id).filter(members=None).delete()
    return sum(delete_some(found, most, dry_run) for found in lists)


def _tables(client_id: int) -> dict[str, QuerySet]:
    return {
        "contacts": Contact.objects.for_client(client_id),
        "contacts-in-bin": BinnedContact.objects.for_client(client_id),
        "groups": Group.objects.for_client(client_id),
        "group-members": GroupMember.objects.for_client(client_id),
        "consents": Consent.objects.for_client(client_id),
        "fields": ContactField.objects.for_client(client_id),
        "opt-outs": OptOut.objects.for_client(client_id),
        "opt-out-history": OptOutChange.objects.for_client(client_id),
        "imports": ContactImport.objects.for_client(client_id),
    }
