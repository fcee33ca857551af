"""Mifumo's error codes (contracts/dialects/mifumo.md, "Envelope")."""

from typing import Any

from crm.common.errors import DomainError, InvalidInput
from messaging.dialects.ground import answer

INVALID = (400, "INVALID_REQUEST")

# DomainError.code → HTTP status and error_code.
ERRORS: dict[str, tuple[int, str]] = {
    "key_missing": (401, "AUTHENTICATION_REQUIRED"),
    "key_unknown": (401, "INVALID_API_KEY"),
    "key_not_allowed": (403, "INSUFFICIENT_PERMISSIONS"),
    "client_suspended": (403, "INSUFFICIENT_PERMISSIONS"),
    "empty_text": (400, "MISSING_MESSAGE"),
    "no_recipients": (400, "MISSING_RECIPIENTS"),
    "not_e164": (400, "INVALID_PHONE_FORMAT"),
    "invalid_phone": (400, "NO_VALID_RECIPIENTS"),
    "opted_out": (400, "NO_VALID_RECIPIENTS"),
    "duplicate_recipient": (400, "NO_VALID_RECIPIENTS"),
    "country_closed": (400, "NO_VALID_RECIPIENTS"),
    "trial_number": (400, "NO_VALID_RECIPIENTS"),
    "recipient_limit": (429, "RATE_LIMIT_EXCEEDED"),
    "daily_limit": (429, "RATE_LIMIT_EXCEEDED"),
    "insufficient_balance": (402, "SMS_SEND_FAILED"),
    "no_price": (400, "SMS_SEND_FAILED"),
    "no_route": (502, "SMS_SEND_FAILED"),
    "not_found": (404, "MESSAGE_NOT_FOUND"),
    "invalid_text": INVALID,
    "text_too_long": INVALID,
    "sender_missing": INVALID,
    "sender_not_approved": INVALID,
    "invalid_schedule": INVALID,
    "invalid_input": INVALID,
    "unreadable_request": INVALID,
    "body_too_large": (413, "INVALID_REQUEST"),
    "wrong_method": (405, "INVALID_REQUEST"),
    "too_many_calls": (429, "RATE_LIMIT_EXCEEDED"),
    "server_error": (500, "INTERNAL_ERROR"),
}

_MESSAGES = {
    "AUTHENTICATION_REQUIRED": "Authentication required: send Authorization: Bearer <api key>",
    "INVALID_API_KEY": "Invalid or expired API key",
    "MISSING_MESSAGE": "Message text is required",
    "MISSING_RECIPIENTS": "At least one recipient is required",
    "INVALID_PHONE_FORMAT": "Phone numbers must be in E.164 format, such as +255123456789",
    "NO_VALID_RECIPIENTS": "None of the recipients can be sent to",
    "SMS_SEND_FAILED": "The SMS could not be sent",
    "MESSAGE_NOT_FOUND": "Message not found",
}


class NotE164(DomainError):
    """Numbers that are not international with a plus. Fact: `numbers`, as given."""

    code = "not_e164"


def refusal(error: DomainError) -> Any:
    """The answer to a refused call. `details`: the numbers or recipients concerned, the reason, or null."""
    status, error_code = ERRORS.get(error.code, INVALID)
    details: Any = error.facts.get("numbers")
    if error_code in ("NO_VALID_RECIPIENTS", "SMS_SEND_FAILED"):
        details = error.facts.get("refused") or str(error)
    elif isinstance(error, InvalidInput) and error.errors:
        details = error.errors
    message = str(error) if error.code == "not_found" and str(error) else _MESSAGES.get(error_code, str(error))
    return answer({"success": False, "message": message, "error_code": error_code, "details": details}, status)
