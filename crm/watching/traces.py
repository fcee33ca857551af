"""Where traces begin: a web request and a task. Imported only where traces are wanted."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from celery import signals
from django.http import HttpRequest, HttpResponse

from crm.common import tracing
from crm.common.acting import current_ids

_HEADER = "traceparent"
_running: dict[str, tuple[AbstractContextManager[tracing.Span], tracing.Span]] = {}  # by the id of the task


class TraceMiddleware:
    """A span for each request, named by its route: what stands in the address itself is nobody's business."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with tracing.span("request", {"http.request.method": request.method or ""}, kind="server") as span:
            response = self.get_response(request)
            found = getattr(request, "resolver_match", None)
            route = f"/{found.route}" if found else ""
            span.rename(f"{request.method} {route or 'no such page'}")
            span.set({"http.route": route, "http.response.status_code": response.status_code})
            if response.status_code >= 500:
                span.fail(str(response.status_code))
            return response


class IdsMiddleware:
    """Tells the span of the request who asked, as the log does; inside the middleware that knows."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        tracing.tell({f"tarishi.{name}": value for name, value in current_ids().items()})
        return response


def watch_tasks() -> None:
    """A span for each task, below the request or task that sent it."""
    signals.before_task_publish.connect(_carry, weak=False)
    signals.task_prerun.connect(_begin, weak=False)
    signals.task_postrun.connect(_end, weak=False)


def _carry(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    if headers is not None:
        headers.update(tracing.carried())


def _begin(task_id: str = "", task: Any = None, **kwargs: Any) -> None:
    above = task.request.get(_HEADER) if task.request else None
    parent = {_HEADER: above} if isinstance(above, str) else None
    opened = tracing.span(f"task {task.name}", {"tarishi.task": task_id}, kind="consumer", parent=parent)
    _running[task_id] = (opened, opened.__enter__())


def _end(task_id: str = "", state: str | None = None, **kwargs: Any) -> None:
    if found := _running.pop(task_id, None):
        opened, span = found
        if state == "FAILURE":
            span.fail("failed")
        opened.__exit__(None, None, None)
