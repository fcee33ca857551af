"""Calls of our own API from one of our pages, in this process: the same view, without a socket."""

from collections.abc import Mapping
from io import BytesIO

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils import translation


def make_request(
    asked: HttpRequest,
    *,
    method: str,
    path: str,
    query: str = "",
    raw: bytes = b"",
    content_type: str = "",
    headers: Mapping[str, str] | None = None,
) -> WSGIRequest:
    """The request as a program at the address of `asked` would make it. path: unescaped."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode("utf-8", "replace").decode("latin-1"),  # as WSGI hands bytes over
        "QUERY_STRING": query.encode("utf-8", "replace").decode("latin-1"),
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(raw)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": BytesIO(raw),
        "wsgi.url_scheme": "http",
        "REMOTE_ADDR": asked.META.get("REMOTE_ADDR", ""),
        "HTTP_X_FORWARDED_FOR": asked.META.get("HTTP_X_FORWARDED_FOR", ""),
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in (headers or {}).items()},
    }
    return WSGIRequest(environ)


def answer(request: WSGIRequest) -> HttpResponseBase:
    """What the view at the request's path answers, rendered. Raises: Resolver404."""
    found = resolve(request.path_info)
    request.resolver_match = found
    with translation.override("en"):  # as programs are answered, whatever language the page is in
        response = found.func(request, *found.args, **found.kwargs)
        if hasattr(response, "render"):
            response.render()
    return response
