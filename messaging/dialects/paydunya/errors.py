"""PayDunya's codes, with the published spellings (contracts/dialects/paydunya.md, "Codes")."""

from django.http import HttpResponse

from crm.common.errors import DomainError
from messaging.dialects.ground import answer

# code → message, description, HTTP status. 125 is ours: the published list has none for it.
CODES: dict[str, tuple[str, str, int]] = {
    "ERROR_101": ("sms_not_sent_success", "The sms is not send successfully", 502),
    "ERROR_102": ("inufficient_balance", "Insufficient balance", 402),
    "ERROR_104": ("invalid_content_request", "The body of this request is not valid", 400),
    "ERROR_105": ("invalid_data_content_request", "The body of this request is not valid", 400),
    "ERROR_106": ("invalid_type", "The type is not valid", 400),
    "ERROR_107": ("invalid_key", "The key is not valid", 403),
    "ERROR_108": ("invalid_sender_address", "The sender address is not valid", 400),
    "ERROR_109": ("empty_address", "No address found", 400),
    "ERROR_110": ("invalid_receiver_address", "The receiver address is not valid", 400),
    "ERROR_111": (
        "number_recipients_not_authorize",
        "The number of receiver address is not authorize (Between 1 and 50 accepted)",
        400,
    ),
    "ERROR_112": ("invalid_content_message", "The content message is not valid", 400),
    "ERROR_113": ("content_sms_too_long", "The content message is too long", 400),
    "ERROR_114": ("invalid_start_date", "The start date is not valid", 400),
    "ERROR_115": ("invalid_ende_date", "The end date is not valid", 400),
    "ERROR_116": ("error_server", "Error process on the server", 500),
    "ERROR_117": ("invalid_credentials", "The credentials are invalid", 401),
    "ERROR_118": ("credentials_not_found", "The credentials are not found", 401),
    "ERROR_120": ("user_not_found", "The user is not found", 404),
    "ERROR_121": ("token_expired", "The token is expired", 401),
    "ERROR_122": ("token_invalid", "The token is invalid", 401),
    "ERROR_123": ("token_not_found", "The authorization token is not found", 401),
    "ERROR_124": ("logout_token", "The authorization token is logout", 401),
    "ERROR_125": ("too_many_requests", "Too many requests", 429),
}

# DomainError.code → code.
ERRORS: dict[str, str] = {
    "credentials_missing": "ERROR_118",
    "key_missing": "ERROR_118",
    "key_unknown": "ERROR_120",
    "wrong_secret": "ERROR_117",
    "token_missing": "ERROR_123",
    "token_invalid": "ERROR_122",
    "token_expired": "ERROR_121",
    "token_ended": "ERROR_124",
    "wrong_app_key": "ERROR_107",
    "key_not_allowed": "ERROR_107",
    "client_suspended": "ERROR_107",
    "too_many_calls": "ERROR_125",
    "unreadable_request": "ERROR_104",
    "no_node": "ERROR_104",
    "wrong_node": "ERROR_105",
    "invalid_input": "ERROR_105",
    "wrong_type": "ERROR_106",
    "no_recipients": "ERROR_109",
    "too_many_recipients": "ERROR_111",
    "sender_missing": "ERROR_108",
    "sender_not_approved": "ERROR_108",
    "invalid_phone": "ERROR_110",
    "opted_out": "ERROR_110",
    "duplicate_recipient": "ERROR_110",
    "country_closed": "ERROR_110",
    "trial_number": "ERROR_110",
    "recipient_limit": "ERROR_125",
    "daily_limit": "ERROR_125",
    "no_price": "ERROR_110",
    "no_route": "ERROR_101",
    "empty_text": "ERROR_112",
    "invalid_text": "ERROR_112",
    "text_too_long": "ERROR_113",
    "insufficient_balance": "ERROR_102",
    "invalid_start_date": "ERROR_114",
    "invalid_end_date": "ERROR_115",
    "invalid_schedule": "ERROR_105",
    "not_found": "ERROR_104",
    "wrong_method": "ERROR_104",
    "body_too_large": "ERROR_104",
    "server_error": "ERROR_116",
}

# Refusals whose HTTP status says more than their code's.
_STATUSES = {"not_found": 404, "wrong_method": 405, "body_too_large": 413}


class NoNode(DomainError):
    """`send_sms_request` or `sms_sent` is not there, or is no object."""

    code = "no_node"


class WrongNode(DomainError):
    """The inside of the node has another shape than the contract's."""

    code = "wrong_node"


class WrongType(DomainError):
    code = "wrong_type"


class TooManyRecipients(DomainError):
    code = "too_many_recipients"


class InvalidStartDate(DomainError):
    code = "invalid_start_date"


class InvalidEndDate(DomainError):
    code = "invalid_end_date"


def refusal(error: DomainError) -> HttpResponse:
    code = ERRORS.get(error.code, "ERROR_105")
    message, description, status = CODES[code]
    body = {"code": code, "message": message, "description": description}
    return answer(body, _STATUSES.get(error.code, status))
