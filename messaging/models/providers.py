"""The roads out: accounts at providers, the rules that choose among them, and what providers post back."""

import secrets

from django.core.validators import URLValidator
from django.db import models

from crm.common.fields import EncryptedJSONField


def new_callback_token() -> str:
    """192 random bits for the callback path of providers that sign nothing."""
    return secrets.token_urlsafe(24)


class ProviderAccount(models.Model):
    """One account at an upstream company, spoken to through `adapter` (messaging/providers/).

    `rest_until` is set by the circuit breaker: until then nothing is claimed for the account and new messages take the
    next route. `rest_level` counts rests in a row and doubles the next one; the first accepted message resets it.
    """

    name = models.CharField(max_length=60, unique=True)
    adapter = models.CharField(max_length=40)
    credentials = EncryptedJSONField(default=dict, blank=True)
    base_url = models.CharField(
        max_length=200,
        blank=True,
        validators=[URLValidator(schemes=["http", "https", "smpp", "smpps", "smtp", "smtps"])],
        help_text="Empty: the vendor's own address",
    )
    batch_size = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Recipients in one request; empty: what the adapter allows"
    )
    callback_token = models.CharField(max_length=64, unique=True, default=new_callback_token, editable=False)
    is_active = models.BooleanField(default=True)
    rest_until = models.DateTimeField(null=True, blank=True, editable=False)
    rest_level = models.PositiveSmallIntegerField(default=0, editable=False)
    rest_reason = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """Which account carries a message: the most specific match first, then the lower `preference`."""

    channel = models.CharField(max_length=10, default="sms")
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166 code of the recipient; empty: any")
    sender = models.CharField(max_length=254, blank=True, help_text="Sender ID; empty: any")
    account = models.ForeignKey(ProviderAccount, on_delete=models.CASCADE, related_name="routes")
    preference = models.PositiveSmallIntegerField(default=10, help_text="Lower is tried first")

    class Meta:
        ordering = ["preference", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["channel", "country", "sender", "account"], name="route_once"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.country or 'any country'} {self.sender or 'any sender'} → {self.account}"


class CallbackKind(models.TextChoices):
    DELIVERY = "delivery"
    OPTOUT = "optout"


class ProviderCallback(models.Model):
    """What a provider posted, as it came, kept before anything is made of it.

    A report that no message answers to yet (it may overtake the answer to our own request) is tried again at `due_at`
    until it is three days old; then `note` says that nobody knew it.
    """

    account = models.ForeignKey(ProviderAccount, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=12, choices=CallbackKind)
    content_type = models.CharField(max_length=100, blank=True)
    query = models.TextField(blank=True)
    body = models.BinaryField()
    received_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    processed_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(processed_at=None), name="callback_waiting"),
            models.Index(fields=["received_at"], name="callback_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} from {self.account_id} at {self.received_at}"


class ProviderLine(models.Model):
    """Who holds the long-lived connection to an account whose provider allows few, such as an SMPP bind.

    Taken and renewed by the database's clock; a holder that stops renewing loses it.
    """

    account = models.OneToOneField(ProviderAccount, on_delete=models.CASCADE, primary_key=True, related_name="line")
    owner = models.CharField(max_length=64)
    until = models.DateTimeField()
    connected_at = models.DateTimeField(null=True, help_text="Since when it is up; empty: it is not")
    problem = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"line of {self.account_id} held by {self.owner}"


class SendingProcess(models.Model):
    """A process that holds leases on messages, and when it was last seen. Leases of one long unseen are taken back."""

    owner = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.owner
