"""The one base of every refusal that a caller can cause."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


class DomainError(Exception):
    """A request the product refuses. It names a `code` and facts; each door finds its own words and status for them.

    `str(error)` is one plain sentence fit for a person; `facts` are values a door may print (amounts, numbers, names).
    """

    code = "invalid_request"
    default_message: str | Promise = gettext_lazy("The request cannot be carried out.")

    def __init__(self, message: str = "", **facts: Any) -> None:
        self.facts = facts
        super().__init__(str(message or self.default_message))


class InvalidInput(DomainError):
    """One or more fields are missing or wrong. `errors` maps a field name to its sentences."""

    code = "invalid_input"

    def __init__(self, errors: dict[str, list[str]] | None = None, message: str = "", **facts: Any) -> None:
        self.errors = errors or {}
        first = next((sentences[0] for sentences in self.errors.values() if sentences), "")
        super().__init__(message or first or _("Some fields are missing or wrong."), **facts)


class NotFound(DomainError):
    """There is no such thing, or it belongs to somebody else: the two must look alike."""

    code = "not_found"
    default_message = gettext_lazy("There is no such resource.")


class WrongState(DomainError):
    """The thing exists but is not in a state that allows the step, such as starting a campaign twice."""

    code = "conflict"
    default_message: str | Promise = gettext_lazy("This cannot be done in its present state.")
