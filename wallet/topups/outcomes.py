"""What a top-up's state means to a person: the sentence, the next step, and what the page offers."""

from django.utils.translation import gettext_noop as _

from wallet.models import Asked, TopUp
from wallet.payments.base import Words
from wallet.payments.registry import get_method

_UNREACHABLE = Words(
    "unreachable",
    _("M-Pesa cannot be reached right now. No prompt was sent and nothing was paid."),
    _("Try again in half a minute, or pay by paybill."),
    ("again", "paybill"),
    wait_seconds=30,
)
UNKNOWN = Words(
    "unknown",
    _("We do not know yet. Do not pay again; we keep checking and will write to you."),
    _(
        "You can leave this page: the credit appears here as soon as M-Pesa confirms. If the money left the phone and "
        "is not here in a day, tell us the reference below."
    ),
    ("leave", "paybill"),
)


def words_of(top_up: TopUp) -> Words:
    """For a top-up that failed, by the operator's last word."""
    method = get_method(top_up.method)
    if top_up.asked == Asked.UNSENT:
        return _UNREACHABLE
    if top_up.asked == Asked.REFUSED:
        return method.refusal(top_up.result_code, top_up.result_text)
    return method.words_for(top_up.result_code)
