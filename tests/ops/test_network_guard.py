"""The guard of the tests itself: it must be able to fail them."""

import socket
import threading
from collections.abc import Iterator

import pytest
from django.db import transaction

from crm.common.transfers import Transfers
from tests import network_guard
from tests.network_guard import NetworkClosed


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.fixture(autouse=True)
def _forgive(_closed_network) -> Iterator[None]:
    """These breaches are wanted."""
    yield
    network_guard.breaches.clear()


def test_this_machine_may_be_reached(listener) -> None:
    socket.create_connection(listener, timeout=2).close()
    assert network_guard.breaches == []


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 443), ("10.0.0.1", 5432)])
def test_other_hosts_may_not(address) -> None:
    with pytest.raises(NetworkClosed, match="only reach this machine"):
        socket.create_connection(address, timeout=0.1)


def test_names_are_not_looked_up() -> None:
    with pytest.raises(NetworkClosed, match=r"look-up of example\.com"):
        socket.create_connection(("example.com", 80), timeout=0.1)


def test_a_breach_in_a_thread_that_swallowed_it_is_kept() -> None:
    def reach_out() -> None:
        try:
            socket.create_connection(("192.0.2.1", 80), timeout=0.1)
        except BaseException:
            return

    thread = threading.Thread(target=reach_out)
    thread.start()
    thread.join()
    assert network_guard.breaches == ["a connection to 192.0.2.1:80: tests may only reach this machine"]


@pytest.mark.django_db
def test_M8_no_socket_inside_a_transaction_of_the_code_under_test(listener) -> None:
    socket.create_connection(listener, timeout=2).close()  # the test's own transaction does not count
    with transaction.atomic(), pytest.raises(NetworkClosed, match="inside a transaction"):
        socket.create_connection(listener, timeout=2)
    with transaction.atomic():
        pass
    socket.create_connection(listener, timeout=2).close()


@pytest.mark.django_db
def test_M8_libcurl_is_watched_too(listener) -> None:
    url = f"http://{listener[0]}:{listener[1]}/"
    with transaction.atomic():
        assert _ends(url).kind == "unsent"
    assert network_guard.breaches == [f"a connection to {listener[0]}:{listener[1]} inside a transaction (M8)"]
    network_guard.breaches.clear()
    assert _ends("http://192.0.2.1/").kind == "unsent"
    assert network_guard.breaches == ["a connection to 192.0.2.1:80: tests may only reach this machine"]


def _ends(url: str):
    transfers = Transfers(total_seconds=2)
    transfers.start("tag", "GET", url, (), b"")
    while True:
        for _, ended in transfers.ended():
            transfers.close()
            return ended
        transfers.wait(0.1)
