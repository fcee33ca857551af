"""Deleting for 30 days, coming back, and two contacts becoming one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts import queries
from contacts.models import BinnedContact, Consent, Contact, GroupMember, OptOut, OptOutSource
from contacts.services import (
    add_to_group,
    create_contact,
    create_group,
    create_tag,
    delete_contacts,
    delete_group,
    empty_bin,
    erase_from_bin,
    merge_contacts,
    plan_merge,
    record_opt_out,
    restore_contacts,
    undo_import,
)
from contacts.services.bin import sweep_bin
from contacts.services.import_undo import run_undo
from crm.common.errors import InvalidInput
from messaging.models import Message

from .conftest import load

pytestmark = pytest.mark.django_db


def person(client, name="Amina", phone="0712345678", **more):
    return create_contact(client=client, name=name, phone=phone, **more)


def bin_ids(client):
    return list(BinnedContact.objects.for_client(client).values_list("pk", flat=True))


def test_a_deleted_contact_is_in_no_list_audience_or_number_check_and_comes_back_as_it_was(acme, zuri_ltd):
    consent = Consent.objects.create(client=acme, source="form")
    amina = person(acme, attributes={"Town": "Thika", "Size": "4"}, email="amina@acme.test", department="Sales")
    Contact.objects.filter(client=acme).update(consent=consent)
    group, tag = create_group(client=acme, name="Staff"), create_tag(client=acme, name="VIP")
    for each in (group, tag):
        add_to_group(group=each, contact_ids=[amina.pk])
    amina.refresh_from_db()
    before = {field.attname: getattr(amina, field.attname) for field in Contact._meta.concrete_fields}

    assert delete_contacts(client=zuri_ltd, contact_ids=[amina.pk]) == 0
    assert delete_contacts(client=acme, contact_ids=[amina.pk, 999_999]) == 1

    assert not queries.contacts_for(acme).exists()
    assert queries.audience(acme.pk, [group.pk]) == []
    assert not GroupMember.objects.for_client(acme).exists()
    assert [str(each) for each in queries.bin_for(acme, search="712345")] == ["Amina"]
    assert not queries.bin_for(zuri_ltd).exists()
    assert restore_contacts(client=zuri_ltd, binned_ids=bin_ids(acme)) == 0

    assert restore_contacts(client=acme, binned_ids=bin_ids(acme)) == 1
    back = Contact.objects.for_client(acme).get()
    after = {field.attname: getattr(back, field.attname) for field in Contact._meta.concrete_fields}
    assert {name for name in before if before[name] != after[name]} <= {"updated_at"}
    assert set(GroupMember.objects.for_client(acme).values_list("group_id", flat=True)) == {group.pk, tag.pk}
    assert bin_ids(acme) == []


def test_a_number_added_again_is_a_new_contact_which_restoring_fills_in(acme):
    old = person(acme, name="Amina", department="Sales", attributes={"Town": "Thika", "Size": "4"})
    group = create_group(client=acme, name="Staff")
    add_to_group(group=group, contact_ids=[old.pk])
    delete_contacts(client=acme, contact_ids=[old.pk])
    new = person(acme, name="Amina Otieno", attributes={"Town": "Meru"})

    assert new.pk != old.pk
    assert restore_contacts(client=acme, binned_ids=bin_ids(acme)) == 1

    contact = Contact.objects.for_client(acme).get()
    assert (contact.pk, contact.name, contact.department) == (new.pk, "Amina Otieno", "Sales")
    assert contact.attributes == {"Town": "Meru", "Size": "4"}
    assert GroupMember.objects.for_client(acme).get().contact_id == new.pk


def test_one_number_deleted_twice_comes_back_once(acme):
    for name in ("First", "Second"):
        delete_contacts(client=acme, contact_ids=[person(acme, name=name).pk])
    no_phone = create_contact(client=acme, email="zuri@acme.test")
    delete_contacts(client=acme, contact_ids=[no_phone.pk])

    assert restore_contacts(client=acme, binned_ids=bin_ids(acme)) == 3
    assert sorted(str(each) for each in Contact.objects.for_client(acme)) == ["Second", "zuri@acme.test"]


def test_a_group_that_is_gone_meanwhile_is_passed_over_on_the_way_back(acme):
    amina, group = person(acme), create_group(client=acme, name="Staff")
    add_to_group(group=group, contact_ids=[amina.pk])
    delete_contacts(client=acme, contact_ids=[amina.pk])
    delete_group(group=group)

    assert restore_contacts(client=acme, binned_ids=bin_ids(acme)) == 1
    assert not GroupMember.objects.for_client(acme).exists()


def test_thirty_days_in_the_bin_and_not_a_day_less(acme):
    delete_contacts(client=acme, contact_ids=[person(acme).pk, person(acme, "Baraka", "0722000001").pk])
    old = BinnedContact.objects.for_client(acme).get(name="Amina")
    BinnedContact.objects.for_client(acme).filter(pk=old.pk).update(
        deleted_at=timezone.now() - timedelta(days=30, minutes=1)
    )
    BinnedContact.objects.for_client(acme).exclude(pk=old.pk).update(
        deleted_at=timezone.now() - timedelta(days=29, hours=23)
    )

    assert sweep_bin() == 1
    assert [str(each) for each in queries.bin_for(acme)] == ["Baraka"]


def test_a_person_is_erased_from_the_bin_by_number_or_address_and_the_bin_is_emptied(acme):
    delete_contacts(client=acme, contact_ids=[
        person(acme).pk, create_contact(client=acme, email="b@acme.test").pk, person(acme, "C", "0722000001").pk,
    ])  # fmt: skip
    assert erase_from_bin(client=acme, phone="+254712345678", email="B@acme.test") == 2
    assert empty_bin(client=acme) == 1


def test_undoing_an_import_passes_over_what_is_in_the_bin_or_came_back_from_it(acme):
    batch = load(acme, "Name,Phone\nAnn,0712345678\nBen,0722345678\nCat,0732345678\n")
    ids = dict(Contact.objects.for_client(acme).values_list("name", "pk"))
    delete_contacts(client=acme, contact_ids=[ids["Ann"], ids["Ben"]])
    restore_contacts(client=acme, binned_ids=list(queries.bin_for(acme, search="Ann").values_list("pk", flat=True)))

    undo_import(contact_import=batch)
    assert run_undo(import_id=batch.pk)

    assert [str(each) for each in Contact.objects.for_client(acme)] == ["Ann"]


def test_merging_unites_values_groups_consent_opt_outs_and_history(acme):
    consent = Consent.objects.create(client=acme, source="form")
    keep = person(acme, name="", email="amina@acme.test", attributes={"Town": "Thika"})
    other = person(acme, "Amina Otieno", "0722000001", department="Sales", attributes={"Town": "Meru", "Size": "4"})
    Contact.objects.filter(client=acme, pk=other.pk).update(consent=consent)
    keep.refresh_from_db()
    other.refresh_from_db()
    one, two = create_group(client=acme, name="One"), create_tag(client=acme, name="Two")
    add_to_group(group=one, contact_ids=[keep.pk, other.pk])
    add_to_group(group=two, contact_ids=[other.pk])
    record_opt_out(client_id=acme.pk, channel="sms", address=other.phone, source=OptOutSource.STOP, proof="STOP")
    Message.objects.create(client=acme, recipient=other.phone, sender="ACME", text="Habari", created_at=timezone.now())
    take = {"attributes.Town": True}

    plan = plan_merge(keep=keep, other=other, take=take)
    assert Contact.objects.for_client(acme).count() == 2
    assert plan.values == {
        "name": "Amina Otieno", "phone": keep.phone, "email": "amina@acme.test", "department": "Sales",
    }  # fmt: skip
    assert plan.attributes == {"Town": "Meru", "Size": "4"}
    assert plan.groups == ["One", "Two"]

    merged = merge_contacts(keep=keep, other=other, take=take)

    assert Contact.objects.for_client(acme).get() == merged
    assert (merged.pk, merged.name, merged.phone) == (keep.pk, "Amina Otieno", "+254712345678")
    assert (merged.attributes, merged.consent_id) == ({"Town": "Meru", "Size": "4"}, consent.pk)
    assert GroupMember.objects.for_client(acme).filter(contact=merged).count() == 2
    carried = OptOut.objects.for_client(acme).get(address=merged.phone)
    assert carried.source == OptOutSource.STOP
    assert "STOP" in carried.proof
    assert [message.text for message in queries.messages_of(merged)] == ["Habari"]
    assert bin_ids(acme) == []


def test_merging_may_take_the_number_of_the_one_that_goes(acme):
    keep, other = person(acme), person(acme, "Baraka", "0722000001")
    merged = merge_contacts(keep=keep, other=other, take={"phone": True})
    assert (merged.name, merged.phone) == ("Amina", "+254722000001")


def test_a_contact_is_not_merged_with_itself_or_a_strangers(acme, zuri_ltd):
    amina, theirs = person(acme), person(zuri_ltd, "Zuri", "0722000001")
    for other in (amina, theirs):
        with pytest.raises(InvalidInput):
            merge_contacts(keep=amina, other=other, take={})
    assert Contact.objects.for_client(zuri_ltd).exists()
