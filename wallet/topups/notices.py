"""Letters about money, to the people who look after it: a balance that runs low, a payment that came late."""

import logging
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Max
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Client, Role
from crm.common.errors import InvalidInput
from crm.common.money import format_money, from_micros, to_micros
from crm.common.sql import database_now
from wallet.models import LedgerEntry, LowBalanceNotice, TopUp, Wallet

log = logging.getLogger(__name__)

WHO_IS_TOLD = (Role.OWNER, Role.FINANCE)
MOST_AT_ONCE = 200


def set_low_balance(*, client: Client, amount: int) -> None:
    """Below which balance the client wants to be warned; whole units, 0 for never. Raises: InvalidInput."""
    if isinstance(amount, bool) or not 0 <= amount <= 100_000_000:
        raise InvalidInput({"amount": ["Give a whole amount of at most 100,000,000, or 0 for no warning."]})
    Client.objects.filter(pk=client.pk).update(low_balance_micros=to_micros(amount))


def write_low_balance_letters() -> int:
    """Write to the owner and finance of each client whose balance is low, once a day, and only after money moved.

    So an account that nobody uses is not reminded for ever. Returns how many clients were written to.
    """
    low = (
        Wallet.objects.unscoped()
        .filter(balance_micros__lt=F("client__low_balance_micros"), client__state="active", client__simulation=False)
        .select_related("client", "client__low_balance_notice")
        .order_by("pk")[:MOST_AT_ONCE]
    )
    return sum(_write_low(wallet) for wallet in low)


def _write_low(wallet: Wallet) -> bool:
    client, now = wallet.client, database_now()
    today = now.astimezone(ZoneInfo(client.time_zone)).date()
    newest = LedgerEntry.objects.for_client(client).aggregate(newest=Max("pk"))["newest"] or 0
    last = getattr(client, "low_balance_notice", None)
    if not newest or (last and (last.day >= today or last.entry_id >= newest)):
        return False
    with transaction.atomic():
        rows = LowBalanceNotice.objects.for_client(client)
        if last:
            fresh = rows.filter(day=last.day).update(day=today, entry_id=newest)
        else:
            fresh = rows.get_or_create(client=client, defaults={"day": today, "entry_id": newest})[1]
    if not fresh:  # another process writes
        return False
    balance = format_money(from_micros(wallet.balance_micros), client.currency, plain=True)
    context = {
        "client": client,
        "balance": balance,
        "threshold": format_money(from_micros(client.low_balance_micros), client.currency, plain=True),
        "address": settings.PUBLIC_URL + reverse("wallet:topup"),
    }
    _send(client, _("Low balance: %(balance)s") % {"balance": balance}, "emails/low_balance.txt", context)
    return True


def tell_late_success(*, top_up_id: int) -> None:
    """A payment that was shown as failed has arrived after all."""
    top_up = TopUp.objects.unscoped().select_related("client").filter(pk=top_up_id, state="completed").first()
    if top_up is None:
        return
    amount = format_money(top_up.amount, top_up.currency, plain=True)
    context = {
        "top_up": top_up,
        "amount": amount,
        "address": settings.PUBLIC_URL + reverse("wallet:topup_detail", args=[top_up.pk]),
    }
    _send(top_up.client, _("%(amount)s received") % {"amount": amount}, "emails/late_success.txt", context)


def _send(client: Client, subject: str, template: str, context: dict) -> None:
    """One letter to each, after the commit; a mail server that is away costs the letter, not the money."""
    members = client.memberships.filter(role__in=WHO_IS_TOLD, user__is_active=True).select_related("user")
    text = render_to_string(template, context | {"brand": settings.BRAND_NAME})
    for address in sorted({member.user.email for member in members}):
        try:
            EmailMessage(subject, text, to=[address]).send()
        except OSError as error:  # SMTP's errors are OSErrors
            log.warning("a letter about money of client %d was not sent: %s", client.pk, type(error).__name__)
