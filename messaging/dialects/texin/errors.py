"""Texin's error body and statuses (contracts/dialects/texin.md)."""

from typing import Any

from django.http import HttpResponse

from crm.common.errors import DomainError
from messaging.dialects.ground import answer

# DomainError.code → HTTP status. Everything in the request that cannot be used is 400, a low balance too.
ERRORS: dict[str, int] = {
    "key_missing": 401,
    "key_unknown": 401,
    "key_not_allowed": 403,
    "client_suspended": 403,
    "not_found": 404,
    "wrong_method": 405,
    "body_too_large": 413,
    "too_many_calls": 429,
    "server_error": 500,
    "empty_text": 400,
    "invalid_text": 400,
    "text_too_long": 400,
    "no_recipients": 400,
    "invalid_phone": 400,
    "opted_out": 400,
    "duplicate_recipient": 400,
    "country_closed": 400,
    "trial_number": 400,
    "recipient_limit": 429,
    "daily_limit": 429,
    "sender_missing": 400,
    "sender_not_approved": 400,
    "insufficient_balance": 400,
    "no_price": 400,
    "no_route": 400,
    "invalid_schedule": 400,
    "invalid_input": 400,
    "unreadable_request": 400,
}

_SENTENCES = {
    "sender_not_approved": "API Error: Given SenderId is invalid. Please use valid SenderId.",
    "key_missing": "API key is required",
    "key_unknown": "Invalid API key",
    "empty_text": "Message is required",
    "no_recipients": "Recipients are required",
}


def refusal(error: DomainError, failed: str, **facts: Any) -> HttpResponse:
    """The answer to a refused call. failed: what did not happen; facts: further fields of this call's body."""
    sentence = _SENTENCES.get(error.code) or str(error)
    return answer({"success": False, "message": failed, "error": sentence, **facts}, ERRORS.get(error.code, 400))
