"""Around every request: who acts (crm/common/acting.py), for which organisation, and in which language."""

import time
from collections.abc import Callable

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import translation
from django.utils.cache import patch_vary_headers

from accounts.errors import NotAllowed
from accounts.models import Membership
from crm.common.acting import request_acts

SESSION_KEY = "client_id"
_NOBODY_SIGNS_IN = ("/api/", "/console/", "/static/", "/callbacks/")


class ActingMiddleware:
    """What happens in a request is done by whoever sent it; sets `request.request_id`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with request_acts(request) as request.request_id:  # type: ignore[attr-defined]
            return self.get_response(request)


class CurrentClientMiddleware:
    """Sets `request.client` and `request.membership`: which organisation the signed-in person acts for.

    One query for a signed-in person, none for others. The switcher stores the choice in the session; without one,
    or when that membership has ended, the oldest membership holds."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.membership = None  # type: ignore[attr-defined]
        request.client = None  # type: ignore[attr-defined]
        if not request.path.startswith(_NOBODY_SIGNS_IN) and request.user.is_authenticated:
            memberships = list(Membership.objects.filter(user=request.user).select_related("client"))
            chosen = request.session.get(SESSION_KEY)
            membership = next(
                (m for m in memberships if m.client_id == chosen), memberships[0] if memberships else None
            )
            request.memberships = memberships  # type: ignore[attr-defined]
            if membership:
                membership.user = request.user  # type: ignore[assignment]
                request.membership = membership  # type: ignore[attr-defined]
                request.client = membership.client  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A service that refused the acting person, where the page had not: the same page as by the page itself."""
        if isinstance(exception, NotAllowed) and not request.path.startswith(_NOBODY_SIGNS_IN):
            raise PermissionDenied from exception
        return None


class LanguageMiddleware:
    """The language of a page: the person's own, else the one chosen in this browser, else what the browser asks for.

    Programs and providers are always answered in English: their contracts fix the words.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(_NOBODY_SIGNS_IN):
            with translation.override("en"):
                return self.get_response(request)
        language = getattr(request.user, "language", "") or translation.get_language_from_request(request)
        with translation.override(language):
            request.LANGUAGE_CODE = translation.get_language()
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        if not request.user.is_authenticated:
            patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response


class SessionMiddleware:
    """Ends a session that was idle or old for too long (GUARANTEES.md A1), and asks for a second step where one is due.

    Times are kept in the session, at most once a minute. Staff: 30 minutes idle and 12 hours in all, and a second step
    where STAFF_SECOND_FACTOR says so; members: 12 hours and 14 days, and a second step where the organisation asks it.
    """

    _WITHOUT_SECOND_FACTOR = (
        "/app/settings/security",
        "/security/",
        "/logout",
        "/language",
        "/theme",
        "/static/",
        "/docs",
    )
    _EVERY = 60  # seconds between two notes of the last visit

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.second_factor_wanted = ""  # type: ignore[attr-defined]
        if not request.path.startswith(_NOBODY_SIGNS_IN) and request.user.is_authenticated:
            if self._is_over(request):
                logout(request)
            else:
                request.second_factor_wanted = self._wanted_by(request)  # type: ignore[attr-defined]
                barred = request.second_factor_wanted and not request.path.startswith(self._WITHOUT_SECOND_FACTOR)  # type: ignore[attr-defined]
                if barred and request.path != "/" and not is_mfa_enabled(request.user):
                    return redirect("security")
                response = self.get_response(request)
                response.headers.setdefault("Cache-Control", "private, no-store")  # no copy stays in the browser
                return response
        return self.get_response(request)

    def _is_over(self, request: HttpRequest) -> bool:
        session, now = request.session, int(time.time())
        idle, longest = settings.SESSION_IDLE_SECONDS, settings.SESSION_LONGEST_SECONDS
        if request.user.is_staff:
            idle, longest = settings.STAFF_IDLE_SECONDS, settings.STAFF_LONGEST_SECONDS
        began, seen = session.setdefault("began_at", now), session.get("seen_at", now)
        if now - began > longest or now - seen > idle:
            return True
        if now - seen >= self._EVERY or "seen_at" not in session:
            session["seen_at"] = now
        return False

    def _wanted_by(self, request: HttpRequest) -> str:
        """Who asks for a second step: the organisation's name, or the brand for staff; "" for nobody."""
        if request.user.is_staff and settings.STAFF_SECOND_FACTOR and request.path.startswith("/staff"):
            return settings.BRAND_NAME
        client = getattr(request, "client", None)
        return client.name if client is not None and client.require_second_factor else ""
