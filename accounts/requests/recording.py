"""The log of API calls: noted on the request, gathered in memory, written once a second by a thread of its own.

So a call never waits for its line. What a crash takes with it, or a rush leaves out, is a line of a list that helps to
find mistakes; what the calls did is in their own tables.
"""

import logging
import re
import threading
import time
from collections import Counter
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts.models import ApiKey, ApiRequest
from accounts.requests.redacting import redact_body, redact_path, redact_query
from crm.common.addresses import client_address

log = logging.getLogger(__name__)

LISTED_A_SECOND = 10  # of one organisation and web process, and as many refusals besides
KEPT = 2000  # of one organisation, the newest
_SURPLUS = 200  # written before what is over KEPT is deleted
_MOST_WAITING = 2000
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def note_caller(request: HttpRequest, key: ApiKey | None) -> None:
    """Whose list the call belongs to. Without a key, also a former one, it belongs to nobody's."""
    request.caller_key = key  # type: ignore[attr-defined]


def note_body(request: HttpRequest, raw: bytes) -> None:
    """What was read of the request, for the list."""
    request.raw_body = raw  # type: ignore[attr-defined]


def used_for(request: HttpRequest) -> str:
    """Method and path of a call as the URL map has it, without ids: `GET sms/status/{message_id}`."""
    route = request.resolver_match.route if request.resolver_match else ""
    path = _PARAMETER.sub(r"{\1}", route).removeprefix("api/{client_id}/")
    return f"{request.method} {path}"


class Recorder:
    """Gathers lines and writes them. One for a process; any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[ApiRequest] = []
        self._second = 0
        self._listed: Counter[tuple[int, bool]] = Counter()
        self._surplus: Counter[int] = Counter()
        self._work = threading.Event()
        self._thread: threading.Thread | None = None

    def record(self, request: HttpRequest, response: HttpResponseBase, *, request_id: str, seconds: float) -> None:
        """Note a call that was answered; beyond LISTED_A_SECOND it costs a comparison and leaves no line."""
        key: ApiKey | None = getattr(request, "caller_key", None)
        if key is None or not self._has_room(key.client_id, is_refusal=response.status_code >= 400):
            return
        line = ApiRequest(
            client_id=key.client_id,
            api_key_id=key.pk,
            request_id=request_id,
            at=timezone.now(),
            method=(request.method or "")[:8],
            path=redact_path(request.path),
            query=redact_query(request.META.get("QUERY_STRING", "")),
            body=redact_body(getattr(request, "raw_body", b""), request.content_type or ""),
            status=response.status_code,
            error_code=_error_code(response)[:40],
            milliseconds=round(seconds * 1000),
            address=client_address(request),
        )
        with self._lock:
            self._waiting.append(line)
        if settings.API_REQUEST_LOG_SECONDS:
            self._wake()

    def flush(self) -> int:
        """Write what was gathered; returns how many lines."""
        with self._lock:
            lines, self._waiting = self._waiting, []
        if not lines:
            return 0
        ApiRequest.objects.bulk_create(lines, batch_size=500)
        self._surplus.update(line.client_id for line in lines)
        for client_id, count in list(self._surplus.items()):
            if count >= _SURPLUS:
                keep_newest(client_id)
                del self._surplus[client_id]
        return len(lines)

    def _has_room(self, client_id: int, *, is_refusal: bool) -> bool:
        second = int(time.monotonic())
        with self._lock:
            if second != self._second:
                self._second = second
                self._listed.clear()
            self._listed[client_id, is_refusal] += 1
            return self._listed[client_id, is_refusal] <= LISTED_A_SECOND and len(self._waiting) < _MOST_WAITING

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="api-request-log", daemon=True)
                    self._thread.start()
        self._work.set()

    def _run(self) -> None:
        while True:
            self._work.wait()
            time.sleep(settings.API_REQUEST_LOG_SECONDS)
            self._work.clear()
            try:
                self.flush()
            except DatabaseError as error:  # a line whose key is gone, or a database that is away
                log.warning("the last API requests could not be written down: %s", type(error).__name__)
            except Exception:
                log.exception("the log of API requests broke")
            finally:
                connections.close_all()  # this thread's own; an idle process holds none for it


recorder = Recorder()


def keep_newest(client_id: int) -> int:
    """Delete a client's lines beyond the newest KEPT; returns how many."""
    mine = ApiRequest.objects.for_client(client_id)
    oldest_kept = mine.order_by("-pk").values_list("pk", flat=True)[KEPT - 1 : KEPT].first()
    return mine.filter(pk__lt=oldest_kept).delete()[0] if oldest_kept else 0


def forget_requests(*, before: datetime, limit: int = 5000) -> int:
    """Delete up to `limit` lines of calls made before then; returns how many."""
    old = ApiRequest.objects.unscoped().filter(at__lt=before).values("pk")[:limit]
    return ApiRequest.objects.unscoped().filter(pk__in=old).delete()[0]


def _error_code(response: HttpResponseBase) -> str:
    data = getattr(response, "data", None)
    found = data.get("error_code") if isinstance(data, dict) else None
    return str(found or getattr(response, "refused_as", ""))
