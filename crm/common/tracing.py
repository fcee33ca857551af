"""Traces by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT says who takes them: what a request, a task and a call out
took, and which belongs to which.

Until `start` nothing of OpenTelemetry is imported and `span` costs a comparison. Attributes are names, counts, ids of
ours and outcomes: never a number, a text, a key or an address with a query (GUARANTEES S2).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Facts = Mapping[str, str | int | float | bool]
_tracer: Any = None
_api: Any = None  # opentelemetry.trace and opentelemetry.propagate, once they are wanted
_propagate: Any = None


class Missing(Exception):
    """Traces are wanted, and the packages of `pip install tarishi[otel]` are not there."""


class Span:
    """A piece of work under way; without traces it takes what it is told and forgets it."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def set(self, facts: Facts) -> None:
        """Facts of it by name, as OpenTelemetry's conventions call them where they do."""
        if self._span is not None:
            self._span.set_attributes(dict(facts))

    def rename(self, name: str) -> None:
        if self._span is not None:
            self._span.update_name(name)

    def fail(self, why: str) -> None:
        """Mark it as failed; `why`: a word of ours or the name of an error, not its text."""
        if self._span is not None:
            self._span.set_status(_api.Status(_api.StatusCode.ERROR, why))

    def end(self) -> None:
        if self._span is not None:
            self._span.end()


_NONE = Span()


def is_on() -> bool:
    return _tracer is not None


def start(exporter: Any = None, *, service: str = "tarishi", version: str = "") -> None:
    """From now on trace, to the collector of the environment unless `exporter` is given. Raises: Missing."""
    global _tracer, _api, _propagate
    try:
        from opentelemetry import propagate, trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise Missing(str(error)) from error
    about = {"service.version": version}
    if "OTEL_SERVICE_NAME" not in os.environ and "service.name" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        about["service.name"] = service
    provider = TracerProvider(resource=Resource.create(about))
    processor = SimpleSpanProcessor(exporter) if exporter is not None else BatchSpanProcessor(OTLPSpanExporter())
    provider.add_span_processor(processor)
    _api, _propagate, _tracer = trace, propagate, provider.get_tracer("tarishi")


def stop() -> None:
    """No more traces; for tests."""
    global _tracer
    _tracer = None


@contextmanager
def span(
    name: str, facts: Facts | None = None, *, kind: str = "internal", parent: Mapping[str, str] | None = None
) -> Iterator[Span]:
    """The work inside. kind: internal, server, client, consumer. parent: what `carried` gave in another process.

    An error that passes through marks it by the name of its class.
    """
    if _tracer is None:
        yield _NONE
        return
    above = _propagate.extract(parent) if parent else None
    begun = _tracer.start_span(name, context=above, kind=_api.SpanKind[kind.upper()])
    traced = Span(begun)
    traced.set(facts or {})
    try:
        with _api.use_span(begun, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            yield traced
    except BaseException as error:
        traced.fail(type(error).__name__)
        raise
    finally:
        begun.end()


def begin(name: str, facts: Facts, *, kind: str = "client") -> Span:
    """Work that ends elsewhere, by `end`; it belongs to the work at hand."""
    if _tracer is None:
        return _NONE
    begun = Span(_tracer.start_span(name, kind=_api.SpanKind[kind.upper()]))
    begun.set(facts)
    return begun


def tell(facts: Facts) -> None:
    """Facts of the work at hand, as `Span.set` takes them."""
    if _tracer is not None:
        Span(_api.get_current_span()).set(facts)


def carried() -> dict[str, str]:
    """What a message to another process carries, so that its work there belongs to the work at hand."""
    found: dict[str, str] = {}
    if _tracer is not None:
        _propagate.inject(found)
    return found
