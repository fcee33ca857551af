"""What a client may send, set by staff, and which campaigns its organisation wants a second person to approve."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import DomainError, InvalidInput
from crm.common.text_units import clean_text
from messaging.models import SendingRules

_LIMITS = (
    "trial", "equal_per_hour", "any_per_hour", "any_per_day", "messages_per_day", "spend_per_day_micros",
    "foreign_per_day", "countries",
)  # fmt: skip


def rules_of(client: Client) -> SendingRules:
    """The client's row, or an unsaved one with the defaults."""
    return SendingRules.objects.for_client(client).first() or SendingRules(client=client)


@transaction.atomic
def set_limits(
    *,
    client: Client,
    trial: bool = False,
    equal_per_hour: int | None = None,
    any_per_hour: int | None = None,
    any_per_day: int | None = None,
    messages_per_day: int | None = None,
    spend_per_day_micros: int | None = None,
    foreign_per_day: int | None = None,
    countries: Sequence[str] | None = None,
) -> SendingRules:
    """Set all limits of a client (models.rules has their meaning); they hold for the next call."""
    before = {field: getattr(rules_of(client), field) for field in _LIMITS}
    rules, _made = SendingRules.objects.update_or_create(
        client=client,
        defaults={
            "trial": trial,
            "equal_per_hour": equal_per_hour,
            "any_per_hour": any_per_hour,
            "any_per_day": any_per_day,
            "messages_per_day": messages_per_day,
            "spend_per_day_micros": spend_per_day_micros,
            "foreign_per_day": foreign_per_day,
            "countries": None if countries is None else sorted(set(countries)),
        },
    )
    kept = {field: getattr(rules, field) for field in _LIMITS}
    record_audit(client=client, action="sending_limits.changed", before=before, after=kept)
    return rules


@needs("campaigns.policy")
@transaction.atomic
def set_approval_policy(*, client: Client, above_people: int | None, above_micros: int | None) -> SendingRules:
    """Which campaigns wait for a second person: more people, or a higher cost; None: no limit of that kind.

    Raises: InvalidInput (above_people, above_micros: negative).
    """
    errors = {
        name: [_("Give a number, zero or more.")]
        for name, value in (("above_people", above_people), ("above_micros", above_micros))
        if value is not None and value < 0
    }
    if errors:
        raise InvalidInput(errors)
    old = rules_of(client)
    before = {"above_people": old.approve_above_people, "above_micros": old.approve_above_micros}
    rules, _made = SendingRules.objects.update_or_create(
        client=client, defaults={"approve_above_people": above_people, "approve_above_micros": above_micros}
    )
    after = {"above_people": above_people, "above_micros": above_micros}
    record_audit(client=client, action="approval_policy.changed", before=before, after=after)
    return rules


@needs("campaigns.policy")
@transaction.atomic
def set_endings(*, client: Client, signature: str, opt_out_text: str) -> SendingRules:
    """What ends the messages written on the pages. Raises: InvalidInput (signature, opt_out_text)."""
    errors: dict[str, list[str]] = {}
    clean: dict[str, str] = {}
    for name, typed, longest in (("signature", signature, 60), ("opt_out_text", opt_out_text, 80)):
        try:
            clean[name] = " ".join(clean_text(typed).split())
        except DomainError as error:
            errors[name] = [str(error)]
            continue
        if len(clean[name]) > longest:
            errors[name] = [_("At most {n} characters.").format(n=longest)]
        elif "{" in clean[name] or "}" in clean[name]:
            errors[name] = [_("Merge fields belong into the text.")]
    if errors:
        raise InvalidInput(errors)
    rules, _made = SendingRules.objects.update_or_create(client=client, defaults=clean)
    record_audit(client=client, action="message_endings.changed", after=clean)
    return rules


@needs("campaigns.policy")
@transaction.atomic
def set_policy(
    *, client: Client, signature: str, opt_out_text: str, above_people: int | None, above_micros: int | None
) -> SendingRules:
    """Both together, or nothing. Raises: InvalidInput."""
    set_endings(client=client, signature=signature, opt_out_text=opt_out_text)
    return set_approval_policy(client=client, above_people=above_people, above_micros=above_micros)
