"""Refusals of accounts that more than a form field can cause."""

from crm.common.errors import DomainError


class RequestInProgress(DomainError):
    """The first call with this Idempotency-Key still runs. Fact: `retry_after`, seconds."""

    code = "request_in_progress"
    default_message = "The first request with this Idempotency-Key is still running. Ask again in a moment."


class IdempotencyKeyReused(DomainError):
    """The Idempotency-Key belongs to another request body of the last 24 hours."""

    code = "idempotency_key_reused"
    default_message = "This Idempotency-Key was used with another body. Use a new key for a new request."
