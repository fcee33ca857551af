"""The limit of calls a minute of an API key, for every API view (GUARANTEES.md L1)."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.services.rates import Rate, count_call, counter_of, limit_for


class KeyThrottle(BaseThrottle):
    """Counts a call under the key and the view's `rate_kind`, and leaves the count in `request.rate` for the headers.

    A caller without a key is not counted: it is refused anyway.
    """

    rate: Rate | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        key = request.auth
        if key is None:
            return True
        limit = limit_for(key.client, view.rate_per_minute)
        if found := getattr(request._request, "found", None):  # counted with others (accounts/services/admission.py)
            self.rate = request.rate = Rate(limit, *found.counted)
        else:
            self.rate = request.rate = count_call(name=counter_of(view.rate_kind, key), limit=limit)
        return not self.rate.is_exceeded

    def wait(self) -> float | None:
        return self.rate.seconds_left if self.rate else None
