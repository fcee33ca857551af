"""The cast of the core's tests, and wake-ups that are kept in a list instead of being sent to a broker."""

from collections.abc import Iterator

import pytest

from accounts.models import Client
from crm.common import wake as ground
from messaging import wake
from messaging.models import ProviderAccount
from messaging.sending import transports
from tests.messaging.core import world
from tests.messaging.core.carrier import Carrier


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Every wake-up as (task name, arguments…), in order."""
    sent: list[tuple] = []

    def keep(task: str, *args: object, **options: object) -> bool:
        sent.append((task, *args))
        return True

    monkeypatch.setattr(ground, "send_now", keep)
    monkeypatch.setattr(wake, "send_now", keep)
    return sent


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    server = Carrier()
    yield server
    server.close()


@pytest.fixture
def acme(db: None) -> Client:
    return world.make_sender()


@pytest.fixture
def zuri(db: None) -> Client:
    """The stranger, who must never notice."""
    return world.make_sender("Zuri Traders", sender="ZURI")


@pytest.fixture
def road(db: None) -> ProviderAccount:
    """A road where nobody listens: for tests that record outcomes themselves."""
    return world.make_road()


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is silent for a second has lost our answer."""
    real = transports.Transfers
    monkeypatch.setattr(transports, "Transfers", lambda: real(connect_seconds=1, total_seconds=1))


@pytest.fixture
def books() -> Iterator[None]:
    """After the test all books agree."""
    yield
    world.check_books()
