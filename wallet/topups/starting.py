"""Starting a top-up: the row is committed, then the prompt is asked for, once (GUARANTEES.md P1)."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from crm.common.crypto import digest
from crm.common.errors import InvalidInput
from crm.common.money import format_money
from crm.common.phones import InvalidPhone, read_phone
from crm.common.sql import database_now
from wallet import wake
from wallet.errors import PromptOpen, RepeatBlocked, SameAmountAgain, TopUpsClosed
from wallet.models import Asked, PaymentAccount, TopUp, TopUpState, Wallet
from wallet.payments.base import Ask, PaymentMethod, Prompted
from wallet.services import open_wallet
from wallet.topups.accounts import callback_url, current_account, open_method
from wallet.topups.settling import FIRST_CHECK_SECONDS, fail_top_up

TWICE_SECONDS = 120  # within which the same amount again may be a double payment
REPEAT_BLOCKED_CODE = "17"  # M-Pesa's own refusal of such a repetition


@dataclass(frozen=True, slots=True)
class Started:
    """A top-up whose prompt is not asked for yet. token: of its callback address, kept nowhere else in the clear."""

    top_up: TopUp
    token: str = field(repr=False)


@needs("wallet.topup")
@transaction.atomic
def start_top_up(
    *,
    client: Client,
    amount: int,
    phone: str,
    method: str = "mpesa",
    started_by: User | None = None,
    return_to: str = "",
    sure: bool = False,
) -> Started:
    """Write the top-up down. amount: whole shillings; phone: as people write it.

    sure: a second payment of the same amount within two minutes is meant.
    Raises: InvalidInput (amount, phone_number), TopUpsClosed, PromptOpen, SameAmountAgain, RepeatBlocked.
    """
    number = check_order(client=client, amount=amount, phone=phone, method=method)
    account = current_account(method)
    adapter = open_method(account)
    open_wallet(client=client)
    # A write that changes nothing: from here on this client's top-ups are started one after the other.
    Wallet.objects.for_client(client).update(reserved_micros=F("reserved_micros"))
    now = database_now()
    _check_phone_is_free(number, now, adapter.prompt_seconds)
    _check_not_twice(client, number, amount, now, sure=sure)
    token = secrets.token_hex(32)
    return Started(_insert(client, account, number, amount, now, token, started_by, return_to), token)


def check_order(*, client: Client, amount: int, phone: str, method: str = "mpesa") -> str:
    """Whether such a top-up could be started; returns the phone as E.164. Raises: InvalidInput, TopUpsClosed."""
    adapter = open_method(current_account(method))
    if client.currency != adapter.currency:
        raise TopUpsClosed(
            _("{label} pays in {currency}; your account is in {yours}.").format(
                label=adapter.label, currency=adapter.currency, yours=client.currency
            )
        )
    number = _read_phone(adapter, client, phone)
    _check_amount(amount, adapter.currency)
    return number


def ask_for_prompt(*, started: Started) -> TopUp:
    """Ask the operator for the prompt, after the commit. One attempt; news replaces an answer that is lost."""
    top_up = started.top_up
    assert top_up.account is not None
    prompted = open_method(top_up.account).ask(
        Ask(
            amount=top_up.amount,
            phone=top_up.phone,
            reference=top_up.account_reference,
            description="Credit",
            callback_url=callback_url(started.token),
        )
    )
    return record_prompted(top_up_id=top_up.pk, prompted=prompted)


@transaction.atomic
def record_prompted(*, top_up_id: int, prompted: Prompted) -> TopUp:
    """Keep what became of the request, and have news that overtook it looked at now."""
    rows = TopUp.objects.unscoped().filter(pk=top_up_id)
    if prompted.kind == "accepted":
        rows.filter(asked__in=[Asked.NOT_YET, Asked.UNKNOWN], checkout_request_id="").update(
            asked=Asked.ACCEPTED,
            merchant_request_id=prompted.merchant_id[:100],
            checkout_request_id=prompted.request_id[:100],
        )
    elif prompted.kind == "unknown":
        rows.filter(asked=Asked.NOT_YET).update(asked=Asked.UNKNOWN, result_text=prompted.text[:200])
    else:
        asked = Asked.REFUSED if prompted.kind == "refused" else Asked.UNSENT
        rows.filter(asked=Asked.NOT_YET).update(asked=asked)
        fail_top_up(top_up_id=top_up_id, code=prompted.code, text=prompted.text)
    top_up = rows.select_related("client", "account").get()
    if top_up.events.filter(processed_at=None).exists():
        wake.top_up(top_up_id)
    return top_up


def limits() -> tuple[int, int]:
    """The least and the most of one top-up, in whole shillings."""
    return settings.TOPUP_MIN, settings.TOPUP_MAX


def _check_amount(amount: int, currency: str) -> None:
    least, most = limits()
    if isinstance(amount, bool) or not isinstance(amount, int) or not least <= amount <= most:
        shown = [format_money(bound, currency, plain=True).removesuffix(".00") for bound in (least, most)]
        raise InvalidInput(
            {"amount": [_("Give a whole amount from {least} to {most}.").format(least=shown[0], most=shown[1])]}
        )


def _read_phone(adapter: PaymentMethod, client: Client, phone: str) -> str:
    try:
        number = read_phone(phone, client.country).e164
    except InvalidPhone as error:
        raise InvalidInput({"phone_number": [str(error)]}) from None
    if not adapter.takes(number):
        raise InvalidInput(
            {"phone_number": [_("{label} reaches Kenyan mobile numbers only: 07… or 01….").format(label=adapter.label)]}
        )
    return number


def _check_phone_is_free(number: str, now: datetime, prompt_seconds: int) -> None:
    """One live prompt for each phone; one older than any prompt lives has gone."""
    live = TopUp.objects.unscoped().filter(live_phone=number)
    live.filter(created_at__lte=now - timedelta(seconds=prompt_seconds)).update(live_phone=None)
    if open_one := live.first():
        gone = open_one.created_at + timedelta(seconds=prompt_seconds)
        raise PromptOpen(retry_after=max(1, int((gone - now).total_seconds())))


def _check_not_twice(client: Client, number: str, amount: int, now: datetime, *, sure: bool) -> None:
    recent = TopUp.objects.for_client(client).filter(
        amount=amount, created_at__gt=now - timedelta(seconds=TWICE_SECONDS)
    )
    blocked = recent.filter(phone=number, result_code=REPEAT_BLOCKED_CODE, state=TopUpState.FAILED).first()
    if blocked:
        over = blocked.created_at + timedelta(seconds=TWICE_SECONDS)
        raise RepeatBlocked(retry_after=max(1, int((over - now).total_seconds())))
    if not sure and (first := recent.exclude(state=TopUpState.FAILED).first()):
        raise SameAmountAgain(transaction_id=first.transaction_id)


def _insert(
    client: Client,
    account: PaymentAccount,
    number: str,
    amount: int,
    now: datetime,
    token: str,
    started_by: User | None,
    return_to: str,
) -> TopUp:
    try:
        with transaction.atomic():
            return TopUp.objects.create(
                client=client,
                account=account,
                method=account.method,
                amount=amount,
                currency=client.currency,
                phone=number,
                live_phone=number,
                token_hash=digest(token),
                next_check_at=now + timedelta(seconds=FIRST_CHECK_SECONDS),
                started_by=started_by,
                return_to=return_to,
                created_at=now,
                **number_of(client, now),
            )
    except IntegrityError:  # somebody of another client asked the same phone at the same moment
        raise PromptOpen(retry_after=TWICE_SECONDS) from None


def number_of(client: Client, now: datetime) -> dict:
    """transaction_id and its parts for the client's next top-up. The caller holds the client's wallet row."""
    day = now.astimezone(ZoneInfo(client.time_zone)).date()
    last = TopUp.objects.for_client(client).filter(day=day).aggregate(last=Max("number"))["last"] or 0
    return {"day": day, "number": last + 1, "transaction_id": f"TXN-{day:%Y%m%d}-{last + 1:03}"}
