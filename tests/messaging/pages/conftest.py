"""Amina's Acme with a provider, money, a sender ID, and a group of five people, one of whom opted out."""

import pytest
from django.test import Client as Browser

from accounts.models import Client
from contacts import services as contacts
from contacts.models import Contact, Group, GroupMember
from messaging.models import Campaign
from messaging.services.campaigns import save_draft
from messaging.services.providers import add_route, connect_provider
from messaging.views import reviewing
from tests.web.conftest import acme, add_member, browser, sign_in, stranger  # noqa: F401 - the cast

FRAGMENT = {"HX-Request": "true"}
PEOPLE = ("Amina Wanjiru", "Baraka Otieno", "Aïssatou", "", "Juma Ali")


def fill_group(client: Client, name: str, people: int, *, start: int = 0) -> Group:
    """A group of `people` contacts, +254712000000 and on, without a query per contact."""
    group = contacts.create_group(client=client, name=name)
    rows = [
        Contact(client=client, phone=f"+254712{start + number:06d}", name=PEOPLE[number % len(PEOPLE)])
        for number in range(people)
    ]
    Contact.objects.bulk_create(rows)
    GroupMember.objects.bulk_create(GroupMember(client=client, group=group, contact=row) for row in rows)
    return group


@pytest.fixture(autouse=True)
def no_hold(monkeypatch) -> None:
    """What is confirmed starts at once; test_when.py has the ten seconds."""
    monkeypatch.setattr(reviewing, "HOLD_SECONDS", 0)


@pytest.fixture
def provider(db):
    account = connect_provider(
        name="Main", adapter="africastalking", credentials={"username": "acme", "api_key": "k" * 20}
    )
    add_route(account=account)
    return account


@pytest.fixture
def parents(acme, provider) -> Group:  # noqa: F811
    group = fill_group(acme, "Parents", 5)
    contacts.record_opt_out(client_id=acme.pk, channel="sms", address="+254712000004", source="staff")
    return group


@pytest.fixture
def draft(acme, parents) -> Campaign:  # noqa: F811
    """Four people can be reached: three cost one unit, Aïssatou's name makes it Unicode."""
    return save_draft(
        client=acme,
        by=None,
        name="Karibu",
        text="Habari {first_name|mzazi}, shule inafunguliwa Jumatatu saa mbili asubuhi. Karibu sana, asante.",
        group_ids=[parents.pk],
        sender="HOSPITAL",
    )


@pytest.fixture
def viewer(acme) -> Browser:  # noqa: F811
    return add_member(acme, "viewer")
