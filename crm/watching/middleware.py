"""Answers balancers, orchestrators and Prometheus, who come by plain HTTP and by whatever address they know."""

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotFound

from crm.health import live, ready
from crm.watching.views import metrics

_PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/api/health/live": live,
    "/api/health/ready": ready,
    "/metrics": metrics,
}


class ProbeMiddleware:
    """The outermost: what these three answer depends neither on the name in the request nor on who asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = _PROBES.get(request.path_info)
        if view is None:
            return self.get_response(request)
        try:
            return view(request)
        except Http404:
            return HttpResponseNotFound("Not found\n", content_type="text/plain")
