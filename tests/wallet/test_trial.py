"""New clients begin with free units, once, in an entry of their own."""

from decimal import Decimal

import pytest

from crm.opening import open_ready_client
from wallet.models import LedgerEntry
from wallet.queries import balance_of
from wallet.services import grant_trial_credit

pytestmark = pytest.mark.django_db


def opened(**fields):
    return open_ready_client(name="Acme", email="amina@acme.test", password="kikombe cha chai 7", **fields).client


def test_a_new_client_gets_its_units_once(settings):
    settings.TRIAL_UNITS = 5
    client = opened(price_per_unit=Decimal("0.80"))
    assert balance_of(client.pk).balance == Decimal("4.00")
    entry = LedgerEntry.objects.for_client(client).get()
    assert (entry.kind, entry.reference, entry.description) == ("credit", "trial", "Trial credit: 5 units")
    assert grant_trial_credit(client=client) is None
    assert LedgerEntry.objects.for_client(client).count() == 1


def test_nothing_is_given_by_default_nor_beside_an_opening_balance(settings):
    assert balance_of(opened().pk).balance == 0
    settings.TRIAL_UNITS = 5
    client = open_ready_client(
        name="Zuri", email="zuri@else.test", password="kikombe cha chai 7", credit=Decimal(7)
    ).client
    assert balance_of(client.pk).balance == 7
