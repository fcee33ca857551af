"""How a batch travels: by HTTP requests that an adapter describes, or over a session that it keeps open itself.

The loop speaks to both alike, as the Session of messaging/providers/base.py.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

from crm.common import tracing
from crm.common.transfer_thread import TransferThread
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
    """Requests of an HTTP adapter in flight on kept connections, which a thread of their own carries."""

    room = 10_000  # the loop's own slots bind

    def __init__(self, adapter: Adapter, credentials: Credentials, base_url: str) -> None:
        self._adapter, self._credentials, self._base_url = adapter, credentials, base_url
        self._transfers = TransferThread(Transfers())

    def start(self, batch: Sequence[Outbound]) -> None:
        request = self._adapter.request_for(batch, self._credentials, self._base_url)
        self._transfers.start(batch, request.method, request.url, request.headers, request.body)

    def ended(self) -> Iterator[tuple[Sequence[Outbound], list[Outcome]]]:
        for batch, ended in self._transfers.ended():
            yield batch, self._read(batch, ended)

    def arrivals(self) -> Sequence[Arrival]:
        return ()

    def wait(self, seconds: float, enough: int = 1) -> None:
        self._transfers.wait(seconds, enough)

    def close(self) -> None:
        self._transfers.close()

    def _read(self, batch: Sequence[Outbound], ended: Ended) -> list[Outcome]:
        if ended.kind == "answer":
            return self._adapter.outcomes_of(batch, HttpResponse(ended.status, ended.headers, ended.body))
        if ended.kind == "unsent":
            return same_for_all(batch, "retry", "provider_unreachable", ended.problem)
        return same_for_all(batch, "ambiguous", "no_clear_answer", ended.problem)


class _Call:
    """A batch that is traced: its span, how many messages are out, and what became of the others."""

    def __init__(self, adapter: str, count: int) -> None:
        self.span = tracing.begin("provider call", {"tarishi.provider": adapter, "tarishi.messages": count})
        self.out, self.kinds = count, Counter[str]()

    def take(self, outcome: Outcome) -> None:
        self.kinds[outcome.kind] += 1
        self.out -= 1
        if not self.out:
            self.end()

    def end(self) -> None:
        self.span.set({f"tarishi.{kind}": count for kind, count in self.kinds.items()})
        doubtful = [kind for kind in ("ambiguous", "retry") if self.kinds[kind]]
        if self.out or doubtful:
            self.span.fail("given up" if self.out else doubtful[0])
        self.span.end()


class TracedSession:
    """A session whose batches each leave a span: how many messages, how long, and what became of them.

    Whatever else a session has, such as a line that is kept up, is the session's own.
    """

    def __init__(self, session: Session, adapter: str) -> None:
        self.__dict__.update(_session=session, _adapter=adapter, _calls={})  # past __setattr__

    def start(self, batch: Sequence[Outbound]) -> None:
        self._session.start(batch)
        self._calls.update(dict.fromkeys((message.id for message in batch), _Call(self._adapter, len(batch))))

    def ended(self) -> Iterator[tuple[Sequence[Outbound], list[Outcome]]]:
        for batch, outcomes in self._session.ended():
            for outcome in outcomes:
                if call := self._calls.pop(outcome.message_id, None):
                    call.take(outcome)
            yield batch, outcomes

    def close(self) -> None:
        self._session.close()
        for call in {id(call): call for call in self._calls.values()}.values():
            call.end()
        self._calls.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._session, name, value)


def open_session(adapter: AnyAdapter, credentials: Credentials, base_url: str) -> Session:
    """The way to this account. Opening connects to nobody yet."""
    if isinstance(adapter, Adapter):
        session: Session = HttpSession(adapter, credentials, base_url)
    else:
        session = adapter.open_session(credentials, base_url)
    return cast(Session, TracedSession(session, adapter.name)) if tracing.is_on() else session
