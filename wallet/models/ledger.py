"""What a client owns and owes: the wallet, its append-only ledger, money held for campaigns, and the price plan."""

from datetime import UTC, datetime
from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from crm.common.channels import Channel
from crm.common.tenancy import TenantManager, TenantQuerySet


class UnitRule(models.TextChoices):
    """How a text becomes billed units; Unicode text is billed by segments under both (crm.common.text_units)."""

    PER_160 = "per_160", "One unit per 160 characters started"
    SEGMENTS = "segments", "One unit per SMS segment"


class PricePlan(models.Model):
    """A price list in one currency, shared by the wallets on it. `is_default`: what new wallets of the currency get."""

    name = models.CharField(max_length=80)
    currency = models.CharField(max_length=3)
    unit_rule = models.CharField(max_length=10, choices=UnitRule, default=UnitRule.PER_160)
    is_default = models.BooleanField(default=False)

    class Meta:
        ordering = ["currency", "name"]
        constraints = [
            models.UniqueConstraint(fields=["currency"], condition=Q(is_default=True), name="price_plan_one_default")
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.currency})"


SINCE_EVER = datetime(2000, 1, 1, tzinfo=UTC)


class BilledAs(models.TextChoices):
    """What WhatsApp bills a message as. service: free text within the 24 hours after the person wrote."""

    UTILITY = "utility", "Utility"
    MARKETING = "marketing", "Marketing"
    AUTHENTICATION = "authentication", "Authentication"
    SERVICE = "service", "Service (free text within 24 hours)"


class Rate(models.Model):
    """The price of one unit on a channel to a country (ISO 3166; "" is any country without a rate of its own).

    It holds from the moment `valid_from` until another of the same plan, channel and country does; once it holds it is
    not changed any more, so that what was priced by it can be priced again. unit_cost: what the unit costs us with the
    provider, null where that is not known. micros: millionths of the plan's currency.
    category: what WhatsApp bills a message as; "" is any without a rate of its own, and all of the other channels.
    """

    plan = models.ForeignKey(PricePlan, on_delete=models.CASCADE, related_name="rates")
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.SMS)
    country = models.CharField(max_length=2, blank=True)
    category = models.CharField(max_length=15, choices=BilledAs, blank=True, default="", db_default="")
    valid_from = models.DateTimeField(default=SINCE_EVER)
    unit_price_micros = models.BigIntegerField()
    unit_cost_micros = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["channel", "country", "valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "channel", "country", "category", "valid_from"], name="rate_once_at_a_time"
            ),
            models.CheckConstraint(condition=Q(unit_price_micros__gte=0), name="rate_not_negative"),
            models.CheckConstraint(
                condition=Q(unit_cost_micros=None) | Q(unit_cost_micros__gte=0), name="rate_cost_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.country or 'any country'}"


class Wallet(models.Model):
    """A client's prepaid money; its key is the client's. micros: millionths of `currency`.

    `balance_micros` is the cached sum of the entries and `reserved_micros` that of the reservations; both move only by
    the conditional statements in services.py, in the transaction that writes the entry or the reservation.
    """

    client = models.OneToOneField("accounts.Client", primary_key=True, on_delete=models.PROTECT, related_name="wallet")
    currency = models.CharField(max_length=3)
    price_plan = models.ForeignKey(PricePlan, on_delete=models.PROTECT, related_name="wallets")
    balance_micros = models.BigIntegerField(default=0)
    reserved_micros = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=Q(balance_micros__gte=0), name="wallet_balance_not_negative"),
            models.CheckConstraint(
                condition=Q(reserved_micros__gte=0, reserved_micros__lte=F("balance_micros")),
                name="wallet_reserved_within_balance",
            ),
        ]
        permissions = [("adjust_balance", "Can adjust a client's balance")]

    def __str__(self) -> str:
        return f"Wallet of client {self.client_id}"


class WalletRows(TenantQuerySet):
    """Rows that hang on a wallet, whose key is the client's."""

    def for_client(self, client: Any) -> "WalletRows":
        return self.unscoped().filter(wallet_id=getattr(client, "pk", client))


WalletRowsManager = models.Manager.from_queryset(WalletRows, class_name="WalletRowsManager")


class EntryKind(models.TextChoices):
    CREDIT = "credit"
    DEBIT = "debit"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"


CARRIED = "month:"


class EntryIsFinal(TypeError):
    """Code tried to change or delete a ledger entry. A mistake is corrected by another entry (GUARANTEES.md M3)."""


class LedgerEntry(models.Model):
    """One signed movement, never updated or deleted: the model and triggers in the database refuse.

    micros: millionths of wallet.currency; credit, refund > 0 > debit; an adjustment has either sign. Within a wallet
    the order of the keys is the order of the movements. `reference` names the cause without personal data
    ("topup:17", "message:81"); with the kind it is unique in a wallet, which makes a retry harmless. `within` names
    what the cause is part of, such as "campaign:81": a statement sums those up in one line.

    `period` is the month in whose keys the reference lies (crm.common.months), 0 for one that names no key. PostgreSQL
    partitions by it, checks it, and has it in `ledger_entry_once`: unique in each month is then unique in all. Of a
    month that was put away the sums stay, as entries whose reference begins with CARRIED (wallet/months.py).
    """

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="entries", db_index=False)
    kind = models.CharField(max_length=12, choices=EntryKind)
    amount_micros = models.BigIntegerField()
    balance_after_micros = models.BigIntegerField()
    reference = models.CharField(max_length=64)
    within = models.CharField(max_length=64, null=True)  # noqa: DJ001 - null: added without rewriting the ledger
    description = models.CharField(max_length=200, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now)
    period = models.IntegerField(default=0, db_default=0)

    objects = WalletRowsManager()

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["wallet", "kind", "reference"], name="ledger_entry_once"),
            models.CheckConstraint(condition=Q(balance_after_micros__gte=0), name="ledger_entry_balance_not_negative"),
            models.CheckConstraint(
                condition=Q(kind="debit", amount_micros__lt=0)
                | Q(kind__in=["credit", "refund"], amount_micros__gt=0)
                | (Q(kind="adjustment") & ~Q(amount_micros=0)),
                name="ledger_entry_sign_of_kind",
            ),
        ]
        indexes = [
            models.Index(fields=["wallet", "-id"], name="ledger_entry_newest"),
            models.Index(fields=["wallet", "kind", "-id"], name="ledger_entry_newest_of_kind"),
            models.Index(fields=["wallet", "created_at"], name="ledger_entry_by_time"),
            models.Index(
                fields=["wallet", "within", "kind", "-id"],
                condition=Q(within__isnull=False),
                name="ledger_entry_within_of_kind",
            ),
            models.Index(fields=["by"], condition=Q(by__isnull=False), name="ledger_entry_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise EntryIsFinal("a ledger entry is never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise EntryIsFinal("a ledger entry is never deleted")


class Reservation(models.Model):
    """Money held for one cause, such as "campaign:81". Charges draw on it; what remains is released at the end."""

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="reservations", db_index=False)
    reference = models.CharField(max_length=64)
    amount_micros = models.BigIntegerField()
    remaining_micros = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    objects = WalletRowsManager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["wallet", "reference"], name="reservation_once"),
            models.CheckConstraint(
                condition=Q(remaining_micros__gte=0, remaining_micros__lte=F("amount_micros")),
                name="reservation_remaining_within_amount",
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class RequestState(models.TextChoices):
    """waiting → approved (the money moved) | declined."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"


class AdjustmentRequest(models.Model):
    """An adjustment above the limit, until a second member of staff decides (GUARANTEES.md M10)."""

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="+")
    amount_micros = models.BigIntegerField()
    reason = models.CharField(max_length=150)
    reference = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=RequestState, default=RequestState.WAITING)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = WalletRowsManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["wallet", "reference"], name="adjustment_request_once")]

    def __str__(self) -> str:
        return self.reference


class ReconciliationRun(models.Model):
    """One comparison of the books, begun by the clock. results: by check what differs, a list of texts; finished_at:
    null while it runs, or where its process died.
    """

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    differences = models.PositiveIntegerField(default=0)
    results = models.JSONField(default=dict)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} UTC"
