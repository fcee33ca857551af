"""The audit log names who deleted, restored, merged and changed contacts, and how many; never a name or a number."""

import json

import pytest

from accounts.models import AuditEntry
from accounts.services.audit import check_chains
from contacts.filters import ContactFilters
from contacts.models import BinnedContact, Contact
from contacts.services import (
    bulk,
    change_contacts,
    create_contact,
    create_group,
    delete_contacts,
    empty_bin,
    merge_contacts,
    restore_contacts,
    run_bulk,
    start_bulk,
    stop_bulk,
)
from contacts.services.bin import sweep_bin

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(acme):
    return [create_contact(client=acme, name=f"Amina {n}", phone=f"072200000{n}") for n in range(4)]


def entries(client) -> list[tuple]:
    found = AuditEntry.objects.for_client(client).order_by("sequence")
    assert "Amina" not in json.dumps(list(found.values_list("before", "after")))
    return [(entry.action, entry.target, entry.after) for entry in found]


def test_the_bin(acme, zuri_ltd, people):
    ids = [person.pk for person in people]
    delete_contacts(client=acme, contact_ids=ids[:3])
    binned = list(BinnedContact.objects.for_client(acme).order_by("pk").values_list("pk", flat=True))
    restore_contacts(client=acme, binned_ids=binned[:1])
    empty_bin(client=acme)
    delete_contacts(client=zuri_ltd, contact_ids=ids)  # strangers: nothing happens
    empty_bin(client=acme)
    sweep_bin()

    assert entries(acme) == [
        ("contact.deleted", "contacts", {"contacts": 3}),
        ("contact.restored", f"contact:{ids[0]}", {"contacts": 1}),
        ("contact.removed_for_good", "contacts", {"contacts": 2}),
    ]
    assert entries(zuri_ltd) == []
    assert list(check_chains()) == []


def test_merging(acme, people):
    keep_id, other_id = people[0].pk, people[1].pk
    merge_contacts(keep=people[0], other=people[1], take={"name": True, "phone": False})

    facts = {"merged_with": f"contact:{other_id}", "taken_from_it": ["name"]}
    assert entries(acme) == [("contact.merged", f"contact:{keep_id}", facts)]


def test_what_is_done_to_ticked_contacts(acme, people):
    group = create_group(client=acme, name="All")
    ids = [person.pk for person in people]
    change_contacts(client=acme, act="add", contact_ids=ids, group=group)
    change_contacts(client=acme, act="add", contact_ids=ids, group=group)  # nothing changes
    change_contacts(client=acme, act="opt_out", contact_ids=ids[:1], group=None, note="Called")
    change_contacts(client=acme, act="delete", contact_ids=ids[:2], group=None)

    facts = {"act": "add", "group": f"group:{group.pk}", "name": "All", "contacts": 4, "changed": 4}
    assert entries(acme) == [
        ("contacts.changed", "contacts", facts),
        ("contacts.changed", "contacts", {"act": "opt_out", "contacts": 1, "changed": 1}),
        ("contact.deleted", "contacts", {"contacts": 2}),
    ]


def test_a_bulk_change_has_a_beginning_and_an_end_and_no_entry_per_chunk(acme, people, monkeypatch):
    monkeypatch.setattr(bulk, "CHUNK", 1)
    monkeypatch.setattr(bulk, "AT_ONCE", 0)
    done = start_bulk(client=acme, by=None, act="delete", filters=ContactFilters(q="Amina"))
    assert run_bulk(bulk_id=done.pk)
    assert not Contact.objects.for_client(acme).exists()
    create_contact(client=acme, name="Amina 5", phone="0722000005")
    stopped = start_bulk(client=acme, by=None, act="delete", filters=ContactFilters())
    stop_bulk(change=stopped)

    target, other = f"bulk_change:{done.pk}", f"bulk_change:{stopped.pk}"
    found = AuditEntry.objects.for_client(acme).order_by("sequence")
    assert [(entry.action, entry.target) for entry in found] == [
        ("bulk_change.started", target), ("bulk_change.ended", target),
        ("bulk_change.started", other), ("bulk_change.stopped", other),
    ]  # fmt: skip
    assert found[0].after == {"act": "delete", "contacts": 4, "filters": {"q": "Amina"}}
    assert found[1].after == {"state": "done", "contacts": 4, "changed": 4}
