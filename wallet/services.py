"""Every movement of money: one conditional UPDATE of the wallet and its ledger entries, in one transaction.

Rows are taken in the order reservation, wallet; a caller with rows of its own takes those first. Once the wallet row is
written it is locked until the commit (on SQLite the whole database is), so what is read after it stays true.
All functions work inside a caller's transaction, which must roll back when one of them raises.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.audit import record_audit
from accounts.services.events import record_events
from crm.common.copying import WORTH_IT
from crm.common.money import format_money, from_micros, json_money, to_micros
from crm.common.months import number_in
from crm.common.sql import as_json, database_now, insert_rows, on_postgres, prepared_cursor, rows_sql
from wallet import queries
from wallet.errors import AdjustmentRefused, InsufficientBalance, RefundMismatch, ReservationShort
from wallet.models import EntryKind, LedgerEntry, PricePlan, Rate, Reservation, UnitRule, Wallet

# A plan for a currency that has none yet. It lets a new installation send; the operator sets real prices.
STANDARD_PLAN = "Standard"
STANDARD_UNIT_PRICE = Decimal(1)


Movement = tuple[str, int]  # reference, millionths
Entry = tuple[str, int, str | None]  # reference, millionths, and what it is within


@transaction.atomic
def open_wallet(*, client: Client, plan: PricePlan | None = None) -> Wallet:
    """The client's wallet, opened empty if there is none yet; without `plan` on the default plan of its currency.

    A currency without a default plan gets one: "Standard", per_160, SMS to any country at 1.00.
    Raises: ValueError for a plan in another currency.
    """
    wallet = Wallet.objects.for_client(client).first()
    if wallet:
        return wallet
    plan = plan or _default_plan(client.currency)
    if plan.currency != client.currency:
        raise ValueError(f"a client that pays in {client.currency} cannot have a plan in {plan.currency}")
    defaults = {"currency": client.currency, "price_plan": plan}
    return Wallet.objects.get_or_create(client=client, defaults=defaults)[0]


def _default_plan(currency: str) -> PricePlan:
    plan = PricePlan.objects.filter(currency=currency, is_default=True).first()
    return plan or create_price_plan(
        name=STANDARD_PLAN, currency=currency, price_per_unit=STANDARD_UNIT_PRICE, is_default=True
    )


@transaction.atomic
def create_price_plan(
    *,
    name: str,
    currency: str,
    price_per_unit: Decimal,
    unit_rule: str = UnitRule.PER_160,
    channel: str = "sms",
    is_default: bool = False,
) -> PricePlan:
    """A plan with one rate: `channel` to any country. Raises: ValueError for a negative price."""
    micros = to_micros(price_per_unit)
    if micros < 0:
        raise ValueError("a price is not negative")
    if is_default:
        plan, is_new = PricePlan.objects.get_or_create(
            currency=currency, is_default=True, defaults={"name": name, "unit_rule": unit_rule}
        )
        if not is_new:
            return plan
    else:
        plan = PricePlan.objects.create(name=name, currency=currency, unit_rule=unit_rule)
    Rate.objects.create(plan=plan, channel=channel, country="", unit_price_micros=micros)
    return plan


@transaction.atomic
@transaction.atomic
def set_rate(*, plan: PricePlan, channel: str, price_per_unit: Decimal, country: str = "", category: str = "") -> Rate:
    """What a unit costs on a channel from now on; country "": wherever no rate of its own is set. category: of what
    WhatsApp bills (models.BilledAs), "" for all that have no rate of their own.

    A rate that holds is not changed: a new one follows it. Raises: ValueError.
    """
    micros = to_micros(price_per_unit)
    place = {"plan": plan, "channel": channel, "country": country, "category": category}
    last = Rate.objects.filter(**place).order_by("-valid_from").first()
    if last is None:
        return Rate.objects.create(**place, unit_price_micros=micros)
    if last.unit_price_micros == micros:
        return last
    return Rate.objects.create(**place, unit_price_micros=micros, valid_from=database_now())


def set_price_plan(*, client: Client, plan: PricePlan) -> None:
    """Price what is accepted from now on by `plan`; what was accepted keeps its price (M7). Raises: ValueError."""
    before = Wallet.objects.for_client(client).select_related("price_plan").first()
    if not Wallet.objects.for_client(client).filter(currency=plan.currency).update(price_plan=plan):
        raise ValueError(f"{client} has no wallet in {plan.currency}")
    if before is not None and before.price_plan != plan:
        record_audit(
            client=client,
            action="wallet.plan_changed",
            target=f"wallet:{client.pk}",
            before={"plan": str(before.price_plan)},
            after={"plan": str(plan)},
        )


@transaction.atomic
def credit_wallet(*, client: Client, amount: Decimal, reference: str, description: str = "") -> LedgerEntry:
    """Add a payment, once per `reference`; opens the wallet if need be.

    Raises, and then moves nothing: ValueError (not positive), IntegrityError (credited before).
    """
    open_wallet(client=client)
    micros = _positive(amount)
    balance = _move(client.pk, balance=micros)
    _tell_balance(client.pk, micros, balance, reference)
    return _record(client.pk, EntryKind.CREDIT, micros, balance, reference, description)


@transaction.atomic
def grant_trial_credit(*, client: Client) -> LedgerEntry | None:
    """What TRIAL_UNITS messages to the client's own country cost, as a gift to a new client, once. None where the
    operator gives nothing, there is no price, or it was given before.
    """
    wallet = open_wallet(client=client)
    price = queries.balance_of(client.pk).unit_price
    given = LedgerEntry.objects.for_client(client).filter(kind=EntryKind.CREDIT, reference=queries.TRIAL).exists()
    if not settings.TRIAL_UNITS or not price or given:
        return None
    amount = settings.TRIAL_UNITS * price
    words = _("Trial credit: %(units)s units") % {"units": settings.TRIAL_UNITS}
    return credit_wallet(client=wallet.client, amount=amount, reference=queries.TRIAL, description=words)


def needs_second_person(amount: Decimal) -> bool:
    """Whether an adjustment of this size, up or down, in any currency, is for two people (M10)."""
    return abs(amount) > settings.ADJUSTMENT_ALONE_UP_TO


@transaction.atomic
def adjust_balance(
    *,
    client: Client,
    amount: Decimal,
    reason: str,
    by: User,
    reference: str,
    approved_by: User | None = None,
) -> LedgerEntry:
    """Correct a balance by hand, up or down, once per `reference` (M10).

    `by` is staff; an amount that `needs_second_person` also needs another member of staff, `approved_by`.
    Raises, and then moves nothing: AdjustmentRefused, InsufficientBalance, ValueError (zero), IntegrityError.
    """
    micros = to_micros(amount)
    if not micros:
        raise ValueError("an adjustment moves something")
    if not reason.strip():
        raise AdjustmentRefused("Give the reason for this adjustment.")
    if not by.is_staff:
        raise AdjustmentRefused("Only staff can adjust a balance.")
    if needs_second_person(amount) and (approved_by is None or approved_by == by or not approved_by.is_staff):
        limit = format_money(Decimal(settings.ADJUSTMENT_ALONE_UP_TO), client.currency, plain=True)
        raise AdjustmentRefused(f"An adjustment above {limit} needs a second member of staff.")
    open_wallet(client=client)
    balance = _move(client.pk, balance=micros)
    _tell_balance(client.pk, micros, balance, reference)
    description = reason.strip() + (f" (approved by {approved_by})" if approved_by else "")
    entry = _record(client.pk, EntryKind.ADJUSTMENT, micros, balance, reference, description[:200], by)
    record_audit(
        client=client,
        action="wallet.adjusted",
        target=f"wallet:{client.pk}",
        before={"balance": from_micros(balance - micros)},
        after={"balance": from_micros(balance), "amount": amount, "reason": description, "by": str(by)},
    )
    return entry


@transaction.atomic
def debit_wallet(*, client: Client, amount: Decimal, reference: str, description: str = "") -> LedgerEntry:
    """Take `amount`, once per `reference`, from what is not reserved.

    Raises, and then moves nothing: InsufficientBalance, ValueError (not positive), IntegrityError (taken before).
    """
    micros = _positive(amount)
    balance = _move(client.pk, balance=-micros)
    return _record(client.pk, EntryKind.DEBIT, -micros, balance, reference, description)


def check_affordable(*, client: Client, micros: int) -> None:
    """Whether what is not reserved would pay this. Moves nothing. Raises: InsufficientBalance."""
    if micros > to_micros(queries.balance_of(client.pk).available):
        raise _insufficient(client.pk, micros)


def debit_many(
    *,
    client_id: int,
    charges: Sequence[Movement],
    description: str = "",
    reservation: str | None = None,
    caller_undoes: bool = False,
) -> int:
    """Take the sum of `charges` in one step and write an entry for each; charges of zero write none.

    reservation: reference of the reservation that pays, and that the entries are `within`; without one, what is not
    reserved pays. caller_undoes: what this raises ends the caller's transaction as well, so no savepoint is set, which
    is two round trips.
    Returns: the sum taken, in micros. The number of statements does not depend on how many charges there are.
    Raises, and then moves nothing: InsufficientBalance, ReservationShort, ValueError (negative), IntegrityError.
    """
    if any(micros < 0 for _, micros in charges):
        raise ValueError("a charge is not negative")
    charges = [charge for charge in charges if charge[1]]
    total = sum(micros for _, micros in charges)
    if not total:
        return 0
    taken = [(reference, -micros, reservation) for reference, micros in charges]
    with transaction.atomic(savepoint=not caller_undoes):
        if reservation is not None:
            _draw(client_id, reservation, total)
        _move_many(client_id, EntryKind.DEBIT, taken, -total if reservation is not None else 0, description)
    return total


@transaction.atomic
def refund_many(*, client_id: int, refunds: Sequence[Movement], description: str = "") -> dict[str, int]:
    """Give back what failed messages cost, each reference at most once; repeats are left out, so a retry is harmless.

    Returns: the micros refunded now, by reference.
    Raises, and then moves nothing: RefundMismatch when an amount is not that of the debit with its reference.
    """
    wanted = {reference: micros for reference, micros in refunds if micros}
    if not wanted:
        return {}
    balance = _move(client_id)  # takes the lock: what is read of the ledger from here on cannot change
    known = queries.movements_of(client_id, wanted)
    fresh: dict[str, int] = {}
    for reference, micros in wanted.items():
        moved = known.get(reference)
        if moved is None or moved.debit != -micros:
            raise RefundMismatch(reference=reference)
        if moved.refund is None:
            fresh[reference] = micros
    if fresh:
        _move(client_id, balance=sum(fresh.values()))
        given = [(reference, micros, known[reference].within) for reference, micros in fresh.items()]
        _record_many(client_id, EntryKind.REFUND, given, balance, description)
    return fresh


@transaction.atomic
def reserve(*, client: Client, amount: Decimal, reference: str) -> Reservation:
    """Hold `amount` of what is not yet reserved, for charges that name `reference`.

    Raises, and then holds nothing: InsufficientBalance, ValueError (negative), IntegrityError (reserved before).
    """
    micros = to_micros(amount)
    if micros < 0:
        raise ValueError("a reservation is not negative")
    if not Wallet.objects.for_client(client).exists():
        raise _insufficient(client.pk, micros)
    held = Reservation.objects.create(
        wallet_id=client.pk, reference=reference, amount_micros=micros, remaining_micros=micros
    )
    _move(client.pk, reserved=micros)
    return held


@transaction.atomic
def release_reservation(*, client_id: int, reference: str) -> Decimal:
    """Free what a reservation still holds. Returns the amount: zero when it was released, used up or never made."""
    mine = Reservation.objects.for_client(client_id).filter(reference=reference)
    # A write that changes nothing locks the row, so that no charge can draw on it between reading and emptying it.
    if not mine.update(remaining_micros=F("remaining_micros")):
        return Decimal("0.00")
    held = mine.get().remaining_micros
    if held:
        mine.update(remaining_micros=0)
        _move(client_id, reserved=-held)
    return from_micros(held)


@transaction.atomic
def withdraw_reservation(*, client_id: int, reference: str) -> Decimal:
    """Free a reservation on which nothing was ever drawn and forget it, so that `reference` may be reserved anew.

    Returns the amount freed. What was drawn on stays, as release_reservation leaves it.
    """
    freed = release_reservation(client_id=client_id, reference=reference)
    unused = Reservation.objects.for_client(client_id).filter(reference=reference, remaining_micros=0)
    unused.filter(amount_micros=to_micros(freed)).delete()
    return freed


@transaction.atomic
def repair_sums(*, client_id: int) -> None:
    """Set the cached balance and reserve to the sums of their rows; entries and reservations are never touched.

    Raises: IntegrityError where the rows themselves break a rule, such as a negative sum; that needs a person.
    """
    _move(client_id)
    entries, reservations = LedgerEntry.objects.for_client(client_id), Reservation.objects.for_client(client_id)
    Wallet.objects.for_client(client_id).update(
        balance_micros=entries.aggregate(total=Sum("amount_micros"))["total"] or 0,
        reserved_micros=reservations.aggregate(total=Sum("remaining_micros"))["total"] or 0,
    )


# --- the only statements that touch a wallet's sums -------------------------------------------------------------------

# What leaves or is newly held must be there: taken from the reserve it was held before, otherwise it must be available.
_MOVE = """
UPDATE wallet_wallet SET balance_micros = balance_micros + %(balance)s, reserved_micros = reserved_micros + %(reserved)s
WHERE client_id = %(client)s AND reserved_micros + %(reserved)s >= 0 AND (
    CAST(%(reserved)s AS bigint) - %(balance)s <= 0
    OR balance_micros - reserved_micros >= CAST(%(reserved)s AS bigint) - %(balance)s)
RETURNING balance_micros
"""


def _move(client_id: int, *, balance: int = 0, reserved: int = 0) -> int:
    """Change both sums by as much, if the money is there; returns the balance after. Raises: InsufficientBalance."""
    with prepared_cursor() as cursor:
        cursor.execute(_MOVE, {"balance": balance, "reserved": reserved, "client": client_id})
        found = cursor.fetchall()
    if not found:
        raise _insufficient(client_id, reserved - balance)
    return found[0][0]


def _insufficient(client_id: int, needed: int) -> InsufficientBalance:
    now = queries.balance_of(client_id)
    return InsufficientBalance(
        needed=from_micros(needed), available=now.available, balance=now.balance, currency=now.currency
    )


def _draw(client_id: int, reference: str, micros: int) -> None:
    held = Reservation.objects.for_client(client_id).filter(reference=reference, remaining_micros__gte=micros)
    if not held.update(remaining_micros=F("remaining_micros") - micros):
        raise ReservationShort(reference=reference, needed=from_micros(micros))


def _positive(amount: Decimal) -> int:
    micros = to_micros(amount)
    if micros <= 0:
        raise ValueError("an amount to move is positive")
    return micros


def _tell_balance(client_id: int, micros: int, balance_after: int, reference: str) -> None:
    """The event `balance.updated`: somebody put money in, or corrected the balance. What sending costs is not told."""
    data = {
        "old_balance": json_money(balance_after - micros),
        "new_balance": json_money(balance_after),
        "amount_added": json_money(micros),
        "transaction_id": reference.removeprefix("topup:"),
    }
    record_events(client_id, [("balance.updated", data)])


def _record(
    client_id: int,
    kind: EntryKind,
    micros: int,
    balance_after: int,
    reference: str,
    description: str,
    by: User | None = None,
) -> LedgerEntry:
    return LedgerEntry.objects.create(
        wallet_id=client_id,
        kind=kind,
        amount_micros=micros,
        balance_after_micros=balance_after,
        reference=reference,
        description=description,
        by=by,
        period=number_in(reference),
    )


_ENTRY_COLUMNS = (
    "wallet_id", "kind", "amount_micros", "balance_after_micros", "reference", "within", "description", "created_at",
    "period",
)  # fmt: skip


def _record_many(
    client_id: int,
    kind: EntryKind,
    movements: Sequence[Entry],
    balance_before: int,
    description: str,
) -> None:
    insert_rows(LedgerEntry, _ENTRY_COLUMNS, _entry_rows(client_id, kind, movements, balance_before, description))


def _entry_rows(
    client_id: int, kind: EntryKind, movements: Sequence[Entry], balance_before: int, description: str
) -> list[tuple]:
    now: datetime = timezone.now()
    rows, balance = [], balance_before
    for reference, micros, within in movements:
        balance += micros
        period = number_in(reference)
        rows.append((client_id, kind.value, micros, balance, reference, within, description, now, period))
    return rows


def _move_many(client_id: int, kind: EntryKind, movements: Sequence[Entry], reserved: int, description: str) -> None:
    """Change the balance by the sum of movements, if the money is there, and write an entry for each.

    On PostgreSQL a few in one statement: a client's other sends wait for the wallet's row from here to the commit, so
    every round trip in between costs all of them. Of many the entries are copied. Raises: InsufficientBalance.
    """
    total = sum(micros for _, micros, _ in movements)
    if not on_postgres() or len(movements) >= WORTH_IT:
        balance = _move(client_id, balance=total, reserved=reserved)
        _record_many(client_id, kind, movements, balance - total, description)
        return
    columns = ", ".join(f'"{column}"' for column in _ENTRY_COLUMNS)
    values = ", ".join(
        "moved.balance_micros + v.balance_after_micros" if column == "balance_after_micros" else f'v."{column}"'
        for column in _ENTRY_COLUMNS
    )
    statement = (
        f"WITH moved AS ({_MOVE}) INSERT INTO wallet_ledgerentry ({columns}) "
        f"SELECT {values} FROM {rows_sql(LedgerEntry, _ENTRY_COLUMNS)} CROSS JOIN moved"
    )
    rows = _entry_rows(client_id, kind, movements, -total, description)  # what each leaves, counted from the end
    asked = {"balance": total, "reserved": reserved, "client": client_id, "rows": as_json(rows)}
    with prepared_cursor() as cursor:
        cursor.execute(statement.replace("%s", "%(rows)s"), asked)
        if not cursor.rowcount:
            raise _insufficient(client_id, reserved - total)
