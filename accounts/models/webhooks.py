"""Webhooks: where events go, what was written down for each address, and every attempt."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models.clients import Client
from crm.common.fields import EncryptedJSONField
from crm.common.tenancy import TenantManager


class WebhookFormat(models.TextChoices):
    ENVELOPE = "envelope", _("Envelope: event, client_id, timestamp and data")
    FLAT = "flat", _("Flat: event, its fields and timestamp side by side")


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
