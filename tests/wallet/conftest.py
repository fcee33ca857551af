"""Acme (Amina's organisation) with KES 100.00, and Zuri's, which must never notice."""

from decimal import Decimal

import pytest

from accounts.models import Client
from wallet.services import credit_wallet, open_wallet


@pytest.fixture
def acme(db) -> Client:
    client = Client.objects.create(name="Acme")
    open_wallet(client=client)
    credit_wallet(client=client, amount=Decimal(100), reference="topup:1")
    return client


@pytest.fixture
def stranger(db) -> Client:
    client = Client.objects.create(name="Zuri Traders")
    credit_wallet(client=client, amount=Decimal(7), reference="topup:1")
    return client
