"""A short way for programs and providers: what only pages need - sessions, people, forms, languages - is not run for
their calls.

Two entries of MIDDLEWARE stand around those that are for pages alone. They cost a sixth of an API call's time in Python
and did nothing there: no person signs in by a key, and programs are answered in English.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import translation

Handler = Callable[[HttpRequest], HttpResponse]

_FOR_PROGRAMS = ("/api/", "/console/", "/callbacks/")
# Should a browser be led here all the same. Pages have the longer policy of the settings.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Frame-Options": "DENY"}
_behind: list[Handler] = []  # what comes after the part for pages; the inner of the two entries is made first


class PagesOnly:
    """Up to EndOfPagesOnly, MIDDLEWARE is for pages."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response, self._past_it = get_response, _behind.pop()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(_FOR_PROGRAMS):
            return self.get_response(request)
        request.client = request.membership = None  # type: ignore[attr-defined]
        with translation.override("en"):
            response = self._past_it(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class EndOfPagesOnly:
    """The inner end of the part for pages."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        _behind.append(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)
