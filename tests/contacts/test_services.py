"""Contacts, groups and opt-outs by the services, and what others ask of the book."""

import pytest

from contacts import queries
from contacts.errors import ContactExists, GroupExists
from contacts.models import Channel, Contact, Group, OptOut
from contacts.services import (
    add_to_group,
    create_contact,
    create_group,
    delete_contacts,
    delete_group,
    record_opt_out,
    remove_from_group,
    remove_opt_out,
    rename_group,
    update_contact,
)
from crm.common.errors import InvalidInput

pytestmark = pytest.mark.django_db


def test_a_contact_is_kept_in_one_spelling(acme):
    contact = create_contact(client=acme, phone="0712 345 678", email="Ann@Example.COM", name="  Ann   Otieno ",
                             attributes={"Fee due": 500, "": "x", "name": "clash", "none": None})  # fmt: skip

    assert (contact.phone, contact.email, contact.name) == ("+254712345678", "ann@example.com", "Ann Otieno")
    assert contact.attributes == {"Fee due": "500", "Column 2": "x", "name 2": "clash"}


def test_refused_contacts_leave_nothing(acme):
    with pytest.raises(InvalidInput) as refusal:
        create_contact(client=acme, phone="12", email="nobody", name="x" * 201)
    assert set(refusal.value.errors) == {"phone", "email", "name"}
    with pytest.raises(InvalidInput, match="Give a phone number"):
        create_contact(client=acme, name="Ann")
    assert not Contact.objects.for_client(acme).exists()


def test_a_number_is_in_a_book_once(acme, zuri_ltd):
    ann = create_contact(client=acme, phone="0712345678")
    create_contact(client=zuri_ltd, phone="0712345678")
    with pytest.raises(ContactExists) as refusal:
        create_contact(client=acme, phone="+254712345678")
    assert refusal.value.facts == {"contact_id": ann.pk}

    ben = create_contact(client=acme, phone="0712345679")
    with pytest.raises(ContactExists):
        update_contact(contact=ben, phone="0712345678")
    ben.refresh_from_db()
    assert ben.phone == "+254712345679"


def test_groups(acme, zuri_ltd):
    group = create_group(client=acme, name=" Parents ")
    with pytest.raises(GroupExists):
        create_group(client=acme, name="PARENTS")
    create_group(client=zuri_ltd, name="Parents")
    ours = [create_contact(client=acme, phone=f"071234567{n}") for n in range(3)]
    theirs = create_contact(client=zuri_ltd, phone="0712345670")

    assert add_to_group(group=group, contact_ids=[c.pk for c in [*ours, theirs]]) == 3
    assert add_to_group(group=group, contact_ids=[ours[0].pk]) == 0
    assert [(g.name, g.size) for g in queries.groups_with_counts(acme)] == [("Parents", 3)]
    assert remove_from_group(group=group, contact_ids=[ours[0].pk, theirs.pk]) == 1
    rename_group(group=group, name="Guardians")
    assert delete_contacts(client=acme, contact_ids=[ours[1].pk, theirs.pk]) == 1
    assert queries.groups_with_counts(acme).get().size == 1
    delete_group(group=group)
    assert Contact.objects.for_client(acme).count() == 2
    assert not Group.objects.for_client(acme).exists()


def walk(client, groups, **asked):
    """The names of a whole audience, window by window."""
    found, after = [], 0
    while after is not None:
        after, rows = queries.audience_window(client.pk, groups, after_id=after, **asked)
        found += [row[2] for row in rows]
    return found


def test_audience_has_each_reachable_contact_once(acme, zuri_ltd):
    one, two = create_group(client=acme, name="One"), create_group(client=acme, name="Two")
    people = [create_contact(client=acme, phone=f"071234567{n}", name=f"P{n}") for n in range(6)]
    mail = create_contact(client=acme, email="only@example.com")
    add_to_group(group=one, contact_ids=[p.pk for p in [*people[:4], mail]])
    add_to_group(group=two, contact_ids=[p.pk for p in people[2:]])
    record_opt_out(client_id=acme.pk, channel="sms", address=people[0].phone, source="stop")
    record_opt_out(client_id=acme.pk, channel="sms", address=people[1].phone, sender="SHOP", source="stop")
    record_opt_out(client_id=zuri_ltd.pk, channel="sms", address=people[2].phone, source="stop")
    groups = [one.pk, two.pk]

    def names(sender, limit):
        found, after = [], 0
        while rows := queries.audience(acme.pk, groups, sender=sender, after_id=after, limit=limit):
            assert len(rows) <= limit
            found += [row[2] for row in rows]
            after = rows[-1][0]
        return found

    assert names("SHOP", 2) == names("SHOP", 100) == ["P2", "P3", "P4", "P5"]
    assert names("OTHER", 3) == ["P1", "P2", "P3", "P4", "P5"]
    assert walk(acme, groups, sender="SHOP", size=1) == walk(acme, groups, sender="SHOP", size=100) == names("SHOP", 9)
    assert walk(acme, groups, sender="OTHER", size=2) == names("OTHER", 3)
    assert walk(acme, groups, sender="SHOP", size=2, until=people[4].pk) == ["P2", "P3", "P4"]
    assert walk(acme, groups, sender="SHOP", size=2, without=[two.pk]) == []
    assert walk(acme, groups, size=2, channel="email") == [""]
    assert walk(zuri_ltd, groups) == walk(acme, []) == []
    assert queries.audience_size(acme.pk, groups, sender="SHOP") == 4
    assert queries.audience_size(acme.pk, [one.pk], sender="OTHER") == 3
    assert queries.audience(acme.pk, [one.pk], limit=1)[0] == (people[1].pk, "+254712345671", "P1", "", "", {})
    assert queries.audience(zuri_ltd.pk, groups) == []
    assert queries.audience(acme.pk, []) == []
    assert queries.audience_size(acme.pk, []) == 0


def test_opted_out_among_many_in_one_query(acme, zuri_ltd, django_assert_num_queries):
    record_opt_out(client_id=acme.pk, channel="sms", address="+254712345678", source="stop")
    record_opt_out(client_id=zuri_ltd.pk, channel="sms", address="+254712345679", sender="ZURI", source="api")
    rows = [(c.pk, f"+25471234567{n}", s) for c in (acme, zuri_ltd) for n in range(10) for s in ("ZURI", "X")]

    with django_assert_num_queries(1):
        out = queries.opted_out_among(Channel.SMS, rows)

    assert out == {
        (acme.pk, "+254712345678", "ZURI"), (acme.pk, "+254712345678", "X"), (zuri_ltd.pk, "+254712345679", "ZURI"),
    }  # fmt: skip
    assert queries.opted_out_among(Channel.WHATSAPP, rows) == set()
    assert queries.opted_out_among(Channel.SMS, []) == set()


def test_opt_out_twice_is_one(acme):
    given = {"client_id": acme.pk, "channel": "email", "address": "Ann@Example.com"}
    assert record_opt_out(**given, source="stop")
    assert not record_opt_out(**given, source="staff")
    assert OptOut.objects.for_client(acme).get().address == "ann@example.com"
    assert queries.opted_out_among("email", [(acme.pk, "ANN@example.com", "")]) == {(acme.pk, "ANN@example.com", "")}
    assert remove_opt_out(**given)
    assert not remove_opt_out(**given)


@pytest.mark.parametrize("search", ["otieno", "0712345678", "+254 712 345", "345678", "ann@", "Sales"])
def test_search_finds_by_any_part(acme, zuri_ltd, search):
    for client in (acme, zuri_ltd):
        create_contact(client=client, phone="0712345678", name="Ann Otieno", email="ann@x.test", department="Sales")
    create_contact(client=acme, phone="0733000000", name="Ben")

    assert [c.name for c in queries.contacts_for(acme, search=search)] == ["Ann Otieno"]
    assert [c.client_id for c in queries.contacts_for(acme, search=search)] == [acme.pk]
