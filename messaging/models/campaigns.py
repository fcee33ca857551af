"""Campaigns: one composed text to many contacts."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from crm.common.channels import Channel
from crm.common.tenancy import TenantManager
from messaging.models.hours import MessageClass


class CampaignState(models.TextChoices):
    """draft ⇄ scheduled → sending ⇄ paused → done | cancelled. `stopped`: ended by the product, `stop_reason` says why.

    awaiting: submitted to a second person, who approves it (then as if confirmed) or returns it (draft again).
    scheduled: confirmed and paid for, but its time has not come; for a few seconds also what was sent at once.
    repeating: the pattern of a series; each run is a campaign of its own, until the series ends (done, cancelled or
    stopped).
    """

    DRAFT = "draft"
    AWAITING = "awaiting", _("Awaiting approval")
    REPEATING = "repeating"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


class Repeat(models.TextChoices):
    """How often a series runs, at the same time of the client's clock."""

    DAILY = "daily", _("Every day")
    WEEKLY = "weekly", _("Every week")
    MONTHLY = "monthly", _("Every month")


class Campaign(models.Model):
    """A text to the members of some groups and to listed numbers, each message filled from its contact.

    The quote is what the review page showed and the person confirmed: it is reserved in the wallet, and expansion into
    messages draws on that reservation alone. `cursor` is the last contact expanded; `until_contact` the newest contact
    at the moment of confirming, so that nobody who joins later is written to unseen. The listed numbers
    (CampaignRecipient) are expanded after the groups; `listed_cursor` is the last of them expanded.

    `schedule_at` is the time asked for, None for at once; `starts_at`, set when it is confirmed, the moment it may
    begin; both UTC. `countries`: where its recipients are, as of then. `pause_reason`: why the product paused it, ""
    where a person did; `pause_kind` names the cause, and a cause that a person waived by resuming is in `waived`.

    `variants`: the text in further languages, by language code, for contacts who prefer them. `content`: what the
    channel has beyond the text, unfilled; of a mail {subject, preheader, html, reply_to, variants: {code: {subject,
    html}}} where they are not empty, html already harmless. `excluded`: groups whose members get nothing.
    `ending`: what followed the text when it was confirmed. `returned_note`: what the second person wrote when giving
    it back.
    `repeat`: the pattern of a series; its runs have it as `series` and are numbered by `run`. `starts_at` of a
    repeating campaign is its next run, `schedule_at` its first.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=120)
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.SMS)
    sender = models.ForeignKey("messaging.SenderId", null=True, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(blank=True)
    variants = models.JSONField(default=dict, blank=True, db_default={})
    content = models.JSONField(default=dict, blank=True, db_default={})
    ending = models.CharField(max_length=150, blank=True, default="", db_default="")
    groups = models.ManyToManyField("contacts.Group", related_name="+", blank=True)
    excluded = models.ManyToManyField("contacts.Group", related_name="+", blank=True)
    state = models.CharField(max_length=10, choices=CampaignState, default=CampaignState.DRAFT)
    stop_reason = models.CharField(max_length=200, blank=True)
    simulated = models.BooleanField(default=False)
    pause_reason = models.CharField(max_length=200, blank=True, db_default="")
    pause_kind = models.CharField(max_length=20, blank=True, db_default="")
    waived = models.JSONField(default=list, blank=True, db_default=[])

    message_class = models.CharField(
        max_length=12, choices=MessageClass, default=MessageClass.INFORMATION, db_default=MessageClass.INFORMATION
    )
    schedule_at = models.DateTimeField(null=True, blank=True)
    spread_hours = models.PositiveSmallIntegerField(default=0, db_default=0)
    starts_at = models.DateTimeField(null=True, blank=True)
    countries = models.JSONField(default=list, blank=True, db_default=[])

    repeat = models.CharField(max_length=8, choices=Repeat, blank=True, db_default="")
    repeat_until = models.DateField(null=True, blank=True)
    repeat_times = models.PositiveSmallIntegerField(null=True, blank=True)
    series = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    run = models.PositiveIntegerField(null=True, blank=True)

    quoted_recipients = models.PositiveIntegerField(default=0)
    quoted_units = models.PositiveIntegerField(default=0)
    quoted_cost_micros = models.BigIntegerField(default=0)

    cursor = models.BigIntegerField(default=0)
    listed_cursor = models.BigIntegerField(default=0, db_default=0)
    until_contact = models.BigIntegerField(default=0)
    expanded_at = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    updated_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    submitted_at = models.DateTimeField(null=True, blank=True)
    returned_note = models.CharField(max_length=500, blank=True, db_default="")
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["series", "run"], name="campaign_run_once")]
        indexes = [
            models.Index(fields=["client", "-id"], name="campaign_by_client"),
            models.Index(
                fields=["state"], condition=models.Q(state__in=["sending", "paused"]), name="campaign_running"
            ),
            models.Index(fields=["starts_at"], condition=models.Q(state="scheduled"), name="campaign_schedule"),
            models.Index(fields=["starts_at"], condition=models.Q(state="repeating"), name="campaign_repeats"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def sender_name(self) -> str:
        """What recipients see as the origin; "" while a draft has none."""
        return self.sender.name if self.sender else ""

    @property
    def reservation(self) -> str:
        """The reference under which the wallet holds this campaign's money."""
        return f"campaign:{self.pk}"


class CampaignRecipient(models.Model):
    """An address that a campaign was given by itself instead of by a group; it need not be in the client's book.

    Where a contact has it, that contact fills the text. Once per campaign, whatever the groups hold.
    """

    client = models.ForeignKey("accounts.Client", on_delete=models.CASCADE, related_name="+", db_index=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="+", db_index=False)
    address = models.CharField(max_length=254, help_text="E.164 with plus; by email an address in lower case")

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["campaign", "address"], name="campaign_number_once")]
        indexes = [models.Index(fields=["campaign", "id"], name="campaign_numbers_in_order")]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.address}"
