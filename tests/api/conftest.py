"""Acme, which can send and has KES 10.00, and Zuri's organisation, a stranger to it."""

from decimal import Decimal

import pytest

from crm.opening import open_ready_client
from messaging.services.providers import add_route, connect_provider
from tests.api.caller import Caller
from tests.factories import PASSWORD


@pytest.fixture
def road(db) -> None:
    """A provider that carries SMS everywhere. Nothing is sent in these tests: no worker runs."""
    account = connect_provider(
        name="Carrier", adapter="africastalking", credentials={"username": "sandbox", "api_key": "k"}
    )
    add_route(account=account)


@pytest.fixture
def acme(road) -> Caller:
    return Caller(
        open_ready_client(
            name="Acme",
            email="amina@acme.test",
            password=PASSWORD,
            credit=Decimal(10),
            sender_ids=["HOSPITAL", "Taarifa-SMS"],
        )
    )


@pytest.fixture
def stranger(road) -> Caller:
    return Caller(
        open_ready_client(
            name="Zuri Traders", email="zuri@traders.test", password=PASSWORD, credit=Decimal(10), sender_ids=["ZURI"]
        )
    )
