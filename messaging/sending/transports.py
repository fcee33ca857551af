"""How a batch travels: by HTTP requests that an adapter describes, or over a session that it keeps open itself.

The loop speaks to both alike, as the Session of messaging/providers/base.py.
"""

from collections.abc import Iterator, Sequence

from crm.common.transfers import Ended, Transfers
from messaging.providers.base import (
    Adapter,
    AnyAdapter,
    Arrival,
    Credentials,
    HttpResponse,
    Outbound,
    Outcome,
    Session,
    same_for_all,
)


class HttpSession:
    """Requests of an HTTP adapter in flight on kept connections."""

    room = 10_000  # the loop's own slots bind

    def __init__(self, adapter: Adapter, credentials: Credentials, base_url: str) -> None:
        self._adapter, self._credentials, self._base_url = adapter, credentials, base_url
        self._transfers = Transfers()

    def start(self, batch: Sequence[Outbound]) -> None:
        request = self._adapter.request_for(batch, self._credentials, self._base_url)
        self._transfers.start(batch, request.method, request.url, request.headers, request.body)

    def ended(self) -> Iterator[tuple[Sequence[Outbound], list[Outcome]]]:
        for batch, ended in self._transfers.ended():
            yield batch, self._read(batch, ended)

    def arrivals(self) -> Sequence[Arrival]:
        return ()

    def wait(self, seconds: float) -> None:
        self._transfers.wait(seconds)

    def close(self) -> None:
        self._transfers.close()

    def _read(self, batch: Sequence[Outbound], ended: Ended) -> list[Outcome]:
        if ended.kind == "answer":
            return self._adapter.outcomes_of(batch, HttpResponse(ended.status, ended.headers, ended.body))
        if ended.kind == "unsent":
            return same_for_all(batch, "retry", "provider_unreachable", ended.problem)
        return same_for_all(batch, "ambiguous", "no_clear_answer", ended.problem)


def open_session(adapter: AnyAdapter, credentials: Credentials, base_url: str) -> Session:
    """The way to this account. Opening connects to nobody yet."""
    if isinstance(adapter, Adapter):
        return HttpSession(adapter, credentials, base_url)
    return adapter.open_session(credentials, base_url)
