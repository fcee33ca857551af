"""What people write to our numbers."""

from django.db import models

from crm.common.channels import Channel
from crm.common.tenancy import TenantManager


class InboundMessage(models.Model):
    """One message of a person, once per provider account and the provider's id however often it is told.

    `sender` is the person (E.164, else as the provider names it), `recipient` our number, as
    `messaging.conversations.own_number` spells it.
    `client` is whose number that is, None where nobody can say. `word`: "stop", "start" or "help" where it was
    nothing else.
    `media` lists {kind, id, url, mime_type, filename}. `written_at` is the provider's time, None where it was unclear.
    """

    account = models.ForeignKey("messaging.ProviderAccount", on_delete=models.PROTECT, related_name="+", db_index=False)
    client = models.ForeignKey("accounts.Client", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.SMS)
    sender = models.CharField(max_length=254)
    recipient = models.CharField(max_length=254)
    name = models.CharField(max_length=120, blank=True, help_text="What the person calls itself")
    text = models.TextField(blank=True)
    media = models.JSONField(default=list)
    word = models.CharField(max_length=5, blank=True)
    provider_message_id = models.CharField(max_length=128)
    written_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["account", "provider_message_id"], name="inbound_once"),
        ]
        indexes = [
            models.Index(fields=["client", "-id"], name="inbound_by_client"),
            models.Index(fields=["client", "sender", "-id"], name="inbound_by_person"),
        ]

    def __str__(self) -> str:
        return f"from {self.sender} to {self.recipient}"
