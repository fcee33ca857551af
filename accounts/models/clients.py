"""Who uses the installation: people, the organisations they act for, and the keys their programs carry."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from accounts.roles import PERMISSIONS
from crm.common.fields import EncryptedJSONField
from crm.common.tenancy import TenantManager


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address; addresses are stored in lower case, so that signing in ignores letter case."""

    def create_user(self, email: str, password: str | None = None, **fields) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class Theme(models.TextChoices):
    DEVICE = "", _("As the device")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class Density(models.TextChoices):
    """How high the rows of tables are: 56, 44 or 36 px."""

    TOUCH = "touch", _("For fingers")
    COMFORTABLE = "comfortable", _("Comfortable")
    COMPACT = "compact", _("Compact")


class User(AbstractBaseUser, PermissionsMixin):
    """A person, who signs in by e-mail address. Staff run the installation; members act for a client.

    is_confirmed: typed a code that was sent to their phone or mailbox, or was let in by somebody who knows them; others
    are asked for a code at sign-in. security_changed_at is part of every session's hash: moving it ends them all (A1).
    """

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    language = models.CharField(max_length=2, blank=True, choices=settings.LANGUAGES, help_text="Empty: the browser's")
    phone = models.CharField(max_length=16, blank=True, help_text="Own number, E.164")
    phone_verified_at = models.DateTimeField(null=True, blank=True)
    is_confirmed = models.BooleanField(default=True)
    security_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    theme = models.CharField(max_length=5, blank=True, choices=Theme)
    density = models.CharField(max_length=12, choices=Density, default=Density.COMFORTABLE)
    single_keys = models.BooleanField(default=True, help_text="Keyboard shortcuts of one key")
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["phone"], condition=Q(phone_verified_at__isnull=False), name="verified_phone_once"
            )
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def _get_session_auth_hash(self, secret: Any = None) -> str:
        """What Django compares at every request: changes with the password and with every change of second steps."""
        changed = self.security_changed_at.isoformat() if self.security_changed_at else ""
        return salted_hmac("accounts.session", self.password + changed, secret=secret, algorithm="sha256").hexdigest()


class ClientState(models.TextChoices):
    ACTIVE = "active"
    SUSPENDED = "suspended"


class Client(models.Model):
    """The tenant: an organisation that sends, owns its rows and pays. Its id is the client_id of every API URL."""

    name = models.CharField(max_length=120)
    country = models.CharField(max_length=2, default="KE", help_text="ISO 3166 code; local numbers are read in it")
    currency = models.CharField(max_length=3, default="KES")
    time_zone = models.CharField(max_length=64, default="Africa/Nairobi")
    language = models.CharField(
        max_length=2, default="en", choices=settings.LANGUAGES, help_text="Of its papers, and of people who chose none"
    )
    contact_email = models.EmailField(blank=True)
    address = models.CharField(max_length=300, blank=True, help_text="Postal address, printed on papers")
    tax_id = models.CharField(max_length=40, blank=True, help_text="Tax number, printed on papers")
    require_second_factor = models.BooleanField(default=False, help_text="Members need a second step to sign in")
    simulation = models.BooleanField(default=False, help_text="Sends are simulated: nothing leaves, nothing is charged")
    low_balance_micros = models.BigIntegerField(default=100_000_000, help_text="Warn below it; millionths of currency")
    low_balance_told_at = models.DateTimeField(
        null=True, editable=False, help_text="Told that the balance is low; empty once it is not any more"
    )
    rate_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="API calls a minute; empty: the default",
    )
    state = models.CharField(max_length=12, choices=ClientState, default=ClientState.ACTIVE)
    suspended_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.state == ClientState.ACTIVE


class StaffNote(models.Model):
    """What staff noted about a client, for each other; the client never sees it. Notes are added, not changed."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    text = models.TextField(max_length=2000)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["client", "-id"], name="staff_note_by_client")]

    def __str__(self) -> str:
        return self.text[:60]


class Role(models.TextChoices):
    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    SENDER = "sender", _("Sender")
    APPROVER = "approver", _("Approver")
    FINANCE = "finance", _("Finance")
    DEVELOPER = "developer", _("Developer")
    VIEWER = "viewer", _("Viewer")


class Membership(models.Model):
    """A person's role in one client. Somebody may belong to several."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role)
    skipped_steps = models.JSONField(
        default=list, blank=True, help_text="First steps that Home does not offer any more"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["client", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"

    def may(self, permission: str) -> bool:
        """Whether the role holds `permission` (accounts/roles.py)."""
        return permission in PERMISSIONS.get(self.role, ())


class ApiKey(models.Model):
    """One credential of a client's programs: a key, and a secret and application key for the dialects that want three.

    Only SHA-256 digests are kept: each value has at least 160 random bits, so it needs no slow hash. `prefix` and
    `last_four` are shown in lists. Ends by `revoked_at` or `expires_at`. simulation: what it sends never leaves and
    costs nothing. replaced_by: the key that took over by a rotation; this one then ends at `expires_at`.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=20)
    last_four = models.CharField(max_length=4, default="", editable=False)
    simulation = models.BooleanField(default=False)
    key_hash = models.CharField(max_length=64, unique=True)
    secret_hash = models.CharField(max_length=64)
    app_key_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    allowed_addresses = models.JSONField(default=list, blank=True, help_text="IP addresses or networks; empty: any")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.CharField(max_length=45, blank=True)
    last_used_for = models.CharField(max_length=100, blank=True, help_text="Method and path of that call, without ids")
    replaced_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["client", "-created_at"], name="api_key_by_client")]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint})"

    @property
    def hint(self) -> str:
        """What may be shown of the key: `tk_live_1a2b3c4d…9xYz`."""
        return f"{self.prefix}…{self.last_four}"

    def is_live(self, at) -> bool:
        """Whether the key is accepted at the moment `at`: not revoked, not expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)


class EndedToken(models.Model):
    """An access token that was logged out, kept until it would have expired by itself."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    token_id = models.CharField(max_length=32, unique=True)
    expires_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="ended_token_by_expiry")]


class RateCounter(models.Model):
    """How many calls of one kind a key made in the present minute. One row per key and kind, used again each minute."""

    name = models.CharField(max_length=80, primary_key=True, help_text="kind:key id")
    minute = models.BigIntegerField(help_text="Minutes since 1970 by the database's clock")
    calls = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["minute"], name="rate_counter_by_minute")]


class IdempotencyRecord(models.Model):
    """The answer to a POST that carried an Idempotency-Key, written in the transaction of its effect (I3)."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    endpoint = models.CharField(max_length=200, help_text="Path of the call, without the query")
    key_hash = models.CharField(max_length=64)
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.TextField(help_text="The JSON answered, byte for byte")
    expires_at = models.DateTimeField(help_text="By the database's clock, 24 hours after the effect")

    objects = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "endpoint", "key_hash"], name="idempotency_record_once")
        ]
        indexes = [models.Index(fields=["expires_at"], name="idempotency_record_by_expiry")]


class WebhookFormat(models.TextChoices):
    ENVELOPE = "envelope", "Envelope: event, client_id, timestamp and data"
    FLAT = "flat", "Flat: event, its fields and timestamp side by side"


class WebhookEndpoint(models.Model):
    """An address of a client that is told of events. Paused (not `active`): nothing new is written down for it.

    secret: text that keys the signatures; `previous_secret` signs beside it until `previous_until` (rotation).
    failing_since: the first failure after the last success. disabled_reason: why we paused it; "" where a person did.
    lease_*: the one process that delivers to it now (accounts/delivery/claims.py).
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="webhook_endpoints", db_index=False)
    url = models.CharField(max_length=500)
    events = models.JSONField(default=list, help_text='Names of accounts/events.py, or ["*"] for every one')
    format = models.CharField(max_length=8, choices=WebhookFormat, default=WebhookFormat.ENVELOPE)
    secret = EncryptedJSONField()
    previous_secret = EncryptedJSONField(null=True)
    previous_until = models.DateTimeField(null=True)
    active = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    failing_since = models.DateTimeField(null=True)
    failure_told_at = models.DateTimeField(null=True, help_text="The owner was told that it fails since failing_since")
    disabled_told_at = models.DateTimeField(null=True, help_text="The owner was told that we paused it")
    last_success_at = models.DateTimeField(null=True)
    lease_owner = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["client", "id"], name="webhook_endpoint_by_client")]

    def __str__(self) -> str:
        return self.url

    def listens_to(self, event: str) -> bool:
        return "*" in self.events or event in self.events


class DeliveryState(models.TextChoices):
    """waiting → delivered | failed (the schedule is used up); redelivering leads back to waiting."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookDelivery(models.Model):
    """One event for one endpoint. `body` is sent byte for byte, in UTF-8, at every attempt; so is `event_id`.

    attempts: all that were made; tries: those of the present round, which the retry schedule counts. last_*: the
    latest attempt. about: the message that the event tells of, by its public id, "" for other events. Rows are written
    in the transaction that caused the event (W1).
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="+", db_index=False)
    event = models.CharField(max_length=40)
    event_id = models.CharField(max_length=40)
    body = models.TextField()
    state = models.CharField(max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    tries = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True)
    last_problem = models.CharField(max_length=200, blank=True)
    last_milliseconds = models.PositiveIntegerField(null=True)
    about = models.CharField(max_length=40, blank=True, default="", db_default="")
    created_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["client", "-id"], name="webhook_delivery_by_client"),
            models.Index(fields=["client", "about"], condition=~Q(about=""), name="webhook_delivery_by_message"),
            models.Index(fields=["endpoint", "-id"], name="webhook_delivery_by_endpoint"),
            models.Index(fields=["endpoint", "next_at", "id"], condition=Q(state="waiting"), name="webhook_queue"),
            models.Index(fields=["endpoint", "id"], condition=Q(state="failed"), name="webhook_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.event} ({self.event_id})"

    @property
    def shown_state(self) -> str:
        """waiting, retrying (it failed and will be tried again), delivered or failed."""
        return "retrying" if self.state == DeliveryState.WAITING and self.tries else self.state


class WebhookAttempt(models.Model):
    """One request made for a delivery, and the answer: its first 1 KB. status: None where no HTTP answer came."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="+", db_index=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveIntegerField(help_text="1 for the first request of this delivery")
    url = models.CharField(max_length=500)
    status = models.PositiveSmallIntegerField(null=True)
    problem = models.CharField(max_length=200, blank=True)
    answer = models.TextField(blank=True)
    milliseconds = models.PositiveIntegerField()
    at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["delivery", "id"], name="webhook_attempt_by_delivery")]

    def __str__(self) -> str:
        return f"attempt {self.number}: {self.status or self.problem}"


class NoticeSettings(models.Model):
    """How a member wants to be told. choices: by event of accounts/notices.py the channels, a list of "email" and
    "sms"; an event that is not there goes by the role. phone: E.164, of SMS.
    """

    membership = models.OneToOneField(
        Membership, primary_key=True, on_delete=models.CASCADE, related_name="notice_settings"
    )
    phone = models.CharField(max_length=16, blank=True)
    choices = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"notices of {self.membership_id}"


class NoticeState(models.TextChoices):
    """waiting → sent, failed (tries used up) or skipped (there is no way to send it; `problem` says why)."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"


class Notice(models.Model):
    """One letter or SMS to one member, written in the transaction of what it tells of. `next_at` is also the lease of
    whoever sends it: a process that dies leaves it due again.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    event = models.CharField(max_length=30)
    channel = models.CharField(max_length=5, help_text="email or sms")
    address = models.CharField(max_length=254)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    state = models.CharField(max_length=10, choices=NoticeState, default=NoticeState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["client", "user", "-id"], name="notice_by_member"),
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="notice_queue"),
        ]

    def __str__(self) -> str:
        return f"{self.event} by {self.channel}"
