"""Every error_code of the native API: when it comes and what to do about it. Each has a page of its own."""

from dataclasses import dataclass

from crm.common.api.errors import DOMAIN_ERRORS, HTTP_ERRORS


@dataclass(frozen=True, slots=True)
class ApiError:
    """remedy: what the caller does, one step a line. retry: whether the same call may succeed later unchanged."""

    code: str
    status: int
    when: str
    remedy: tuple[str, ...]
    retry: bool = False


ERRORS = (
    ApiError(
        "INVALID_REQUEST",
        400,
        "A field or parameter is missing or wrong, or the body cannot be read.",
        (
            "Read `errors`: each row names a field and says what is wrong with it.",
            "Send the body as JSON in UTF-8 with the header Content-Type: application/json.",
            "Numbers such as amounts are JSON numbers; phone numbers are strings.",
            "A body that is no JSON by its Content-Type is answered with HTTP 415 and this same code.",
        ),
    ),
    ApiError(
        "INVALID_API_KEY",
        401,
        "The key is missing, unknown, revoked or expired.",
        (
            "Send the key in the header X-API-Key, whole and without quotation marks.",
            "Look under API & Webhooks whether the key is active; a lost key cannot be shown again, so make a new one.",
        ),
    ),
    ApiError(
        "INSUFFICIENT_BALANCE",
        402,
        "The wallet cannot pay for the whole call. Nothing was sent and nothing was charged.",
        (
            "`balance` says what is there; what campaigns have reserved cannot be spent by others.",
            "Top up, then repeat the call: a refused call leaves no trace, so the same Idempotency-Key may be used.",
            "Send to fewer recipients at once, or shorten the text to fewer units.",
        ),
        retry=True,
    ),
    ApiError(
        "UNAUTHORIZED",
        403,
        "The key is known but may not do this: another client's ID in the address, a scope it does not have, an "
        "address outside its allow-list, or a suspended account, which only reads and tops up.",
        (
            "`message` says which of these it is.",
            "Check that the number after /api/ is your own client ID.",
            "Give the key the scope it lacks by making a new one; scopes are listed with each endpoint.",
        ),
    ),
    ApiError(
        "NOT_FOUND",
        404,
        "There is no such path, or no such thing among yours.",
        (
            "Compare the path with this documentation: no slash at the end, no version in between.",
            "Ids of other clients look exactly like ids that never existed.",
        ),
    ),
    ApiError(
        "METHOD_NOT_ALLOWED",
        405,
        "The path exists, but not with this method.",
        ("The header Allow lists the methods it has.",),
    ),
    ApiError(
        "CONFLICT",
        409,
        "It contradicts the present state: a contact that exists, a campaign that was started, recipients that are "
        "still being counted, or a first call with the same Idempotency-Key that is still at work.",
        (
            "With the header Retry-After: wait that long and repeat the call.",
            "For a contact: change the one named by `contact_id`, or call with ?upsert=true.",
            "For a campaign: read it, and act on the state it is in.",
        ),
        retry=True,
    ),
    ApiError(
        "PAYLOAD_TOO_LARGE",
        413,
        "The body has more than 1 MB, or the uploaded file more than 50 MB or 1,000,000 rows.",
        ("Split the call: at most 1,000 recipients each.", "Split the file into several."),
    ),
    ApiError(
        "IDEMPOTENCY_KEY_REUSED",
        422,
        "This Idempotency-Key was used within 24 hours for a call with another body.",
        ("Make a new key for every new act; reuse one only to repeat the very same call.",),
    ),
    ApiError(
        "RATE_LIMIT_EXCEEDED",
        429,
        "The key made more calls in this minute than it may; or a number got as many of your messages, or your account "
        "sent as many in a day, as is allowed.",
        (
            "`message` says which of these it is.",
            "Wait as many seconds as Retry-After says.",
            "Send to many numbers with one call of sms/send instead of many calls.",
            "Receive delivery by webhook instead of asking for each message.",
        ),
        retry=True,
    ),
    ApiError(
        "SERVER_ERROR",
        500,
        "Something went wrong on our side; it was logged. No input should cause it.",
        (
            "Repeat the call with the same Idempotency-Key: what was done is not done twice.",
            "If it comes again, tell us the time and the path.",
        ),
        retry=True,
    ),
    ApiError(
        "PROVIDER_UNAVAILABLE",
        503,
        "M-Pesa could not be reached, so no prompt was sent. The top-up is kept as failed; nothing was paid.",
        ("Try again in a minute.",),
        retry=True,
    ),
)
BY_CODE = {error.code: error for error in ERRORS}


def of_status(status: int) -> ApiError:
    """The error that an HTTP status stands for; 415 has no code of its own."""
    code = HTTP_ERRORS.get(status) or next(
        (code for known, code in DOMAIN_ERRORS.values() if known == status), "PROVIDER_UNAVAILABLE"
    )
    return BY_CODE[code]
