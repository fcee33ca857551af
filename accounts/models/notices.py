"""Notices to members: who wants to hear of what, by which way, and what was sent."""

from django.db import models
from django.db.models import Q

from accounts.models.clients import Client, Membership
from accounts.models.people import User
from crm.common.tenancy import TenantManager


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
