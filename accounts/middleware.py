"""Sets `request.client` and `request.membership`: which organisation the signed-in person acts for."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.models import Membership

SESSION_KEY = "client_id"
_NOBODY_SIGNS_IN = ("/api/", "/console/", "/static/", "/callbacks/")


class CurrentClientMiddleware:
    """One query for a signed-in person, none for others. The switcher stores the choice in the session; without one,
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
