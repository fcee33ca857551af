"""Amina's Acme and Zuri's organisation, each with KES 1,000, and a road for SMS on which nobody listens."""

from decimal import Decimal

import pytest

from crm.opening import open_ready_client
from messaging.models import ProviderAccount
from messaging.services.providers import add_route, connect_provider
from tests.factories import PASSWORD
from tests.messaging.dialects.cast import Program


@pytest.fixture
def road(db) -> ProviderAccount:
    account = connect_provider(
        name="Carrier", adapter="africastalking", credentials={"username": "sandbox", "api_key": "k"}
    )
    add_route(account=account)
    return account


@pytest.fixture
def acme(road) -> Program:
    return Program(
        open_ready_client(
            name="Acme", email="amina@acme.test", password=PASSWORD, credit=Decimal(1000),
            sender_ids=["Taarifa-SMS", "HOSPITAL"],
        )
    )  # fmt: skip


@pytest.fixture
def stranger(road) -> Program:
    return Program(
        open_ready_client(
            name="Zuri Traders", email="zuri@traders.test", password=PASSWORD, credit=Decimal(1000),
            sender_ids=["ZURI"],
        )
    )  # fmt: skip
