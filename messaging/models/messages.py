"""Messages, which are the queue as well as the history, and their timeline."""

from django.db import models
from django.db.models import Q

from crm.common.channels import Channel
from crm.common.tenancy import TenantManager


class MessageStatus(models.TextChoices):
    """The life of a message; messaging/states.py has every allowed step.

    scheduled → queued → sent → delivered → read, or → failed; held while its campaign is paused; cancelled before it
    left. Which queued message somebody is sending now, its MessageLease says: the row itself is not touched for it.
    """

    SCHEDULED = "scheduled"
    HELD = "held"
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    CANCELLED = "cancelled"


ANSWERS_WORD = "answers_word"  # key of Message.content, see there


class Message(models.Model):
    """One content to one recipient on one channel: it has the status and the price.

    Times are UTC by the database's clock. `cost_micros` was fixed when the message was accepted and is what its ledger
    entry `message:<id>` took. `contact_id` names whose data filled the text; that contact may be gone since.
    `queued_at`: when it joined the queue; a first attempt that surely failed counts as joining it anew.
    `unconfirmed`: the provider was written to and its answer is unknown; it is never sent again blindly (D5).
    `look_up_at`: while it is `sent`, when the provider is asked what became of it; None: not at all.
    `batch_id`: where one call's messages share an id, the id of its first message.
    `country` (ISO 3166) and `network` (probable, by the number's range) are what routes and figures go by.
    `closed`: sent for 72 hours without a report, which makes `sent` final (D2).

    `text` is what people read, on every channel. `content` is None where that is all, and holds what a channel has
    beyond it, filled in for this recipient:
    email: {subject, html?, preheader?, reply_to?, from_name?, unsubscribe?, headers?}; html is already safe to show,
    unsubscribe is the address of this person's opt-out page, headers are {name: value}.
    whatsapp: {template, language, parameters: [...]} or {media: {kind, url, caption?}}, and other keys of the vendor's.
    any: {answers_word}, of the one answer to STOP, START or HELP, which also reaches who just opted out.
    """

    # Without constraints in PostgreSQL, which checks them row by row: a third of what a stored message cost it.
    # Clients, campaigns that began and accounts are never deleted (PROTECT).
    client = models.ForeignKey(
        "accounts.Client", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    campaign = models.ForeignKey(
        "messaging.Campaign", null=True, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    contact_id = models.BigIntegerField(null=True)
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.SMS)
    recipient = models.CharField(max_length=254, help_text="E.164 with plus, or an email address")
    sender = models.CharField(max_length=254, help_text="A sender ID, or the From address of an email")
    text = models.TextField()
    content = models.JSONField(null=True)
    reference = models.CharField(max_length=100, blank=True, help_text="The caller's own id")
    batch_id = models.BigIntegerField(null=True)
    source = models.CharField(max_length=12, default="api", help_text="api, campaign, dashboard, command")
    api_key_id = models.BigIntegerField(null=True)
    simulated = models.BooleanField(default=False)

    status = models.CharField(max_length=10, choices=MessageStatus, default=MessageStatus.QUEUED)
    priority = models.SmallIntegerField(default=0, help_text="Lower leaves first: 0 single, 5 campaign")
    units = models.PositiveSmallIntegerField(default=1)
    segments = models.PositiveSmallIntegerField(default=1)
    encoding = models.CharField(max_length=5, default="gsm7")
    cost_micros = models.BigIntegerField(default=0)

    provider_account = models.ForeignKey(
        "messaging.ProviderAccount", null=True, on_delete=models.PROTECT, related_name="+", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    provider_message_id = models.CharField(max_length=100, blank=True)
    network_code = models.CharField(max_length=12, blank=True)
    country = models.CharField(max_length=2, blank=True, db_default="")
    network = models.CharField(max_length=20, blank=True, db_default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    look_up_at = models.DateTimeField(null=True)
    unconfirmed = models.BooleanField(default=False)
    closed = models.BooleanField(default=False, db_default=False)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.CharField(max_length=200, blank=True)

    created_at = models.DateTimeField()
    schedule_at = models.DateTimeField(null=True)
    queued_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)

    objects = TenantManager()
    keys_by_month = True  # on PostgreSQL, which has a partition for each: crm/common/spans.py

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["client", "-id"], name="message_by_client"),
            models.Index(fields=["client", "status", "-id"], name="message_by_status"),
            models.Index(fields=["client", "recipient", "-id"], name="message_by_recipient"),
            models.Index(fields=["client", "sender", "-id"], name="message_by_sender"),
            # Of the other channel, the usual one, the newest are found by the client's index.
            models.Index(
                fields=["client", "channel", "-id"], condition=~Q(channel=Channel.SMS), name="message_by_channel"
            ),
            models.Index(fields=["client", "reference"], condition=~Q(reference=""), name="message_by_reference"),
            models.Index(
                fields=["campaign", "status"], condition=Q(campaign__isnull=False), name="message_by_campaign"
            ),
            models.Index(fields=["batch_id"], condition=Q(batch_id__isnull=False), name="message_by_batch"),
            # The queue: small, because rows leave it within seconds.
            models.Index(
                fields=["provider_account", "priority", "id"], condition=Q(status="queued"), name="message_queue"
            ),
            models.Index(fields=["schedule_at"], condition=Q(status="scheduled"), name="message_schedule"),
            models.Index(
                fields=["status", "id"],
                condition=Q(simulated=True, status__in=["queued", "sent"]),
                name="message_simulated",
            ),
            models.Index(
                fields=["client", "created_at"], condition=Q(simulated=True), name="message_simulated_by_time"
            ),
            models.Index(fields=["sent_at"], condition=Q(status="sent", closed=False), name="message_unreported"),
            models.Index(
                fields=["provider_account", "look_up_at"],
                condition=Q(status="sent", look_up_at__isnull=False),
                name="message_look_up",
            ),
            # Delivery reports find their message by these.
            models.Index(
                fields=["provider_account", "provider_message_id"],
                condition=~Q(provider_message_id=""),
                name="message_by_provider_id",
            ),
            models.Index(
                fields=["provider_account", "recipient"], condition=Q(unconfirmed=True), name="message_unconfirmed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} to {self.recipient}"

    @property
    def message_id(self) -> str:
        """The id shown to callers; messaging.queries.find_message reads it back."""
        return public_id(self.pk)


def public_id(pk: int) -> str:
    """`MSG-` and the number of the message, at least six digits. Derived, so that it needs no column and no index."""
    return f"MSG-{pk:06d}"


class WrittenTo(models.Model):
    """That a campaign writes to an address once, whatever the month. A trigger of the database adds a row for each
    message of a campaign, so that whoever inserts one twice is refused (messaging/written_to.py).

    A constraint of the messages would need their key in it, by which they are partitioned. When a message loses its
    number, so does this: two addresses of one person may then become the same mark.
    """

    pk = models.CompositePrimaryKey("campaign_id", "recipient")
    campaign_id = models.BigIntegerField()
    recipient = models.CharField(max_length=254)

    def __str__(self) -> str:
        return f"campaign {self.campaign_id}"


class MessageSum(models.Model):
    """What messages add up to that were put away with their month (messaging/putting_away.py), by the UTC hour in which
    they were accepted. Tallies, charges and campaigns count them on.
    """

    client = models.ForeignKey(
        "accounts.Client", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    campaign_id = models.BigIntegerField(null=True)
    hour = models.DateTimeField()
    channel = models.CharField(max_length=10, choices=Channel)
    status = models.CharField(max_length=10, choices=MessageStatus)
    messages = models.IntegerField()
    unconfirmed = models.IntegerField()
    cost_micros = models.BigIntegerField()

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["client", "hour"], name="message_sum_by_hour"),
            models.Index(
                fields=["campaign_id"], condition=Q(campaign_id__isnull=False), name="message_sum_by_campaign"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.messages} {self.status} of client {self.client_id}"


class MessageLease(models.Model):
    """Who is sending a queued message now: claimed, and from right before the provider is written to, `submitting`.

    Narrow and apart, because a row of messages that moves is written to a dozen indexes. Taken, moved on and ended in
    messaging/sending/claims.py, which says what keeps a message from leaving twice. No foreign key: it would be looked
    up for every message that is sent, and nobody deletes messages.
    """

    message_id = models.BigIntegerField(primary_key=True)
    owner = models.CharField(max_length=64)
    submitting = models.BooleanField(default=False)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.message_id} with {self.owner}"


class EventKind(models.TextChoices):
    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    HELD = "held"
    QUEUED = "queued"
    RETRY = "retry"
    SENT = "sent"
    UNCONFIRMED = "unconfirmed", "No answer from the provider"
    CONFIRMED = "confirmed"
    REPORT = "report"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNREPORTED = "unreported", "No report in 72 hours"


ASKED_FOR = frozenset({EventKind.ACCEPTED, EventKind.SCHEDULED, EventKind.QUEUED})  # how a timeline begins


class MessageEvent(models.Model):
    """One line of a message's timeline. `code` is ours (providers/failures.py), `detail` the provider's words.

    Of the line that says that it was accepted, `detail` is the id of the request behind it, "" for a campaign's.
    """

    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    client = models.ForeignKey(
        "accounts.Client", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=12, choices=EventKind)
    code = models.CharField(max_length=40, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["message", "id"], name="event_by_message")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"
