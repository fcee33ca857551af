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
    While it is above zero and the rest is over, one process tries one message at a time: `probe_owner`.
    `out_since`: since when it has not carried anything, at rest or switched off; None while it works.
    `templates_due_at`: when its WhatsApp templates are asked after again.
    `usual_seconds`: its median time to answer when all is well. Balances are what the provider says, in micros.
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
    rate_per_second = models.PositiveIntegerField(
        null=True, blank=True, help_text="Messages a second over all processes; empty: what the adapter allows"
    )
    most_at_once = models.PositiveIntegerField(
        null=True, blank=True, help_text="Requests in flight over all processes; empty: what the adapter allows"
    )
    refund_unconfirmed = models.BooleanField(
        default=False,
        db_default=False,
        help_text="After 72 hours without a word, fail messages whose answer was lost and give the money back",
    )
    balance_alarm_micros = models.BigIntegerField(null=True, blank=True)
    callback_token = models.CharField(max_length=64, unique=True, default=new_callback_token, editable=False)
    is_active = models.BooleanField(default=True)
    rest_until = models.DateTimeField(null=True, blank=True, editable=False)
    rest_level = models.PositiveSmallIntegerField(default=0, editable=False)
    rest_reason = models.CharField(max_length=200, blank=True, editable=False)
    probe_owner = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    probe_until = models.DateTimeField(null=True, blank=True, editable=False)
    out_since = models.DateTimeField(null=True, blank=True, editable=False)
    usual_seconds = models.FloatField(null=True, blank=True, editable=False)
    last_error = models.CharField(max_length=200, blank=True, db_default="", editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    balance_micros = models.BigIntegerField(null=True, blank=True, editable=False)
    balance_currency = models.CharField(max_length=3, blank=True, db_default="", editable=False)
    balance_at = models.DateTimeField(null=True, blank=True, editable=False)
    balance_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    balance_problem = models.CharField(max_length=200, blank=True, db_default="", editable=False)
    balance_told_at = models.DateTimeField(null=True, blank=True, editable=False)
    templates_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """Which account carries a message: the most specific match first, then the lower `preference`.

    More specific is, in this order: the sender named, the longer prefix, the network named, the country named. Equals
    share by `weight`; 0 takes nothing while another route can. `window`: hours in which it holds, such as
    "Mon-Fri 08:00-18:00, Sat 08:00-12:00" (messaging/windows.py), local time of `time_zone`, else of `country`.
    """

    channel = models.CharField(max_length=10, default="sms")
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166 code of the recipient; empty: any")
    sender = models.CharField(max_length=254, blank=True, help_text="Sender ID; empty: any")
    prefix = models.CharField(
        max_length=12, blank=True, db_default="", help_text="First digits with the country code; empty: any"
    )
    network = models.CharField(
        max_length=20, blank=True, db_default="", help_text="Probable network by the number's range; empty: any"
    )
    account = models.ForeignKey(ProviderAccount, on_delete=models.CASCADE, related_name="routes")
    preference = models.PositiveSmallIntegerField(default=10, help_text="Lower is tried first")
    weight = models.PositiveSmallIntegerField(
        default=100, db_default=100, help_text="Share among equal routes; 0: only when nothing else can"
    )
    window = models.CharField(
        max_length=120, blank=True, db_default="", help_text="Such as Mon-Fri 08:00-18:00; empty: always"
    )
    time_zone = models.CharField(
        max_length=40, blank=True, db_default="", help_text="Of the window; empty: the country's, else UTC"
    )

    class Meta:
        ordering = ["preference", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "country", "prefix", "network", "sender", "account", "window"], name="route_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.country or 'any country'} {self.sender or 'any sender'} → {self.account}"


class CallbackKind(models.TextChoices):
    DELIVERY = "delivery"
    OPTOUT = "optout"
    INBOUND = "inbound"
    EVENTS = "events", "Everything the provider tells"
    BOUNCE = "bounce"


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
    account_id = models.BigIntegerField(null=True)  # a loop's, and how many requests it may have in flight
    share = models.PositiveIntegerField(null=True)

    def __str__(self) -> str:
        return self.owner
