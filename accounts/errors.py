"""Refusals of accounts that more than a form field can cause."""

from django.utils.translation import gettext_lazy

from crm.common.errors import DomainError


class RequestInProgress(DomainError):
    """The first call with this Idempotency-Key still runs. Fact: `retry_after`, seconds."""

    code = "request_in_progress"
    default_message = gettext_lazy(
        "The first request with this Idempotency-Key is still running. Ask again in a moment."
    )


class IdempotencyKeyReused(DomainError):
    """The Idempotency-Key belongs to another request body of the last 24 hours."""

    code = "idempotency_key_reused"
    default_message = gettext_lazy("This Idempotency-Key was used with another body. Use a new key for a new request.")


class CredentialsMissing(DomainError):
    code = "credentials_missing"
    default_message = gettext_lazy("Give both values of the credential.")


class KeyMissing(DomainError):
    code = "key_missing"
    default_message = gettext_lazy("Give your API key.")


class KeyUnknown(DomainError):
    code = "key_unknown"
    default_message = gettext_lazy("The API key is unknown, revoked or expired.")


class WrongSecret(DomainError):
    code = "wrong_secret"
    default_message = gettext_lazy("The secret does not belong to this API key.")


class WrongAppKey(DomainError):
    code = "wrong_app_key"
    default_message = gettext_lazy("The application key does not belong to this API key.")


class KeyNotAllowed(DomainError):
    """The key lacks the scope, or is used from an address outside its list."""

    code = "key_not_allowed"
    default_message = gettext_lazy("This API key may not do this.")


class TooManyCalls(DomainError):
    """Fact: `retry_after`, seconds."""

    code = "too_many_calls"
    default_message = gettext_lazy("Too many requests: wait until the limit resets.")


class TokenMissing(DomainError):
    code = "token_missing"
    default_message = gettext_lazy("There is no access token in this request.")


class TokenInvalid(DomainError):
    code = "token_invalid"
    default_message = gettext_lazy("This is no access token of ours, or its key has ended.")


class TokenExpired(DomainError):
    code = "token_expired"
    default_message = gettext_lazy("The access token has expired.")


class TokenEnded(DomainError):
    code = "token_ended"
    default_message = gettext_lazy("The access token was logged out.")


class NotAllowed(DomainError):
    """The member's role does not hold what this needs. Fact: `needed`, the least role that does."""

    code = "not_allowed"
    default_message = gettext_lazy("Your role does not allow this.")


class InvitationOver(DomainError):
    code = "invitation_over"
    default_message = gettext_lazy("This invitation was used, withdrawn or has expired. Ask for a new one.")


class LastOwner(DomainError):
    code = "last_owner"
    default_message = gettext_lazy("An organisation needs an owner: make somebody else one first.")
