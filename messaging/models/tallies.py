"""How many messages are in which state, kept beside the messages so that nobody counts millions of rows."""

from django.db import models

from crm.common.channels import Channel
from crm.common.tenancy import TenantManager


class TallyState(models.TextChoices):
    """The states that are told apart. `waiting`: everything that has not left, from scheduled to submitting."""

    WAITING = "waiting"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    CANCELLED = "cancelled"


_KNOWN = {state.value: state.value for state in TallyState}  # `.values` builds a list at every look


def state_of(status: str) -> str:
    """The tallied state of a message status; the steps inside the queue are all `waiting`."""
    return _KNOWN.get(status, TallyState.WAITING.value)


class MessageTally(models.Model):
    """A change in the number of a client's messages in one state, by the UTC hour in which they were accepted.

    Rows are only ever added, in the transaction that moves the messages: no two senders wait for each other's count.
    The sweep melts them into one `merged` row per key, so a year has at most 8,760 of them per state. The sum of rows
    is the number of messages; `messages` of a single row may be negative. `cost_micros`: what those messages cost.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    hour = models.DateTimeField()
    channel = models.CharField(max_length=10, choices=Channel)
    state = models.CharField(max_length=10, choices=TallyState)
    messages = models.IntegerField()
    cost_micros = models.BigIntegerField()
    merged = models.BooleanField(default=False)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "message tallies"
        constraints = [
            models.UniqueConstraint(
                fields=["client", "hour", "channel", "state"], condition=models.Q(merged=True), name="tally_merged_once"
            ),
        ]
        indexes = [
            models.Index(fields=["client", "hour"], name="tally_by_hour"),
            models.Index(fields=["id"], condition=models.Q(merged=False), name="tally_unmerged"),
        ]

    def __str__(self) -> str:
        return f"{self.messages} {self.state} of client {self.client_id}"
