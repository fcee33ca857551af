"""Whether whoever acts may change something of a client: asked by the services themselves, after the page asked (T3).

Costs no query: the request has loaded its membership. A program was asked for the scope of its key at its door, and
staff for their permissions at theirs; what runs outside a request, or where nobody signs in (a callback, a person's own
opt-out page), is the system.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from accounts.errors import NotAllowed
from accounts.models import Client
from accounts.roles import PERMISSIONS
from crm.common.acting import acting_request

_P = ParamSpec("_P")
_R = TypeVar("_R")

BY_OTHER_MEANS = ("/api/", "/console/", "/callbacks/")  # keys and tokens speak there, whatever cookie is sent along


def require(client: Client | int, *permissions: str) -> None:
    """Raises: NotAllowed, where a signed-in person acts who holds none of these permissions in this organisation."""
    request = acting_request()
    if request is None or request.path.startswith(BY_OTHER_MEANS):
        return
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return
    if user.is_staff and request.path.startswith("/staff/"):
        return
    membership = getattr(request, "membership", None)
    client_id = client.pk if isinstance(client, Client) else client
    if membership is None or membership.client_id != client_id or not any(map(membership.may, permissions)):
        raise NotAllowed(needed=_least(permissions))


def _least(permissions: tuple[str, ...]) -> str:
    """The role with the fewest permissions that holds one of these."""
    able = [role for role, held in PERMISSIONS.items() if held & set(permissions)]
    return min(able, key=lambda role: len(PERMISSIONS[role]), default="")


def needs(*permissions: str, of: str = "client") -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """`require` at the top of a service. of: the keyword that names the client, its id, or a row that belongs to it."""

    def decorate(service: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(service)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            require(_owner(kwargs[of]), *permissions)
            return service(*args, **kwargs)

        guarded.needs, guarded.of = permissions, of  # type: ignore[attr-defined]
        return guarded

    return decorate


def _owner(found: Any) -> Client | int:
    return found if isinstance(found, Client | int) else found.client_id
