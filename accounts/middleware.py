"""Around every request: who acts (crm/common/acting.py), for which organisation, and in which language."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

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
