"""Every refusal of the native API: which status and error_code a cause has, and its body."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from crm.common.api.envelope import failure
from crm.common.errors import DomainError, InvalidInput

INVALID = (400, "INVALID_REQUEST")

# DomainError.code → status and error_code. What is not listed is something wrong in the request: 400.
DOMAIN_ERRORS: dict[str, tuple[int, str]] = {
    "insufficient_balance": (402, "INSUFFICIENT_BALANCE"),
    "client_suspended": (403, "UNAUTHORIZED"),
    "recipient_limit": (429, "RATE_LIMIT_EXCEEDED"),
    "daily_limit": (429, "RATE_LIMIT_EXCEEDED"),
    "not_found": (404, "NOT_FOUND"),
    "conflict": (409, "CONFLICT"),
    "prompt_open": (409, "CONFLICT"),
    "repeat_blocked": (409, "CONFLICT"),
    "topups_closed": (503, "PROVIDER_UNAVAILABLE"),
    "quote_changed": (409, "CONFLICT"),
    "still_counting": (409, "CONFLICT"),
    "request_in_progress": (409, "CONFLICT"),
    "idempotency_key_reused": (422, "IDEMPOTENCY_KEY_REUSED"),
}

# DomainError.code → the facts that stand in the body: what is too little, or what is in the way.
SHOWN_FACTS: dict[str, tuple[str, ...]] = {
    "insufficient_balance": ("balance",),
    "conflict": ("contact_id", "group_id"),
}

# HTTP status → error_code, for refusals that never reach a service.
HTTP_ERRORS: dict[int, str] = {
    400: "INVALID_REQUEST",
    401: "INVALID_API_KEY",
    403: "UNAUTHORIZED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    415: "INVALID_REQUEST",
    429: "RATE_LIMIT_EXCEEDED",
    500: "SERVER_ERROR",
}

MESSAGES: dict[int, str] = {
    400: "The request cannot be read.",
    401: "Give your API key in the X-API-KEY header.",
    403: "This API key may not do this.",
    404: "There is no such resource.",
    405: "This method is not allowed here.",
    413: "The body is too large.",
    429: "Too many requests: wait until the limit resets.",
    500: "Something went wrong on our side. It was logged; the request may be tried again.",
}


def http_failure(status: int, message: str = "", *, errors: Any = ()) -> dict[str, Any]:
    """The body of a refusal that is known by its HTTP status alone."""
    return failure(
        HTTP_ERRORS.get(status, "INVALID_REQUEST"), message or MESSAGES.get(status, MESSAGES[400]), errors=errors
    )


def handle_exception(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. None: nobody foresaw this error; Django logs it and crm/errors.py answers 500."""
    if isinstance(error, DomainError):
        return _domain_response(error, getattr(context.get("view"), "error_fields", {}))
    if isinstance(error, exceptions.APIException):
        return _api_response(error)
    if isinstance(error, Http404):
        return Response(http_failure(404), status=404)
    if isinstance(error, PermissionDenied):
        return Response(http_failure(403), status=403)
    if isinstance(error, RequestDataTooBig):
        return Response(http_failure(413), status=413)
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return Response(http_failure(400), status=400)
    return None


def _domain_response(error: DomainError, fields: Mapping[str, str]) -> Response:
    status, error_code = DOMAIN_ERRORS.get(error.code, INVALID)
    message = str(error)
    errors: list[dict[str, str]] = []
    if isinstance(error, InvalidInput):
        errors = [
            {"field": field, "message": sentence} for field, sentences in error.errors.items() for sentence in sentences
        ]
    elif error.code in fields:
        errors = [{"field": fields[error.code], "message": message}]
    facts = {name: error.facts[name] for name in SHOWN_FACTS.get(error.code, ()) if name in error.facts}
    headers = {"Retry-After": str(error.facts["retry_after"])} if "retry_after" in error.facts else {}
    return Response(failure(error_code, message, errors=errors, **facts), status=status, headers=headers)


def _api_response(error: exceptions.APIException) -> Response:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    status = error.status_code
    if isinstance(error, exceptions.ValidationError):
        errors = list(_field_errors(error.detail))
        message = f"{errors[0]['field']}: {errors[0]['message']}" if errors else ""
        return Response(http_failure(status, message, errors=errors), status=status, headers=headers)
    told = not isinstance(error, exceptions.NotAuthenticated | exceptions.Throttled)
    return Response(http_failure(status, str(error.detail) if told else ""), status=status, headers=headers)


def _field_errors(detail: Any, path: str = "") -> Any:
    """DRF's nested errors as flat rows: {"recipients": {3: ["…"]}} becomes field `recipients.3`."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
            yield from _field_errors(inner, own)
    elif isinstance(detail, list | tuple):
        for position, inner in enumerate(detail):
            if isinstance(inner, Mapping | list | tuple):
                if inner:
                    yield from _field_errors(inner, f"{path}.{position}" if path else str(position))
            else:
                yield {"field": path, "message": str(inner)}
    else:
        yield {"field": path, "message": str(detail)}
