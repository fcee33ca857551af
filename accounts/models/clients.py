"""Organisations, and who acts for them in which role."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.people import User
from accounts.roles import PERMISSIONS
from crm.common.tenancy import TenantManager


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
