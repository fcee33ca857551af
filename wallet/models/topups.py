"""Purchases of credit, the account they are paid into, and every word that M-Pesa said of them."""

import secrets

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from crm.common.fields import EncryptedJSONField
from crm.common.money import MICROS
from crm.common.tenancy import TenantManager


def new_path_token() -> str:
    """256 random bits in hexadecimal: Safaricom refuses addresses that happen to contain words such as "sql"."""
    return secrets.token_hex(32)


class PaymentAccount(models.Model):
    """Where payers' money goes, by a method of wallet/payments/: for M-Pesa a paybill or a till.

    The oldest active account of a method is the one that is asked. `confirm_by_query` may be off only where
    `allowed_addresses` says from where callbacks must come (GUARANTEES.md P2). `has_statement`: the operator's
    statement can be pulled, which finds lost receipts and verifies payments to the paybill.
    """

    name = models.CharField(max_length=60, unique=True)
    method = models.CharField(max_length=20, default="mpesa")
    credentials = EncryptedJSONField(default=dict, blank=True)
    base_url = models.URLField(blank=True, help_text="Empty: the operator's own address")
    path_token = models.CharField(max_length=64, unique=True, default=new_path_token, editable=False)
    confirm_by_query = models.BooleanField(default=True)
    allowed_addresses = models.JSONField(default=list, blank=True, help_text="Addresses or networks; empty: any")
    has_statement = models.BooleanField(default=False, help_text="Pull transactions is registered for the shortcode")
    registered_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name


class TopUpState(models.TextChoices):
    """pending → processing → completed | failed, and failed → completed: money may come late. completed is final.

    pending: waiting for the payer. processing: M-Pesa says it was paid; the receipt or its confirmation is awaited.
    """

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class Asked(models.TextChoices):
    """What became of our request for a prompt. It is made once, whatever becomes of it (GUARANTEES.md P1)."""

    NOT_YET = "not_yet"  # also where the process died before or while asking
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNSENT = "unsent"  # the operator could not be reached, or asked us to come back later
    UNKNOWN = "unknown"
    NONE = "none"  # the payer began: a payment to the paybill


class TopUp(models.Model):
    """One purchase of credit. amount: whole units of `currency`; phone: E.164, "" where the payer began.

    `receipt` is the operator's code of the payment and unique over all top-ups, as is the credit's reference
    "topup:TXN-…" in its wallet: so a payment is credited once whoever brings the news first (P3). `live_phone` is the
    phone while a prompt may be on it, and unique. `next_check_at` is when the operator is asked again, null when
    nothing is awaited. `review` says why a person has to look.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.PROTECT, related_name="top_ups")
    account = models.ForeignKey(PaymentAccount, null=True, on_delete=models.PROTECT, related_name="top_ups")
    method = models.CharField(max_length=20, default="mpesa")
    transaction_id = models.CharField(max_length=32, help_text="TXN-YYYYMMDD-NNN, days of the client's time zone")
    day = models.DateField()
    number = models.PositiveIntegerField(help_text="Counts the client's top-ups of the day from 1")
    amount = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    phone = models.CharField(max_length=16, blank=True)
    live_phone = models.CharField(max_length=16, null=True, blank=True, unique=True)
    state = models.CharField(max_length=12, choices=TopUpState, default=TopUpState.PENDING)
    asked = models.CharField(max_length=10, choices=Asked, default=Asked.NOT_YET)
    token_hash = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001
    merchant_request_id = models.CharField(max_length=100, blank=True)
    checkout_request_id = models.CharField(max_length=100, blank=True)
    receipt = models.CharField(max_length=32, null=True, blank=True, unique=True)
    result_code = models.CharField(max_length=20, blank=True, help_text="The operator's word for how it ended")
    result_text = models.CharField(max_length=200, blank=True)
    queried_code = models.CharField(max_length=20, blank=True, help_text="What the last status query said")
    queried_at = models.DateTimeField(null=True, blank=True, help_text="Since when it says so")
    checks = models.PositiveSmallIntegerField(default=0)
    next_check_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    review = models.CharField(max_length=200, blank=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    return_to = models.CharField(max_length=200, blank=True, help_text="The page the payer came from")
    created_at = models.DateTimeField(default=timezone.now)
    failed_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["client", "transaction_id"], name="topup_transaction_once"),
            models.UniqueConstraint(fields=["client", "day", "number"], name="topup_number_once"),
            models.UniqueConstraint(
                fields=["account", "checkout_request_id"],
                condition=~Q(checkout_request_id=""),
                name="topup_request_once",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="topup_amount_positive"),
            models.CheckConstraint(
                condition=~Q(state="completed") | Q(receipt__isnull=False, completed_at__isnull=False),
                name="topup_completed_with_receipt",
            ),
        ]
        indexes = [
            models.Index(fields=["client", "-id"], name="topup_newest"),
            models.Index(fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="topup_due"),
            models.Index(fields=["phone", "-created_at"], name="topup_by_phone"),
        ]

    def __str__(self) -> str:
        return self.transaction_id

    @property
    def amount_micros(self) -> int:
        return self.amount * MICROS

    @property
    def reference(self) -> str:
        """Of the ledger entry that credits it."""
        return f"topup:{self.transaction_id}"

    @property
    def account_reference(self) -> str:
        """What the payer reads as the account number, and payments to the paybill carry back: at most 12 letters."""
        return f"T{self.pk}"


class EventKind(models.TextChoices):
    CALLBACK = "callback"
    QUERY = "query"
    CONFIRMATION = "confirmation"  # a payment to the paybill, told by the operator
    STATEMENT = "statement"  # a row of the operator's statement
    STAFF = "staff"


class EventVerdict(models.TextChoices):
    """What was made of it. The ones in NEEDS_REVIEW are listed for staff."""

    WAITING = "waiting", "Waiting"
    APPLIED = "applied", "Applied"
    REPEATED = "repeated", "Repeated: known before"
    PENDING = "pending", "Says: not finished yet"
    UNKNOWN = "unknown", "Nobody knows this payment"
    MISMATCH = "mismatch", "Does not match what was asked"
    UNCONFIRMED = "unconfirmed", "The operator does not confirm it"
    REUSED = "reused", "Its receipt was credited elsewhere"
    UNTRUSTED = "untrusted", "Came from a foreign address"


NEEDS_REVIEW = (
    EventVerdict.UNKNOWN,
    EventVerdict.MISMATCH,
    EventVerdict.UNCONFIRMED,
    EventVerdict.REUSED,
    EventVerdict.UNTRUSTED,
)


class MpesaEvent(models.Model):
    """Something the operator (or whoever claims to be) said, as it came, kept before anything is made of it."""

    kind = models.CharField(max_length=12, choices=EventKind)
    account = models.ForeignKey(PaymentAccount, null=True, on_delete=models.PROTECT, related_name="+")
    top_up = models.ForeignKey(TopUp, null=True, on_delete=models.PROTECT, related_name="events")
    body = models.BinaryField()
    address = models.CharField(max_length=45, blank=True, help_text="Where it came from, where somebody posted it")
    result_code = models.CharField(max_length=20, blank=True)
    receipt = models.CharField(max_length=32, blank=True)
    amount_micros = models.BigIntegerField(null=True)
    received_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=12, choices=EventVerdict, default=EventVerdict.WAITING)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["received_at"], condition=Q(processed_at=None), name="mpesa_event_waiting"),
            models.Index(fields=["verdict", "received_at"], name="mpesa_event_by_verdict"),
            models.Index(fields=["receipt"], condition=~Q(receipt=""), name="mpesa_event_by_receipt"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class PaybillState(models.TextChoices):
    """new → credited; or new → unmatched → credited | dismissed. new: the operator's statement has to verify it."""

    NEW = "new"
    UNMATCHED = "unmatched"
    CREDITED = "credited"
    DISMISSED = "dismissed"


class PaybillPayment(models.Model):
    """A payment that its payer began, by the paybill's menu. It is credited once it is verified and its client known.

    bill_reference: what the payer typed as the account number; the client's id where it is right.
    """

    account = models.ForeignKey(PaymentAccount, on_delete=models.PROTECT, related_name="payments")
    receipt = models.CharField(max_length=32, unique=True)
    amount_micros = models.BigIntegerField()
    bill_reference = models.CharField(max_length=64, blank=True)
    payer = models.CharField(max_length=80, blank=True, help_text="Name and masked number, as the operator gave them")
    paid_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=PaybillState, default=PaybillState.NEW)
    verified_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True, default=timezone.now, help_text="When the statement is asked again")
    top_up = models.OneToOneField(TopUp, null=True, on_delete=models.PROTECT, related_name="paybill_payment")
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["state", "created_at"], name="paybill_payment_by_state")]
        permissions = [("match_payment", "Can give a payment to a client")]

    def __str__(self) -> str:
        return self.receipt


class PaymentClaim(models.Model):
    """A client says: this payment was ours. It moves nothing by itself; codes follow one another and can be guessed."""

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+")
    receipt = models.CharField(max_length=32)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["client", "receipt"], name="payment_claim_once")]
        indexes = [models.Index(fields=["receipt"], name="payment_claim_by_receipt")]

    def __str__(self) -> str:
        return f"{self.client_id}: {self.receipt}"


class LowBalanceNotice(models.Model):
    """When a client was last told that its balance is low, and after which ledger entry. One row per client."""

    client = models.OneToOneField(
        "accounts.Client", primary_key=True, on_delete=models.CASCADE, related_name="low_balance_notice"
    )
    day = models.DateField(help_text="Of the client's time zone")
    entry_id = models.BigIntegerField()

    objects = TenantManager()

    def __str__(self) -> str:
        return f"{self.client_id} on {self.day}"


class MorningPrompt(models.Model):
    """A client wants the prompt by itself, once a morning while its balance is low. Nothing is paid without the PIN.

    last_day: of the client's time zone, when it was last asked; `problem`: why the last one was not asked for.
    """

    client = models.OneToOneField(
        "accounts.Client", primary_key=True, on_delete=models.CASCADE, related_name="morning_prompt"
    )
    amount = models.PositiveIntegerField()
    phone = models.CharField(max_length=16)
    chosen_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    last_day = models.DateField(null=True)
    problem = models.CharField(max_length=200, blank=True)

    objects = TenantManager()

    def __str__(self) -> str:
        return f"{self.client_id} each morning"
