"""Groups by rule: each condition, all or any, and that campaigns reach exactly who meets them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from contacts import queries, rules
from contacts.errors import GroupExists
from contacts.models import Contact, FieldKind, Group, OptOutSource
from contacts.services import (
    add_to_group,
    change_rule,
    create_contact,
    create_field,
    create_group,
    create_rule_group,
    create_tag,
    delete_group,
    ensure_tags,
    record_opt_out,
    remove_from_group,
)
from crm.common.errors import InvalidInput, WrongState
from messaging.models import Message

from .conftest import load

pytestmark = pytest.mark.django_db


@pytest.fixture
def book(acme):
    """Four people of Acme by first name; Zuri's book is a stranger's."""
    create_field(client=acme, key="Balance", kind=FieldKind.NUMBER)
    create_field(client=acme, key="Due", kind=FieldKind.DATE)
    create_field(client=acme, key="Town")
    today = timezone.now().date()
    soon, lately = ((today + timedelta(days=days)).isoformat() for days in (3, -3))
    rows = [
        ("Amina", "0712345678", "Sales", {"Balance": "1500.5", "Due": soon, "Town": "Thika"}),
        ("Baraka", "0733345678", "Sales", {"Balance": "90", "Due": lately}),
        ("Chausiku", "+255754123456", "", {"Balance": "-5", "Town": "thika"}),
        ("Dalila", "", "Support", {}),
    ]  # fmt: skip
    return {
        name: create_contact(
            client=acme, name=name, phone=phone, email="" if phone else "dalila@acme.test", department=department,
            attributes=own,
        )
        for name, phone, department, own in rows
    }  # fmt: skip


def found(client, *conditions, match="all") -> str:
    """The initials of who meets the conditions, each "field op value"."""
    asked = [dict(zip(("field", "op", "value"), each, strict=False)) for each in conditions]
    rule = rules.read_rule(client, match, asked)
    return "".join(sorted(contact.name[0] for contact in rules.matching(client, rule)))


@pytest.mark.parametrize(
    ("condition", "initials"),
    [
        (("name", "contains", "A"), "ABCD"), (("name", "is", "amina"), "A"), (("name", "is_not", "amina"), "BCD"),
        (("department", "is", "sales"), "AB"), (("department", "empty"), "C"), (("department", "filled"), "ABD"),
        (("email", "filled"), "D"), (("email", "contains", "acme.test"), "D"),
        (("own:Balance", "is", "1500,50"), "A"), (("own:Balance", "at_least", "90"), "AB"),
        (("own:Balance", "at_most", "90"), "BC"), (("own:Balance", "empty"), "D"), (("own:Balance", "filled"), "ABC"),
        (("own:Due", "next_days", "5"), "A"), (("own:Due", "last_days", "5"), "B"), (("own:Due", "next_days", "2"), ""),
        (("own:Due", "before", "2001-01-01"), ""), (("own:Due", "since", "1/1/2001"), "AB"),
        (("own:Town", "is", "THIKA"), "AC"), (("own:Town", "is_not", "Thika"), "BD"),
        (("own:Town", "contains", "hik"), "AC"),
        (("country", "is", "ke"), "AB"), (("country", "is_not", "KE"), "CD"),
        (("network", "is", "safaricom"), "A"), (("network", "is", "Airtel"), "B"),
        (("network", "is_not", "Vodacom"), "ABD"),
        (("added", "last_days", "1"), "ABCD"), (("added", "before", "2020-01-01"), ""),
        (("added", "since", "2020-01-01"), "ABCD"),
        (("consent", "empty"), "ABCD"), (("consent", "filled"), ""), (("consent", "is", "form"), ""),
        (("opted_out", "filled"), ""), (("opted_out", "empty"), "ABCD"),
        (("messaged", "never"), "ABCD"), (("messaged", "last_days", "9"), ""),
        (("messaged", "not_last_days", "9"), "ABCD"),
    ],
)  # fmt: skip
def test_each_condition_finds_who_meets_it(acme, book, condition, initials):
    assert found(acme, condition) == initials


def test_conditions_on_tags_groups_opt_outs_messages_consent_and_files(acme, book):
    vip, staff = create_tag(client=acme, name="VIP"), create_group(client=acme, name="Staff")
    add_to_group(group=vip, contact_ids=[book["Amina"].pk, book["Dalila"].pk])
    add_to_group(group=staff, contact_ids=[book["Amina"].pk])
    record_opt_out(client_id=acme.pk, channel="sms", address=book["Baraka"].phone, source=OptOutSource.STOP)
    for days, contact in ((2, book["Amina"]), (40, book["Chausiku"])):
        moment = timezone.now() - timedelta(days=days)
        Message.objects.create(
            client=acme, recipient=contact.phone, sender="ACME", text="Habari", status="sent", created_at=moment
        )
    batch = load(acme, "Name,Phone\nEsi,0722000001\n", consent_source="form")

    assert found(acme, ("tag", "in", "vip")) == "AD"
    assert found(acme, ("tag", "not_in", str(vip.pk))) == "BCE"
    assert found(acme, ("tag", "in", "VIP"), ("group", "not_in", "staff")) == "D"
    assert found(acme, ("tag", "in", "VIP"), ("country", "is", "TZ"), match="any") == "ACD"
    assert found(acme, ("opted_out", "filled")) == "B"
    assert found(acme, ("messaged", "last_days", "9")) == "A"
    assert found(acme, ("messaged", "not_last_days", "9")) == "BCDE"
    assert found(acme, ("messaged", "never")) == "BDE"
    assert found(acme, ("consent", "is", "form")) == "E"
    assert found(acme, ("import", "in", str(batch.pk))) == "E"


def test_words_left_in_a_field_that_became_a_number_or_a_date_match_no_number_and_no_day(acme, book):
    Contact.objects.for_client(acme).filter(name="Dalila").update(attributes={"Balance": "a lot", "Due": "soon"})

    assert found(acme, ("own:Balance", "at_least", "-100")) == "ABC"
    assert found(acme, ("own:Due", "since", "1900-01-01")) == "AB"


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (("shoe_size", "is", "44"), "Condition 1: choose what is asked."),
        (("name", "at_least", "4"), "Condition 1: choose what is asked."),
        (("name", "contains", " "), "Condition 1: fill in the value."),
        (("tag", "in", "Nobody"), "Condition 1: there is no tag “Nobody”."),
        (("network", "is", "Nokia"), "Condition 1: we know these networks"),
        (("country", "is", "Atlantis"), "Condition 1: give a country by its two letters"),
        (("own:Balance", "is", "much"), "Condition 1: This is not a number."),
        (("own:Due", "before", "31/02/2026"), "Condition 1: There is no such day"),
        (("messaged", "last_days", "-4"), "Condition 1: give a number of days"),
    ],
)
def test_a_condition_that_means_nothing_is_refused_by_its_number(acme, book, condition, sentence):
    with pytest.raises(InvalidInput) as refusal:
        found(acme, condition)
    assert refusal.value.errors["rule"][0].startswith(sentence)


def test_another_clients_tag_is_no_tag(acme, zuri_ltd, book):
    theirs = create_tag(client=zuri_ltd, name="VIP")
    with pytest.raises(InvalidInput):
        found(acme, ("tag", "in", str(theirs.pk)))


def rule_group(client, name, *conditions, match="all") -> Group:
    asked = [dict(zip(("field", "op", "value"), each, strict=False)) for each in conditions]
    return create_rule_group(client=client, name=name, match=match, conditions=asked)


def test_a_group_by_rule_is_an_audience_and_an_exclusion_like_a_fixed_one(acme, book):
    sales = rule_group(acme, "Sales", ("department", "is", "Sales"))
    thika = rule_group(acme, "Thika", ("own:Town", "is", "Thika"))
    fixed = create_group(client=acme, name="Fixed")
    add_to_group(group=fixed, contact_ids=[book["Amina"].pk, book["Dalila"].pk])

    def names(groups, **more):
        walked = queries.audience(acme.pk, [group.pk for group in groups], **more)
        assert queries.audience_size(
            acme.pk, [group.pk for group in groups], sender=more.get("sender", ""), without=more.get("without", ())
        ) == len(walked)
        windows, after = [], 0
        while after is not None:
            after, rows = queries.audience_window(
                acme.pk, [group.pk for group in groups], after_id=after, size=2, **more
            )
            windows += rows
        assert windows == walked
        return "".join(row[2][0] for row in walked)

    assert names([sales]) == "AB"
    assert names([sales, fixed, thika]) == "ABC"
    assert names([sales, thika], without=[fixed.pk]) == "BC"
    assert names([fixed, thika], without=[sales.pk]) == "C"
    record_opt_out(client_id=acme.pk, channel="sms", address=book["Baraka"].phone, source=OptOutSource.STOP)
    assert names([sales]) == "A"
    first = queries.audience(acme.pk, [sales.pk, thika.pk], limit=1)
    assert [row[2] for row in first] == ["Amina"]
    assert [row[2] for row in queries.audience(acme.pk, [sales.pk, thika.pk], after_id=first[0][0])] == ["Chausiku"]
    assert queries.members_of(acme.pk, [sales.pk, fixed.pk]).count() == 3
    listed = queries.people_by_address(acme.pk, [book["Amina"].phone, "+254700000009"], outside=[sales.pk])
    assert [row[1] for row in listed] == ["+254700000009"]
    listed = queries.people_by_address(acme.pk, [book["Amina"].phone, "+254700000009"], without=[fixed.pk])
    assert [row[1] for row in listed] == ["+254700000009"]


def test_the_count_of_a_group_by_rule_is_live(acme, book, django_assert_num_queries):
    group = rule_group(acme, "Sales", ("department", "is", "Sales"))
    create_group(client=acme, name="Empty")

    def sizes():
        return {each.name: each.size for each in queries.groups_with_counts(acme)}

    assert sizes() == {"Empty": 0, "Sales": 2}
    create_contact(client=acme, phone="0722000009", department="sales")
    assert sizes() == {"Empty": 0, "Sales": 3}
    change_rule(group=group, name="Kenya", match="all", conditions=[{"field": "country", "op": "is", "value": "KE"}])
    assert sizes() == {"Empty": 0, "Kenya": 3}
    with django_assert_num_queries(3):  # the rules, the client's fields, the list
        sizes()


def test_nobody_is_put_into_a_group_by_rule_or_taken_out(acme, book):
    group = rule_group(acme, "Sales", ("department", "is", "Sales"))
    for act in (add_to_group, remove_from_group):
        with pytest.raises(InvalidInput, match="fills itself"):
            act(group=group, contact_ids=[book["Dalila"].pk])
    with pytest.raises(WrongState):
        change_rule(group=create_group(client=acme, name="Fixed"), name="Fixed", match="all", conditions=[])


def test_a_set_that_a_rule_asks_about_is_not_deleted_under_it(acme, book):
    vip = create_tag(client=acme, name="VIP")
    group = rule_group(acme, "Important", ("tag", "in", "VIP"))
    with pytest.raises(WrongState, match="Important"):
        delete_group(group=vip)
    delete_group(group=group)
    delete_group(group=vip)


def test_a_tag_and_a_group_may_share_a_name_and_tags_are_made_once(acme):
    create_group(client=acme, name="Parents")
    tag = create_tag(client=acme, name="parents")
    assert [each.pk for each in ensure_tags(client=acme, names=["PARENTS", "New", "new"])] == [
        tag.pk, Group.objects.for_client(acme).get(name="New").pk,
    ]  # fmt: skip
    with pytest.raises(GroupExists, match="tag"):
        create_tag(client=acme, name="Parents")


def test_a_rule_is_told_in_words(acme, book):
    create_tag(client=acme, name="VIP")
    group = rule_group(acme, "G", ("tag", "in", "VIP"), ("own:Balance", "at_least", "10"), ("messaged", "never"))
    assert rules.describe(acme, group.rule) == [
        "Tag has the tag VIP", "Balance is at least 10", "Last message there was none yet",
    ]  # fmt: skip
