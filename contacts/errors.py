"""What contacts refuse. The codes are those of crm.common.errors; the facts say which case it is."""

from django.utils.translation import gettext_lazy

from crm.common.errors import InvalidInput, WrongState


class ContactExists(WrongState):
    """The number (or, without one, the email address) is in the book already. Fact: `contact_id`."""

    default_message = gettext_lazy("This contact is in your book already.")


class GroupExists(WrongState):
    """Another group of the client has this name. Fact: `group_id`."""

    default_message = gettext_lazy("There is a group of this name already.")


class UnreadableFile(InvalidInput):
    """The upload is not a table we can read; nothing was stored. Fact: `reason`, such as "empty" or "too_large"."""

    def __init__(self, sentence: str, *, reason: str) -> None:
        super().__init__({"file": [sentence]}, reason=reason)
