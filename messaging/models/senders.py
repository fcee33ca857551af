"""Sender IDs: the names, numbers and addresses a client's messages come from, and how they were asked for."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from crm.common.channels import Channel
from crm.common.tenancy import TenantManager
from messaging.models.hours import MessageClass


class SenderState(models.TextChoices):
    """draft → pending → approved | rejected → pending. Only an approved one can be sent with."""

    DRAFT = "draft", _("Draft")
    PENDING = "pending", _("Checking")
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")


class NetworkState(models.TextChoices):
    """draft → checking (by the operator's staff) → network (with the network) → approved | rejected → checking."""

    DRAFT = "draft", _("Draft")
    CHECKING = "checking", _("Checking")
    NETWORK = "network", _("With network")
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")


class DocumentKind(models.TextChoices):
    REGISTRATION = "registration", _("Registration certificate")
    TAX = "tax", _("Tax certificate")
    LETTER = "letter", _("Signed authorisation letter")
    IDENTITY = "identity", _("Identity card of who signs")


class SenderId(models.Model):
    """An origin name or number of a client. Messages keep its name as sent.

    message_class: what it may be used for; "" for everything, as where the operator opened it. samples: texts that will
    be sent with it, for the networks to read. reason, fix: why it was rejected and what to mend. submitted_at: when it
    was asked for last; approved_at: when it could first be used.
    On the email channel `name` is the From address, in lower case, and `display_name` what people see before it.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+")
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.SMS, db_default=Channel.SMS)
    name = models.CharField(
        max_length=254, help_text="3 to 11 letters or digits, or a short code; case is kept. Email: the From address"
    )
    display_name = models.CharField(max_length=80, blank=True, db_default="")
    state = models.CharField(max_length=10, choices=SenderState, default=SenderState.PENDING)
    is_default = models.BooleanField(default=False, help_text="Used where a call or campaign names none")
    message_class = models.CharField(
        max_length=12, choices=MessageClass, blank=True, default="", db_default="", help_text="Empty: for everything"
    )
    samples = models.TextField(blank=True, default="", db_default="")
    reason = models.CharField(max_length=300, blank=True, default="", db_default="")
    fix = models.CharField(max_length=300, blank=True, default="", db_default="")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    submitted_at = models.DateTimeField(null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-is_default", "name"]
        constraints = [
            models.UniqueConstraint(fields=["client", "name"], name="sender_name_once"),
            models.UniqueConstraint(
                fields=["client", "channel"], condition=models.Q(is_default=True), name="sender_default_once"
            ),
        ]
        indexes = [models.Index(fields=["submitted_at"], condition=models.Q(state="pending"), name="sender_queue")]

    def __str__(self) -> str:
        return self.name


class SenderNetwork(models.Model):
    """How far a sender ID is with one network. A sender ID without such rows was opened for all of them."""

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    sender = models.ForeignKey(SenderId, on_delete=models.CASCADE, related_name="networks", db_index=False)
    network = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=NetworkState, default=NetworkState.DRAFT)
    reason = models.CharField(max_length=300, blank=True)
    fix = models.CharField(max_length=300, blank=True)
    submitted_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["sender", "network"], name="sender_network_once")]
        indexes = [
            models.Index(fields=["network", "-decided_at"], condition=models.Q(state="approved"), name="sender_waits")
        ]

    def __str__(self) -> str:
        return f"{self.network}: {self.state}"


class SenderDocument(models.Model):
    """A paper that proves who asks for a sender ID. The file lies under MEDIA_ROOT, which no URL serves.

    content_type: by the file's own bytes, never by what the browser said. sha256: of the content.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    sender = models.ForeignKey(SenderId, on_delete=models.CASCADE, related_name="documents", db_index=False)
    kind = models.CharField(max_length=12, choices=DocumentKind)
    stored_as = models.CharField(max_length=120)
    filename = models.CharField(max_length=120)
    content_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    uploaded_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["sender", "kind"], name="sender_document_once")]

    def __str__(self) -> str:
        return self.filename


class GoLiveRequest(models.Model):
    """A trial client asks to write to everybody: waiting → approved | returned, with a note → waiting."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        APPROVED = "approved", _("Approved")
        RETURNED = "returned", _("Returned")

    client = models.OneToOneField("accounts.Client", primary_key=True, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    purpose = models.CharField(max_length=500)
    note = models.CharField(max_length=300, blank=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        ordering = ["asked_at"]

    def __str__(self) -> str:
        return str(self.client)
