"""Sender IDs: the names, numbers and addresses a client's messages come from."""

from django.db import models

from crm.common.channels import Channel
from crm.common.tenancy import TenantManager


class SenderState(models.TextChoices):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class SenderId(models.Model):
    """An origin name or number of a client: pending → approved | rejected. Messages keep its name as sent.

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

    def __str__(self) -> str:
        return self.name
