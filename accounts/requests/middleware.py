"""What an answer of an API tells of its request, and the line of it in the list of the last ones."""

import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError

from accounts.requests.recording import recorder
from crm.common.acting import current_request_id

_CHUNK = 65_536
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
        if response.status_code >= 400:
            _take_the_rest(request)
        recorder.record(request, response, request_id=number, seconds=time.perf_counter() - began)
        return response


def _take_the_rest(request: HttpRequest) -> None:
    """Read what nobody read of a refused body, as far as a body may be long.

    A server that has its answer before the whole request cuts the connection, and the caller, still writing, sees a
    broken pipe instead of the reason.
    """
    left = settings.API_MAX_BODY_BYTES
    try:
        while left > 0 and (chunk := request.read(min(left, _CHUNK))):
            left -= len(chunk)
    except (UnreadablePostError, OSError, ValueError):  # the caller has gone; or the stream is closed
        return
