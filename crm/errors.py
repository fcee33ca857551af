"""Answers to requests that reach no view, or whose view broke: JSON under /api/, elsewhere a page (U1)."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views import defaults

from accounts.queries import who_may
from accounts.roles import NAMES
from crm.common.api.errors import http_failure

log = logging.getLogger("tarishi.refused")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, HTTPStatus.BAD_REQUEST, lambda: defaults.bad_request(request, exception))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Also writes down who was refused what; the route stands for the address, which may hold a token."""
    user = getattr(request, "user", None)
    route = request.resolver_match.route if request.resolver_match else "?"
    log.warning("refused: user %s, %s %s", user.pk if user else None, request.method, route)
    return _answer(request, HTTPStatus.FORBIDDEN, lambda: _whom_to_ask(request, str(exception)))


def _whom_to_ask(request: HttpRequest, permission: str) -> HttpResponse:
    """A member reads what is missing and who in the organisation may do it or give it."""
    context: dict[str, Any] = {"permission": NAMES.get(permission, "")}
    if context["permission"] and getattr(request, "membership", None):
        context["holder"] = who_may(request.client, permission)  # type: ignore[attr-defined]
    return render(request, "403.html", context, status=HTTPStatus.FORBIDDEN)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, HTTPStatus.NOT_FOUND, lambda: defaults.page_not_found(request, exception))


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, lambda: defaults.server_error(request))


def _answer(request: HttpRequest, status: HTTPStatus, page: Callable[[], HttpResponse]) -> HttpResponse:
    if request.path_info == "/api" or request.path_info.startswith("/api/"):
        return JsonResponse(http_failure(status), status=status)
    return page()
