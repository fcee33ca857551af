"""SMSPresto's status codes; the HTTP status is always 200 (contracts/dialects/smspresto.md)."""

from django.http import HttpResponse

from crm.common.errors import DomainError
from messaging.dialects.ground import answer

# code → text. From 104 on they are ours: the published list has none for these.
CODES: dict[int, str] = {
    1: "Authentication failed",
    10: "Invalid API key",
    11: "Invalid password",
    100: "Invalid sender",
    101: "The sender's character limit is exceeded",
    102: "Invalid recipient",
    103: "Invalid message",
    104: "Insufficient balance",
    105: "Too many requests",
    106: "Unknown action",
    107: "Invalid parameter",
    500: "Internal error",
}

# DomainError.code → code.
ERRORS: dict[str, int] = {
    "credentials_missing": 1,
    "key_missing": 1,
    "client_suspended": 1,
    "key_not_allowed": 1,
    "unreadable_request": 1,  # with it the user and password could not be read
    "key_unknown": 10,
    "wrong_secret": 11,
    "sender_missing": 100,
    "sender_not_approved": 100,
    "sender_too_long": 101,
    "no_recipients": 102,
    "invalid_phone": 102,
    "opted_out": 102,
    "duplicate_recipient": 102,
    "country_closed": 102,
    "trial_number": 102,
    "recipient_limit": 105,
    "daily_limit": 105,
    "no_price": 102,
    "no_route": 102,
    "empty_text": 103,
    "invalid_text": 103,
    "text_too_long": 103,
    "insufficient_balance": 104,
    "too_many_calls": 105,
    "unknown_action": 106,
    "not_found": 106,
    "wrong_method": 106,
    "invalid_schedule": 107,
    "invalid_input": 107,
    "body_too_large": 107,
    "server_error": 500,
}


class SenderTooLong(DomainError):
    code = "sender_too_long"


class UnknownAction(DomainError):
    code = "unknown_action"


def refusal(error: DomainError) -> HttpResponse:
    """The fact `recipient`, where there is one, is named in the text; so is why, where the code alone does not say."""
    code = ERRORS.get(error.code, 107)
    text = CODES[code]
    if recipient := error.facts.get("recipient"):
        text = f"{text}: {recipient}"
    if code == 107:
        text = f"{text}: {error}"
    return answer({"status": code, "message": text, "message-count": 0})
