"""Shapes of what the native API of campaigns takes and gives (contracts/dialects/native.md, "Campaigns")."""

from typing import Any, ClassVar

from rest_framework import serializers

from crm.common.channels import CAMPAIGN_CHANNELS, Channel
from crm.common.money import json_money
from messaging.models import Campaign, CampaignState, MessageClass, Repeat
from messaging.queries import Progress
from messaging.services.audience import Quote
from messaging.services.repeating import MOST_TIMES
from messaging.services.scheduling import LONGEST_SPREAD

MOST_LISTED = 10_000
_LARGEST_ID = 2**63 - 1
STATUSES = {
    CampaignState.DRAFT: "draft",
    CampaignState.AWAITING: "awaiting_approval",
    CampaignState.REPEATING: "repeating",
    CampaignState.SCHEDULED: "scheduled",
    CampaignState.SENDING: "sending",
    CampaignState.PAUSED: "paused",
    CampaignState.DONE: "completed",
    CampaignState.CANCELLED: "cancelled",
    CampaignState.STOPPED: "stopped",
}


def _ids(help_text: str) -> serializers.ListField:
    child = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID)
    return serializers.ListField(
        child=child, max_length=MOST_LISTED, required=False, allow_null=True, help_text=help_text
    )


class VariantRequest(serializers.Serializer):
    """The words of one language; by SMS the message alone."""

    message = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, max_length=200_000, help_text="The text."
    )
    subject = serializers.CharField(required=False, allow_blank=True, max_length=200, help_text="Email only.")
    html = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, max_length=200_000, help_text="Email only."
    )


class VariantsRequest(serializers.Serializer):
    """By language code; a language left out has none."""

    en = VariantRequest(required=False)
    fr = VariantRequest(required=False)
    sw = VariantRequest(required=False)


class CampaignRequest(serializers.Serializer):
    """POST campaigns. Recipients, groups and contacts may be combined; everybody is written to once."""

    name = serializers.CharField(max_length=120, help_text="For your own eyes.")
    message = serializers.CharField(
        trim_whitespace=False,
        required=False,
        max_length=200_000,
        help_text="The text, by SMS at most 480 characters once filled in; a mail with `html` may go without. {name}, "
        "{first_name}, {phone}, {department} or any attribute is filled from each contact; {name|friend} where it may "
        "be missing.",
    )
    sender = serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=254,
        help_text="An approved sender ID, or From address; left out: your default.",
    )
    recipients = serializers.ListField(
        child=serializers.CharField(allow_blank=True, max_length=254),
        max_length=MOST_LISTED,
        required=False,
        allow_null=True,
        help_text="Phone numbers, by email addresses. Those that cannot be read are left out and named in the answer.",
    )
    groups = _ids("Ids of groups.")
    excluded_groups = _ids("Ids of groups whose members get nothing, whatever else names them.")
    contacts = _ids("Ids of contacts.")
    variants = VariantsRequest(
        required=False,
        allow_null=True,
        help_text="The message in other languages, for contacts whose field “language” says so; all of them at once.",
    )
    channel = serializers.ChoiceField(
        choices=[str(one) for one in CAMPAIGN_CHANNELS],
        default="sms",
        help_text="What it goes out by; a draft keeps its channel.",
    )
    subject = serializers.CharField(
        required=False, max_length=200, help_text="Email only, and needed there; with {placeholders} like the text."
    )
    html = serializers.CharField(
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        max_length=200_000,
        help_text="Email only, with {placeholders}. Scripts, forms and frames are left out.",
    )
    preheader = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=200,
        help_text="Email only: what an inbox shows behind the subject.",
    )
    reply_to = serializers.CharField(
        required=False, allow_blank=True, max_length=254, help_text="Email only: the address that answers go to."
    )
    template = serializers.CharField(
        required=False, max_length=512, help_text="WhatsApp only, and needed there: the name of an approved template."
    )
    language = serializers.CharField(
        required=False,
        max_length=15,
        help_text="WhatsApp only: of the template, such as `en_US`; left out where it has one alone. Who prefers "
        "another one that it has reads that.",
    )
    variables = serializers.DictField(
        child=serializers.CharField(max_length=1024),
        required=False,
        help_text="WhatsApp only: what the template’s variables stand for, by number or name, with {placeholders}.",
    )
    schedule_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="It leaves then, once sent: a moment within the next year."
    )
    spread_hours = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=LONGEST_SPREAD,
        help_text="The messages leave evenly over so many hours; 0: as fast as possible.",
    )
    repeat = serializers.ChoiceField(
        choices=Repeat.values,
        required=False,
        allow_null=True,
        help_text="It is sent again and again from `schedule_at` on, each run as a campaign of its own that reserves "
        "its own cost; null: once.",
    )
    repeat_until = serializers.DateField(
        required=False, allow_null=True, help_text="The last day on which it is sent, in your time zone."
    )
    repeat_times = serializers.IntegerField(
        required=False, allow_null=True, min_value=2, max_value=MOST_TIMES, help_text="How many runs there are."
    )
    message_class = serializers.ChoiceField(
        choices=MessageClass.values,
        required=False,
        help_text="What it is for; it decides the hours in which people may be written to. Left out: information.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.partial_draft:
            return attrs
        channel = attrs["channel"]
        for own, fields in (("email", MAIL_FIELDS), ("whatsapp", TEMPLATE_FIELDS)):
            if channel != own and (odd := sorted(fields & attrs.keys())):
                raise serializers.ValidationError({name: [f"Only for the channel {own}."] for name in odd})
        if channel == "whatsapp":
            if "message" in attrs:
                raise serializers.ValidationError({"message": ["A template has its own text."]})
            if "template" not in attrs:
                raise serializers.ValidationError({"template": ["This field is required."]})
        elif channel == "sms" and "message" not in attrs:
            raise serializers.ValidationError({"message": ["This field is required."]})
        elif channel == "email" and "subject" not in attrs:
            raise serializers.ValidationError({"subject": ["This field is required."]})
        elif channel == "email" and not attrs.get("message") and not attrs.get("html"):
            raise serializers.ValidationError({"message": ["Give the text or the HTML of the mail."]})
        return attrs

    partial_draft: ClassVar[bool] = False


MAIL_FIELDS = {"subject", "html", "preheader", "reply_to"}
TEMPLATE_FIELDS = {"template", "language", "variables"}


class CampaignChange(CampaignRequest):
    """PATCH campaigns/{id}: only what is given changes; recipients and contacts replace the former list."""

    name = serializers.CharField(max_length=120, required=False, help_text="For your own eyes.")
    message = serializers.CharField(
        trim_whitespace=False, max_length=200_000, required=False, help_text="The text, with its {placeholders}."
    )
    channel = None  # type: ignore[assignment]  # a draft keeps its own
    partial_draft = True


class LaunchRequest(serializers.Serializer):
    """POST campaigns/{id}/send: what you saw in the estimate, if it is to be sent for that only."""

    expected_recipients = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=_LARGEST_ID,
        help_text="409 if it is another number now.",
    )
    expected_cost = serializers.DecimalField(
        required=False,
        allow_null=True,
        min_value=0,
        max_digits=15,
        decimal_places=6,
        help_text="409 if the cost is another now.",
    )


class RefusedRecipientShape(serializers.Serializer):
    recipient = serializers.CharField()
    error = serializers.CharField()


class CampaignShape(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    message = serializers.CharField()
    subject = serializers.CharField(required=False, help_text="Of mails.")
    template = serializers.CharField(required=False, help_text="Of WhatsApp; `message` is its text.")
    language = serializers.CharField(required=False, help_text="Of WhatsApp: the template's.")
    variables = serializers.DictField(required=False, help_text="Of WhatsApp.")
    sender = serializers.CharField(allow_null=True)
    channel = serializers.CharField()
    groups = serializers.ListField(child=serializers.IntegerField(), help_text="Ids of groups.")
    excluded_groups = serializers.ListField(child=serializers.IntegerField(), help_text="Whose members get nothing.")
    variants = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField()), help_text="What other languages say, by code."
    )
    status = serializers.ChoiceField(choices=list(STATUSES.values()))
    reason = serializers.CharField(allow_null=True, help_text="Why it was paused or stopped, or whom it left out.")
    recipients = serializers.IntegerField(
        help_text="People it reaches, once it was started; before that the numbers listed one by one."
    )
    queued = serializers.IntegerField(help_text="Waiting to leave.")
    sent = serializers.IntegerField(help_text="Left; no final report yet.")
    delivered = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Not delivered; refunded.")
    not_sent = serializers.IntegerField(help_text="Cancelled or left out; not charged.")
    cost = serializers.FloatField(help_text="Charged so far, net of refunds.")
    quoted_cost = serializers.FloatField(help_text="What was reserved when it was started.")
    created_at = serializers.DateTimeField()
    schedule_at = serializers.DateTimeField(allow_null=True, help_text="null: as soon as it is sent.")
    spread_hours = serializers.IntegerField()
    repeat = serializers.ChoiceField(choices=Repeat.values, allow_null=True, help_text="null: it is sent once.")
    repeat_until = serializers.DateField(allow_null=True)
    repeat_times = serializers.IntegerField(allow_null=True)
    next_run_at = serializers.DateTimeField(allow_null=True, help_text="While it is repeating.")
    series = serializers.IntegerField(allow_null=True, help_text="Of a run: the campaign that repeats.")
    run = serializers.IntegerField(allow_null=True, help_text="Which run of its series it is, the first being 1.")
    message_class = serializers.ChoiceField(choices=MessageClass.values)
    started_at = serializers.DateTimeField(allow_null=True, help_text="When it was sent, or scheduled.")
    finished_at = serializers.DateTimeField(allow_null=True)


class SavedCampaignShape(CampaignShape):
    refused = RefusedRecipientShape(many=True, help_text="Numbers left out of the list, as given.")


class EstimateShape(serializers.Serializer):
    id = serializers.IntegerField()
    recipients = serializers.IntegerField(help_text="People who would be written to.")
    units = serializers.IntegerField()
    cost = serializers.FloatField()
    currency = serializers.CharField()
    balance = serializers.FloatField(help_text="What is there and not reserved.")
    affordable = serializers.BooleanField()
    problems = serializers.ListField(child=serializers.CharField(), help_text="What keeps it from being sent.")


class DeletedCampaignShape(serializers.Serializer):
    id = serializers.IntegerField()


def show_campaign(
    campaign: Campaign, progress: Progress, listed: int, groups: tuple[list[int], list[int]]
) -> dict[str, Any]:
    """`progress` and `groups` by messaging.queries; `listed`: how many numbers it has by itself."""
    return {
        "id": campaign.pk,
        "name": campaign.name,
        "message": campaign.text,
        "sender": campaign.sender.name if campaign.sender else None,
        "channel": campaign.channel,
        "groups": groups[0],
        "excluded_groups": groups[1],
        "variants": _variants(campaign),
        **({"subject": campaign.content.get("subject", "")} if campaign.channel == Channel.EMAIL else {}),
        **({name: campaign.content.get(name) for name in TEMPLATE_FIELDS} if campaign.channel == "whatsapp" else {}),
        "status": STATUSES.get(CampaignState(campaign.state), str(campaign.state)),
        "reason": campaign.stop_reason or campaign.pause_reason or None,
        "recipients": listed if campaign.state == CampaignState.DRAFT else progress.audience,
        "queued": progress.queued + progress.unexpanded,
        "sent": progress.sent,
        "delivered": progress.delivered,
        "failed": progress.failed,
        "not_sent": progress.not_sent,
        "cost": json_money(progress.spent_micros),
        "quoted_cost": json_money(campaign.quoted_cost_micros),
        "created_at": campaign.created_at,
        "schedule_at": campaign.schedule_at,
        "spread_hours": campaign.spread_hours,
        "repeat": campaign.repeat or None,
        "repeat_until": campaign.repeat_until,
        "repeat_times": campaign.repeat_times,
        "next_run_at": campaign.starts_at if campaign.state == CampaignState.REPEATING else None,
        "series": campaign.series_id,
        "run": campaign.run,
        "message_class": str(campaign.message_class),
        "started_at": campaign.confirmed_at,
        "finished_at": campaign.finished_at,
    }


def _variants(campaign: Campaign) -> dict[str, dict[str, str]]:
    others = campaign.content.get("variants", {})
    return {
        code: {"message": campaign.variants.get(code, ""), **others.get(code, {})}
        for code in sorted({*campaign.variants, *others})
    }


def show_estimate(campaign: Campaign, quote: Quote, problems: list[str], available_micros: int) -> dict[str, Any]:
    return {
        "id": campaign.pk,
        "recipients": quote.recipients,
        "units": quote.units,
        "cost": json_money(quote.cost_micros),
        "currency": campaign.client.currency,
        "balance": json_money(available_micros),
        "affordable": quote.cost_micros <= available_micros,
        "problems": problems,
    }
