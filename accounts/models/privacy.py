"""Rights of the people in a client's book, how long data is kept, and the closing of an organisation."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models.clients import Client
from accounts.models.exports import Export
from accounts.models.people import User
from crm.common.fields import EncryptedJSONField
from crm.common.tenancy import TenantManager

LEAST_DAYS, MOST_DAYS, USUAL_DAYS = 7, 365, 90


class HashKey(models.Model):
    """The secret that turns an erased address into a hash nobody else can compute. One row, made on first use."""

    secret = EncryptedJSONField()

    def __str__(self) -> str:
        return "hash key"


class ErasedAddress(models.Model):
    """An address whose owner was erased, as a keyed hash: nothing is sent to it, and no import brings it back."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "hash"], name="erased_address_once")]

    def __str__(self) -> str:
        return self.hash[:8]


class RequestState(models.TextChoices):
    """waiting → done | failed. A request waits as long as something is still under way to the person."""

    WAITING = "waiting", _("Under way")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class PersonRequest(models.Model):
    """That one person's data was asked for or was to be erased: when, by whom, and when it was done.

    addresses: the numbers and email addresses meant, encrypted, forgotten once an erasure is done. shown: how the list
    names the person. counts: how much was erased, by the name of the part. Leased as an export is.
    """

    KINDS = [("export", _("Export")), ("erasure", _("Erasure"))]

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=8, choices=KINDS)
    addresses = EncryptedJSONField(null=True)
    shown = models.CharField(max_length=120)
    reason = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=8, choices=RequestState, default=RequestState.WAITING)
    counts = models.JSONField(default=dict)
    export = models.ForeignKey(Export, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True)
    lease_token = models.CharField(max_length=32, blank=True)
    done_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["client", "-id"], name="person_request_by_client"),
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="person_request_open"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Retention(models.Model):
    """For how many days a client's data is kept, and how far the purge has come: `cursors`, by part and limit."""

    client = models.OneToOneField(Client, primary_key=True, on_delete=models.CASCADE, related_name="+")
    text_days = models.PositiveSmallIntegerField(default=USUAL_DAYS)
    number_days = models.PositiveSmallIntegerField(default=USUAL_DAYS)
    log_days = models.PositiveSmallIntegerField(default=USUAL_DAYS)
    export_days = models.PositiveSmallIntegerField(default=USUAL_DAYS)
    cursors = models.JSONField(default=dict)
    next_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    text_days__range=(LEAST_DAYS, MOST_DAYS),
                    number_days__range=(LEAST_DAYS, MOST_DAYS),
                    log_days__range=(LEAST_DAYS, MOST_DAYS),
                    export_days__range=(LEAST_DAYS, MOST_DAYS),
                ),
                name="retention_within_a_year",
            )
        ]
        indexes = [models.Index(fields=["next_at"], name="retention_due")]

    def __str__(self) -> str:
        return f"retention of client {self.pk}"


class Closure(models.Model):
    """An organisation that is to be closed: asked for, erased at `due_at` unless it is taken back, then `done_at`."""

    client = models.OneToOneField(Client, primary_key=True, on_delete=models.CASCADE, related_name="closure")
    asked_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField()
    due_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        indexes = [models.Index(fields=["due_at"], condition=Q(done_at=None), name="closure_due")]

    def __str__(self) -> str:
        return f"closure of client {self.pk}"
