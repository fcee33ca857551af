"""Who may open a page. The default is refusal: a view without @page or @public_page fails a test over the URL map."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

View = Callable[..., HttpResponse]

RECENT = 30 * 60  # seconds since the password or passkey was last shown, to open what `recent` pages guard
RECENT_ENOUGH_TO_SUBMIT = 60 * 60  # longer, so that a form opened in time is not lost while it is filled in


def page(permission: str, *, recent: bool = False) -> Callable[[View], View]:
    """A dashboard page for members whose role holds `permission` (accounts/roles.py has the matrix).

    recent: keys, roles, webhooks and money ask for the password or passkey again after a while (GUARANTEES.md A1).

    Nobody signed in: to the sign-in page and back. Signed in without an organisation: to the page that explains it.
    A member without the permission: 403. The view then finds `request.client` and `request.membership` set.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                if request.headers.get("HX-Request"):
                    # Back to the page the person looks at, not to the address of one of its parts.
                    shown = request.htmx.current_url_abs_path or "/"  # type: ignore[attr-defined]
                    return HttpResponse(status=401, headers={"HX-Redirect": redirect_to_login(shown).url})
                return redirect_to_login(request.get_full_path())
            membership = getattr(request, "membership", None)
            if membership is None:
                return redirect("no_organisation")
            if not membership.may(permission):
                raise PermissionDenied(permission)
            if recent:
                check_recent(request)
            return view(request, *args, **kwargs)

        guarded.permission = permission  # type: ignore[attr-defined]
        guarded.recent = recent  # type: ignore[attr-defined]
        return guarded

    return decorate


def check_recent(request: HttpRequest) -> None:
    """Raises ReauthenticationRequired, which leads to the password and back here with what was typed."""
    if not authenticated_within(request, RECENT if request.method == "GET" else RECENT_ENOUGH_TO_SUBMIT):
        raise ReauthenticationRequired


def authenticated_within(request: HttpRequest, seconds: float) -> bool:
    """Whether this session saw the person's password, passkey or code within the last `seconds`."""
    records = get_authentication_records(request, request.user if request.user.is_authenticated else None)
    return any(time.time() - record["at"] < seconds for record in records)


def signed_in_page(view: View) -> View:
    """A page for anybody who signed in, also for those who belong to no organisation (yet)."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return view(request, *args, **kwargs)

    guarded.permission = ""  # type: ignore[attr-defined]
    return guarded


def public_page(view: View) -> View:
    """Marks a page that anybody may open, for the test that walks the URL map."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for the part to swap; a history restore wants the whole page (UX.md §3)."""
    headers = request.headers
    return "HX-Request" in headers and "HX-History-Restore-Request" not in headers
