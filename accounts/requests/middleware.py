"""What an answer of an API tells of its request, and the line of it in the list of the last ones."""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.requests.recording import recorder
from crm.common.acting import current_request_id

_FOR_PROGRAMS = ("/api/", "/console/")


class ApiRequestMiddleware:
    """Tells the id of the request (`X-Request-ID`) and lists the call for its owner. Among the outermost: it times."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(_FOR_PROGRAMS):
            return self.get_response(request)
        began, number = time.perf_counter(), current_request_id()
        response = self.get_response(request)
        response["X-Request-ID"] = number
        recorder.record(request, response, request_id=number, seconds=time.perf_counter() - began)
        return response
