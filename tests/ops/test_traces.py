"""Traces by OpenTelemetry: a span for a request, a task and each call out, and no secret in any."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from celery import shared_task
from django.test import Client as Browser

from accounts.delivery.loop import Deliverer
from accounts.models import Client
from accounts.services.events import record_events
from accounts.services.webhooks import create_endpoint
from crm import checks
from crm.celery import app
from crm.common import tracing
from crm.watching import traces
from messaging.sending import lookups
from messaging.services.providers import connect_provider
from tests.factories import make_client, make_key
from tests.messaging.core.carrier import Carrier
from tests.messaging.core.world import accept, make_road, make_sender, run_loop, run_sql
from tests.ops.installation import manage
from wallet.payments.http import PaymentHttp

sdk = pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

SEEN = """
import sys
from django.test import Client
browser = Client(SERVER_NAME="localhost")
browser.get("/api/health/ready")
assert browser.get("/api/7/sms/status/MSG-000001").status_code == 401
print("IMPORTED", sorted(name for name in sys.modules if name.startswith("opentelemetry"))[:1])
"""


@pytest.fixture
def spans() -> Iterator[Any]:
    """Everything that was traced, as a list of finished spans when it is called."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    tracing.start(exporter)
    yield exporter.get_finished_spans
    tracing.stop()


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    server = Carrier()
    yield server
    server.close()


def facts(span: Any) -> dict[str, Any]:
    return dict(span.attributes)


@pytest.fixture
def traced_web(settings: Any) -> None:
    settings.MIDDLEWARE = [
        settings.MIDDLEWARE[0], "crm.watching.traces.TraceMiddleware", *settings.MIDDLEWARE[1:],
        "crm.watching.traces.IdsMiddleware",
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_request_is_named_by_its_route_and_says_who_asked(traced_web: None, spans: Any, client: Browser) -> None:
    acme = make_sender()
    key = make_key(acme)
    path = f"/api/{acme.pk}/sms/status/MSG-004711?number=254712345678"
    assert client.get(path, headers={"X-API-KEY": key.api_key}).status_code == 404
    (span,) = spans()
    assert span.name == "GET /api/<int:client_id>/sms/status/<str:message_id>"
    found = facts(span)
    assert (found["http.request.method"], found["http.response.status_code"]) == ("GET", 404)
    assert found["tarishi.client"] == acme.pk
    assert not [value for value in found.values() if "4711" in str(value) or "254712" in str(value)]
    assert key.api_key not in str(found)


@pytest.mark.django_db
def test_provider_calls_tell_how_many_and_what_became_of_them(spans: Any, carrier: Carrier) -> None:
    acme: Client = make_sender()
    road = make_road(carrier.url, batch_size=7)
    accept(acme, 10)
    run_loop(road)
    calls = [span for span in spans() if span.name == "provider call"]
    assert sum(facts(span)["tarishi.messages"] for span in calls) == 10
    assert sum(facts(span)["tarishi.accepted"] for span in calls) == 10
    assert {facts(span)["tarishi.provider"] for span in calls} == {"africastalking"}
    assert not [span for span in calls if "+2547" in str(facts(span)) or "Habari" in str(facts(span))]


@pytest.mark.django_db
def test_a_provider_call_that_fails_is_marked(spans: Any) -> None:
    road = make_road("http://127.0.0.1:9")
    accept(make_sender())
    run_loop(road)
    (span,) = [span for span in spans() if span.name == "provider call"]
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "retry")


@pytest.mark.django_db
def test_a_question_to_a_provider_tells_how_many_and_that_nobody_answered(spans: Any) -> None:
    road = make_road("http://127.0.0.1:9")
    beem = connect_provider(
        name="beem", adapter="beem", credentials={"api_key": "s3cret", "secret_key": "s3cret"},
        base_url="http://127.0.0.1:9", batch_size=1,
    )  # fmt: skip
    accept(make_sender(), 2)
    run_sql(
        "UPDATE messaging_message SET status = 'sent', provider_account_id = %s, provider_message_id = '7-254', "
        "sent_at = created_at, look_up_at = created_at WHERE provider_account_id = %s",
        [beem.pk, road.pk],
    )
    assert lookups.look_up(account_id=beem.pk) == 2
    asked = [span for span in spans() if span.name == "provider look-up"]
    assert sum(facts(span)["tarishi.messages"] for span in asked) == 2
    assert {(facts(span)["tarishi.provider"], span.status.description) for span in asked} == {("beem", "not sent")}
    assert "s3cret" not in str([facts(span) for span in asked])


@pytest.mark.django_db
def test_each_attempt_of_a_webhook_tells_what_was_answered(spans: Any, settings: Any) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    acme = make_client()
    with receiver() as (url, bodies):
        endpoint = create_endpoint(client=acme, url=f"{url}/hook?token=s3cret", events=["*"]).endpoint
        record_events(acme.pk, [("balance.updated", {"transaction_id": "T1"})])
        Deliverer(stop=lambda: len(bodies) > 0).run()
    (span,) = spans()
    found = facts(span)
    assert (span.name, found["http.response.status_code"]) == ("webhook delivery", 200)
    assert (found["tarishi.client"], found["tarishi.endpoint"]) == (acme.pk, endpoint.pk)
    assert (found["tarishi.event"], found["tarishi.tries"]) == ("balance.updated", 0)
    assert "s3cret" not in str(found)


def test_a_call_to_a_payment_operator_tells_host_and_status_alone(spans: Any) -> None:
    with receiver() as (url, _):
        answered = PaymentHttp().call(
            "POST", f"{url}/mpesa/stkpush/v1/processrequest?token=s3cret", headers={"Authorization": "Bearer s3cret"},
            json_body={"PhoneNumber": "254712345678"},
        )  # fmt: skip
    assert answered.status == 200
    PaymentHttp().call("GET", "http://127.0.0.1:9/oauth/v1/generate", headers={})
    good, bad = spans()
    assert (good.name, facts(good)["http.response.status_code"]) == ("payment POST", 200)
    assert (bad.name, bad.status.description) == ("payment GET", "not sent")
    assert "s3cret" not in str([facts(good), facts(bad)])
    assert "254712" not in str([facts(good), facts(bad)])


@shared_task(name="tests.traced", ignore_result=True)
def traced_task(fails: bool) -> None:
    if fails:
        raise ValueError("+254712345678")


def test_a_task_belongs_to_the_request_that_sent_it(spans: Any) -> None:
    headers: dict[str, Any] = {}
    with tracing.span("GET /app"):
        traces._carry(headers=headers)
    task = app.tasks["tests.traced"]
    for fails in (False, True):
        task.push_request(id=f"id-{fails}", **headers)
        traces._begin(task_id=f"id-{fails}", task=task)
        traces._end(task_id=f"id-{fails}", state="FAILURE" if fails else "SUCCESS")
        task.pop_request()
    request, good, bad = spans()
    assert good.name == bad.name == "task tests.traced"
    assert good.parent.span_id == bad.parent.span_id == request.context.span_id
    assert (good.status.status_code.name, bad.status.status_code.name) == ("UNSET", "ERROR")


def test_an_error_is_named_and_not_quoted(spans: Any) -> None:
    with pytest.raises(ValueError), tracing.span("work"):
        raise ValueError("+254712345678")
    (span,) = spans()
    assert span.status.description == "ValueError"
    assert not span.events


def test_they_arrive_at_a_collector_and_nothing_is_imported_without_one(tmp_path: Path) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    quiet = manage(tmp_path, "shell", "-c", SEEN)
    assert "IMPORTED []" in quiet.stdout, quiet.stderr
    with receiver() as (url, bodies):
        told = manage(tmp_path, "shell", "-c", SEEN, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_SERVICE_NAME="acme")
    assert "IMPORTED ['opentelemetry']" in told.stdout, told.stderr
    names, services = [], set()
    for path, body in bodies:
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            services |= {fact.value.string_value for fact in resource.resource.attributes if fact.key == "service.name"}
            names += [span.name for scope in resource.scope_spans for span in scope.spans]
    assert names == ["GET /api/<int:client_id>/sms/status/<str:message_id>"]  # probes are not worth a trace
    assert services == {"acme"}


def test_an_installation_that_cannot_trace_refuses_to_start(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
    assert [found.id for found in checks.check_production()] == ["tarishi.E014"]
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(tracing.Missing):
        tracing.start()
    assert not tracing.is_on()


class _Receiver(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.bodies.append((self.path, body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Quiet."""


class receiver:  # noqa: N801 - reads as the context manager that it is
    """An HTTP server on this machine: its URL, and a list of what came as (path, body)."""

    def __enter__(self) -> tuple[str, list[tuple[str, bytes]]]:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
        self.server.bodies = []  # type: ignore[attr-defined]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}", self.server.bodies  # type: ignore[attr-defined]

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
