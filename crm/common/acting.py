"""Who acts now, from where, in which request: for the audit log and log lines. Outside a request it is the system.

A context variable: the middleware opens it for a web request, authentication of an API key names the key, and whatever
runs in a worker or a command finds nobody.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from django.http import HttpRequest

from crm.common.addresses import client_address

_LONGEST_NAME = 254


@dataclass(frozen=True, slots=True)
class Actor:
    """kind: user, key or system. id: of the person or key, None for the system. address: "" where unknown."""

    kind: str = "system"
    id: int | None = None
    name: str = "system"
    address: str = ""
    request_id: str = ""


class _Request:
    """What is known of the request at hand. The person is asked for only when somebody wants to know."""

    __slots__ = ("key", "request", "request_id")

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.request_id = token_hex(8)
        self.key: Any = None


_current: ContextVar[_Request | Actor | None] = ContextVar("acting", default=None)


@contextmanager
def request_acts(request: HttpRequest) -> Iterator[str]:
    """What happens inside is done by whoever sent `request`; gives the id of the request."""
    acting = _Request(request)
    token = _current.set(acting)
    try:
        yield acting.request_id
    finally:
        _current.reset(token)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """What happens inside is done by `actor`: a worker that carries out what a person asked for."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)


def key_acts(key: Any) -> None:
    """The request at hand carries this API key (anything with pk, name and prefix). Without a request: nothing."""
    acting = _current.get()
    if isinstance(acting, _Request):
        acting.key = key


def acting_request() -> HttpRequest | None:
    """The request of a person at hand; None for programs with a key, and outside a request."""
    acting = _current.get()
    return acting.request if isinstance(acting, _Request) and acting.key is None else None


def current_request_id() -> str:
    """The id of the request at hand, "" outside one."""
    acting = _current.get()
    return acting.request_id if acting else ""


def current_ids() -> dict[str, Any]:
    """What is known of the request at hand without asking the database: `request`, and maybe `client` and `key`."""
    acting = _current.get()
    if not isinstance(acting, _Request):
        return {"request": acting.request_id} if acting and acting.request_id else {}
    found: dict[str, Any] = {"request": acting.request_id}
    client = getattr(acting.request, "client", None)
    if acting.key is not None:
        found |= {"client": acting.key.client_id, "key": acting.key.pk}
    elif client is not None:
        found["client"] = client.pk
    return found


def current_actor() -> Actor:
    """Who acts now."""
    acting = _current.get()
    if acting is None:
        return Actor()
    if isinstance(acting, Actor):
        return acting
    where: dict[str, Any] = {"address": client_address(acting.request), "request_id": acting.request_id}
    if acting.key is not None:
        name = f"{acting.key.name} ({acting.key.prefix}…)"
        return Actor("key", acting.key.pk, name[:_LONGEST_NAME], **where)
    user = getattr(acting.request, "user", None)
    if user is not None and user.is_authenticated:
        return Actor("user", user.pk, user.get_username()[:_LONGEST_NAME], **where)
    return Actor(**where)
