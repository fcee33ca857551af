"""GET /metrics for Prometheus. Closed (404) until METRICS_TOKEN or METRICS_NETWORKS says who may read it."""

import hmac
import threading
import time

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from crm.common.access import public_page
from crm.common.addresses import client_address, is_within
from crm.watching.facts import Figure, all_figures

KEPT_SECONDS = 10.0

_guard = threading.Lock()
_kept: tuple[float, bytes] = (float("-inf"), b"")


@public_page
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """All figures in Prometheus' text format; at most KEPT_SECONDS old, so that scrapers cost little."""
    if not _may_read(request):
        raise Http404
    return HttpResponse(_text(), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
            return True
    return is_within(client_address(request), settings.METRICS_NETWORKS)


def _text() -> bytes:
    """One thread of a process reads the figures anew; what comes meanwhile waits for them."""
    global _kept
    with _guard:
        if time.monotonic() - _kept[0] > KEPT_SECONDS:
            with translation.override("en"):
                _kept = (time.monotonic(), exposition(all_figures()))
        return _kept[1]


class _Figures(Collector):
    def __init__(self, figures: list[Figure]) -> None:
        self.figures = figures

    def collect(self) -> list[Metric]:
        families: list[Metric] = []
        for figure in self.figures:
            kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            names = sorted({name for labels, _ in figure.values for name in labels})
            family = kind(figure.name, figure.meaning, labels=names)
            for labels, value in figure.values:
                family.add_metric([labels.get(name, "") for name in names], value)
            families.append(family)
        return families


def exposition(figures: list[Figure]) -> bytes:
    """Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Figures(figures))
    return generate_latest(registry)
