"""Answers to requests that reach no view, or whose view broke: JSON under /api/, elsewhere a page (U1)."""

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from crm.common.api.errors import http_failure

log = logging.getLogger("tarishi.refused")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, HTTPStatus.BAD_REQUEST, lambda: defaults.bad_request(request, exception))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Also writes down who was refused what; the route stands for the address, which may hold a token."""
    user = getattr(request, "user", None)
    route = request.resolver_match.route if request.resolver_match else "?"
    log.warning("refused: user %s, %s %s", user.pk if user else None, request.method, route)
    return _answer(request, HTTPStatus.FORBIDDEN, lambda: defaults.permission_denied(request, exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, HTTPStatus.NOT_FOUND, lambda: defaults.page_not_found(request, exception))


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, lambda: defaults.server_error(request))


def _answer(request: HttpRequest, status: HTTPStatus, page: Callable[[], HttpResponse]) -> HttpResponse:
    if request.path_info == "/api" or request.path_info.startswith("/api/"):
        return JsonResponse(http_failure(status), status=status)
    return page()
