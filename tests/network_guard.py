"""The closed network of the tests: sockets go to this machine or to the servers the tests were given, nowhere else,
and never while the code under test holds a transaction open (GUARANTEES.md M8).

Python's sockets are watched by patching them; libcurl opens its own and asks `allows`, which
crm.common.transfers.socket_guard is set to. A breach is raised where it happens and, since code may
rightly swallow errors of the network or run in a thread, kept in `breaches`, which fails the test at its end.
"""

import ipaddress
import os
import socket
from typing import Any
from urllib.parse import urlsplit

from django.db import connections

from crm.common import transfers

breaches: list[str] = []


class NetworkClosed(BaseException):
    """A test reached for the network. No subclass of Exception: code that survives a bad network must not hide it."""


def _server(name: str) -> tuple[str, int] | None:
    parts = urlsplit(os.environ.get(name, ""))
    return (parts.hostname, parts.port or 0) if parts.hostname else None


SERVERS = {server for name in ("DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL") if (server := _server(name))}


def in_transaction_of_code() -> bool:
    """Whether this thread is inside `atomic`, apart from the transaction that wraps each test."""
    return any(
        not getattr(block, "_from_testcase", False)
        for connection in connections.all(initialized_only=True)
        for block in connection.atomic_blocks
    )


def fault_of(address: Any) -> str:
    """What is wrong with connecting to `address` (host, port) now; empty when nothing is."""
    host, port = str(address[0]), int(address[1])
    if (host, port) in SERVERS or _is_server_by_address(host, port):
        return ""
    if not _is_loopback(host):
        return f"a connection to {host}:{port}: tests may only reach this machine"
    if in_transaction_of_code():
        return f"a connection to {host}:{port} inside a transaction (M8)"
    return ""


def check(address: Any) -> None:
    """Raises NetworkClosed, and keeps the breach, where `address` may not be connected to now."""
    if fault := fault_of(address):
        breaches.append(fault)
        raise NetworkClosed(fault)


def allows(address: Any) -> bool:
    """Whether libcurl may open a socket to `address` now. It answers instead of raising: C would drop the exception."""
    if fault := fault_of(address):
        breaches.append(fault)
        return False
    return True


def _is_loopback(host: str) -> bool:
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_server_by_address(host: str, port: int) -> bool:
    """A database, broker or cache given by name is dialled by its address."""
    return any(port == its_port and host in _addresses(name) for name, its_port in SERVERS)


def _addresses(name: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in _real_getaddrinfo(name, None)}
    except OSError:
        return set()


_real_connect = socket.socket.connect
_real_connect_ex = socket.socket.connect_ex
_real_getaddrinfo = socket.getaddrinfo


def _connect(self: socket.socket, address: Any) -> None:
    if self.family != socket.AF_UNIX:
        check(address)
    return _real_connect(self, address)


def _connect_ex(self: socket.socket, address: Any) -> int:
    if self.family != socket.AF_UNIX:
        check(address)
    return _real_connect_ex(self, address)


def _getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if name and not _is_literal(name) and name not in {"localhost", *(server for server, _ in SERVERS)}:
        breaches.append(f"a look-up of {name}: tests may only reach this machine")
        raise NetworkClosed(breaches[-1])
    return _real_getaddrinfo(host, *args, **kwargs)


def _is_literal(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def close_network() -> None:
    """From now on, for the whole process."""
    socket.socket.connect = _connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = _getaddrinfo
    transfers.socket_guard = allows
