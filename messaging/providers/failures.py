"""Our words for why a message did not arrive, shared by every provider adapter.

An adapter translates its vendor's words into one of these codes and keeps the vendor's own beside it. Pages, reports
and the native API print `words` and `advice` (UX.md §13) and offer a retry only where `retry_helps`.
"""

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Failure:
    """One cause. `retry_helps`: sending the same text to the same number again, later, may succeed."""

    code: str
    words: str | Promise
    advice: str | Promise
    retry_helps: bool


_ALL = (
    # The number
    Failure("invalid_number", _("Number does not exist"), _("Correct the number in the contact."), False),
    Failure("unsupported_number", _("Not a mobile number"), _("Use a number that can receive SMS."), False),
    Failure("unknown_subscriber", _("Number does not exist"), _("Ask the person for their present number."), False),
    Failure("inactive", _("Number is not in use"), _("Ask the person for their present number."), False),
    Failure(
        "moved_network", _("Number moved network"), _("Send again by another provider or ask for the network."), True
    ),
    Failure("unreachable", _("Phone off or out of reach"), _("Try again later."), True),
    Failure("expired", _("Expired before the phone was reached"), _("Try again later."), True),
    Failure("bad_mailbox", _("This email address does not exist"), _("Correct the address in the contact."), False),
    Failure("mailbox_full", _("The mailbox is full"), _("Try again later."), True),
    # The person
    Failure("complained", _("Marked as spam by the person"), _("Do not write to this address again."), False),
    Failure(
        "blocked",
        _("Blocked promotions or opted out"),
        _("Only the person can lift this; on Safaricom by dialling *456*9#."),
        False,
    ),
    Failure("opted_out", _("Opted out of your messages"), _("Do not send again unless they ask you to."), False),
    Failure("quiet_hours", _("Refused at this hour by the network"), _("Send it in the day."), True),
    Failure("recipient_credit", _("Not enough balance on the phone"), _("Only paid services are affected."), True),
    Failure("not_subscribed", _("Not subscribed to this service"), _("The person must subscribe first."), False),
    # The sender and the text
    Failure("sender_not_approved", _("Sender not approved"), _("Use an approved sender or wait for approval."), False),
    Failure("rejected_by_network", _("Rejected by network"), _("Change the text or the sender."), False),
    Failure("delivery_failed", _("The network could not deliver it"), _("Try again later."), True),
    # WhatsApp
    Failure("not_on_whatsapp", _("Not on WhatsApp"), _("Send an SMS instead."), False),
    Failure(
        "window_closed",
        _("They have not written to you in the last 24 hours"),
        _("Send an approved template instead."),
        False,
    ),
    Failure("too_much_marketing", _("WhatsApp shows this person no more offers today"), _("Try again tomorrow."), True),
    Failure("not_for_this_person", _("WhatsApp does not deliver to this person"), _("Send an SMS instead."), False),
    Failure(
        "template_missing",
        _("The template is not approved in this language"),
        _("Choose an approved template or language."),
        False,
    ),
    Failure("template_refused", _("The template does not fit"), _("Check its variables and its text."), False),
    Failure("template_paused", _("WhatsApp has paused the template"), _("Use another template."), False),
    Failure("bad_file", _("The file could not be sent"), _("Check its address, type and size."), False),
    # The provider's account and line
    Failure("provider_balance", _("The provider account is out of credit"), _("The operator must top it up."), True),
    Failure("provider_credentials", _("The provider refused our key"), _("The operator must correct it."), True),
    Failure("provider_review", _("The provider is reviewing the account"), _("The operator must contact it."), True),
    Failure("provider_busy", _("The provider asked us to slow down"), _("It is sent again by itself."), True),
    Failure("provider_error", _("The provider could not take it"), _("It is sent again by itself."), True),
    Failure("provider_unreachable", _("The provider could not be reached"), _("It is sent again by itself."), True),
    Failure("provider_refused", _("The provider refused it"), _("See the technical details."), False),
    Failure("provider_address", _("The provider's address is wrong"), _("The operator must correct it."), True),
    Failure("not_routed", _("No way to this network"), _("Another provider may reach it."), True),
    Failure("waited_too_long", _("No provider could take it in time"), _("Send it again once a provider works."), True),
    Failure("left_out", _("The provider did not take this number"), _("It is sent again by itself."), True),
    Failure(
        "no_clear_answer",
        _("The provider's answer was lost"),
        _("It may have arrived. It is not sent again until that is known."),
        False,
    ),
    Failure(
        "sender_lost",
        _("Our sender stopped in the middle"),
        _("It may have arrived. It is not sent again until that is known."),
        False,
    ),
)

FAILURES: Final[dict[str, Failure]] = {failure.code: failure for failure in _ALL}


def failure_of(code: str) -> Failure:
    """The failure of that code; a code of an older release reads as the provider's plain refusal."""
    return FAILURES.get(code) or FAILURES["provider_refused"]
