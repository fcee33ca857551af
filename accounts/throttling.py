"""The limit of calls a minute of an API key, for every API view (GUARANTEES.md L1)."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.services.rates import Rate, count_call


class KeyThrottle(BaseThrottle):
    """Counts a call under the key and the view's `rate_kind`, and leaves the count in `request.rate` for the headers.

    The limit is the view's `rate_per_minute` where a dialect documents one, else the client's own, else the default.
    A caller without a key is not counted: it is refused anyway.
    """

    rate: Rate | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        key = request.auth
        if key is None:
            return True
        limit = view.rate_per_minute or key.client.rate_limit or settings.API_RATE_PER_MINUTE
        self.rate = request.rate = count_call(name=f"{view.rate_kind}:{key.pk}", limit=limit)
        return not self.rate.is_exceeded

    def wait(self) -> float | None:
        return self.rate.seconds_left if self.rate else None
