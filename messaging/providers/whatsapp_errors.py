"""Meta's error codes for WhatsApp in our words. Spec: the vendor's error reference, read November 2026."""

import logging
from typing import Final

from messaging.providers.base import OutcomeKind

log = logging.getLogger(__name__)

ERRORS: Final[dict[int, tuple[OutcomeKind, str]]] = {
    # the account and its token
    0: ("retry", "provider_credentials"),
    3: ("retry", "provider_credentials"),
    10: ("retry", "provider_credentials"),
    190: ("retry", "provider_credentials"),
    131005: ("retry", "provider_credentials"),
    368: ("rejected", "provider_review"),
    130497: ("rejected", "provider_review"),  # may not write to this country
    131031: ("rejected", "provider_review"),  # account locked
    131037: ("rejected", "sender_not_approved"),  # display name not approved
    131042: ("retry", "provider_balance"),  # payment problem of the business
    131045: ("rejected", "sender_not_approved"),
    133010: ("rejected", "sender_not_approved"),  # number not registered
    133016: ("rejected", "sender_not_approved"),
    # too fast
    4: ("retry", "provider_busy"),
    80007: ("retry", "provider_busy"),
    130429: ("retry", "provider_busy"),
    131056: ("retry", "provider_busy"),  # too many to this person
    131048: ("rejected", "provider_review"),  # the number is restricted after complaints
    # their side
    131000: ("retry", "provider_error"),
    131016: ("retry", "provider_error"),
    131057: ("retry", "provider_error"),
    135000: ("rejected", "provider_refused"),
    # the person
    130472: ("rejected", "not_for_this_person"),  # takes part in an experiment of Meta's
    131026: ("rejected", "not_on_whatsapp"),
    131047: ("rejected", "window_closed"),
    131049: ("rejected", "too_much_marketing"),
    131050: ("rejected", "opted_out"),
    131021: ("rejected", "invalid_number"),  # recipient is the sender
    131030: ("rejected", "provider_refused"),  # test number: recipient not listed
    # what is sent
    100: ("rejected", "provider_refused"),
    131008: ("rejected", "provider_refused"),
    131009: ("rejected", "provider_refused"),
    131051: ("rejected", "provider_refused"),
    131052: ("rejected", "bad_file"),
    131053: ("rejected", "bad_file"),
    131063: ("rejected", "template_refused"),
    131064: ("rejected", "template_refused"),
    132000: ("rejected", "template_refused"),
    132001: ("rejected", "template_missing"),
    132005: ("rejected", "template_refused"),
    132007: ("rejected", "template_refused"),
    132008: ("rejected", "template_refused"),
    132012: ("rejected", "template_refused"),
    132015: ("rejected", "template_paused"),
    132016: ("rejected", "template_paused"),
    132068: ("rejected", "template_paused"),
    132069: ("retry", "provider_busy"),
}


def failure_for(code: int, status: int = 400) -> tuple[OutcomeKind, str]:
    """The class and our code of an error; 200 to 299 are permissions that are missing."""
    if 200 <= code <= 299:
        return "retry", "provider_credentials"
    if code in ERRORS:
        return ERRORS[code]
    log.warning("WhatsApp: unlisted error code %s", code)
    if status in (401, 403):
        return "retry", "provider_credentials"
    return ("retry", "provider_busy") if status == 429 else ("rejected", "provider_refused")
