"""A campaign as it stands on a page: what was typed on this step over what its draft has."""

from functools import cached_property
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from crm.common.channels import CAMPAIGN_CHANNELS
from crm.common.errors import InvalidInput, NotFound
from crm.common.sql import database_now
from messaging import queries
from messaging.campaign_forms import (
    AUDIENCE,
    MESSAGE,
    REVIEW,
    STEPS,
    WHEN,
    AudienceForm,
    MessageForm,
    StepForm,
    WhenForm,
)
from messaging.forms import MAIL_PARTS, read_id
from messaging.models import Campaign, CampaignRecipient, Channel, TemplateLanguage, WhatsAppTemplate
from messaging.services import campaigns as service
from messaging.services.audience import AnyRenderer, renderer_for, unwritten
from messaging.services.direct import read_emails, read_numbers
from messaging.services.mail_rendering import PARTS, read_draft_mail
from messaging.services.rules import rules_of
from messaging.services.whatsapp_rendering import read_draft_template
from messaging.whatsapp_campaign_forms import TemplateMessageForm, initial_of

_Form = TypeVar("_Form", bound=StepForm)
MOST_SHOWN = 2_000  # listed numbers that the box holds; more stay listed unseen


def campaign_or_404(request: HttpRequest, pk: int) -> Campaign:
    try:
        return service.get_campaign(client=request.client, campaign_id=pk)
    except NotFound as error:
        raise Http404(str(error)) from None


def posted_sketch(request: HttpRequest) -> "Sketch":
    """The campaign of which a page asks something while it is written: the form names its draft and its step."""
    draft = read_id(request.POST.get("draft", ""))
    return Sketch(request, campaign_or_404(request, draft) if draft else None, posted_step(request))


def posted_step(request: HttpRequest) -> str:
    step = request.POST.get("step", "")
    return step if step in (AUDIENCE, MESSAGE, WHEN) else AUDIENCE


class Sketch:
    """The forms of a campaign's steps. Of a draft the posted step holds what was typed and the others what is kept;
    a campaign that was never saved has all it is in the request, wherever it was typed."""

    def __init__(self, request: HttpRequest, campaign: Campaign | None, step: str) -> None:
        self.request, self.client, self.campaign, self.step = request, request.client, campaign, step
        self.channel = campaign.channel if campaign else _asked_channel(request)

    @property
    def is_mail(self) -> bool:
        return self.channel == Channel.EMAIL

    @property
    def is_whatsapp(self) -> bool:
        return self.channel == Channel.WHATSAPP

    # --- forms ---------------------------------------------------------------------------------------------------

    @cached_property
    def audience(self) -> AudienceForm:
        return self._form(AudienceForm)

    @cached_property
    def message(self) -> MessageForm:
        return self._form(TemplateMessageForm if self.is_whatsapp else MessageForm)

    @cached_property
    def when(self) -> WhenForm:
        return self._form(WhenForm)

    @property
    def form(self) -> StepForm:
        """The form of the step that is shown."""
        found: StepForm = getattr(self, self.step)
        return found

    def posted(self) -> list[StepForm]:
        """The forms that hold what was typed."""
        return [getattr(self, step) for step in (AUDIENCE, MESSAGE, WHEN) if self._is_posted(step)]

    def _is_posted(self, step: str) -> bool:
        return self.request.method == "POST" and (self.campaign is None or step == self.step)

    def _form(self, kind: type[_Form]) -> _Form:
        if self._is_posted(kind.step):
            return kind(self.request.POST, self.request.FILES, client=self.client, channel=self.channel)
        return kind(client=self.client, channel=self.channel, initial=self.kept)

    def carried(self) -> list[tuple[str, str]]:
        """(name, value) of what other steps hold of a campaign that was never saved, for the form to bring along."""
        if self.campaign is not None:
            return []
        found = []
        for step in {AUDIENCE, MESSAGE, WHEN} - {self.step}:
            for field in getattr(self, step):
                value = "" if field.name in ("upload", "keep_list") else field.value()
                values = value if isinstance(value, list) else [value]
                found += [(field.name, str(one)) for one in values if one not in (None, "")]
        return sorted(found)

    def use_template(self, template_id: int) -> None:
        """Put a template's words in the place of those typed."""
        typed = {name: self.message.typed(name) for name in self.message.fields}
        initial = typed | template_words(self.request, template_id, self.channel)
        self.message = type(self.message)(client=self.client, channel=self.channel, initial=initial)

    @cached_property
    def kept(self) -> dict[str, Any]:
        """What the forms begin with: the draft as it is kept, or a new campaign."""
        return _initial_of(self.campaign, self.listed) if self.campaign else _new(self.request, self.channel)

    # --- what it comes to ----------------------------------------------------------------------------------------

    @cached_property
    def listed(self) -> list[str]:
        """The numbers or addresses that the draft has listed."""
        if self.campaign is None:
            return []
        rows = CampaignRecipient.objects.for_client(self.client).filter(campaign=self.campaign).order_by("pk")
        return list(rows.values_list("address", flat=True))

    @property
    def many_listed(self) -> bool:
        return len(self.listed) > MOST_SHOWN

    @cached_property
    def group_ids(self) -> list[int]:
        return self._groups("groups")

    @cached_property
    def excluded_ids(self) -> list[int]:
        return self._groups("excluded")

    def _groups(self, name: str) -> list[int]:
        if self.campaign is None or self._is_posted(AUDIENCE):
            return self.audience.known_groups(name)
        return list(self.kept[name])

    @property
    def numbers(self) -> str:
        """What stands in the box of numbers or addresses."""
        if self.campaign is None or self._is_posted(AUDIENCE):
            return self.audience.typed("numbers")
        return str(self.kept["numbers"])

    @property
    def kept_listed(self) -> list[str]:
        """The listed numbers that the box cannot hold, where they are kept."""
        dropped = self._is_posted(AUDIENCE) and not self.audience["keep_list"].value()
        return self.listed if self.many_listed and not dropped else []

    def addresses_in(self, typed: str) -> list[str]:
        """The numbers or addresses of a box, each once, without what is none."""
        found = read_emails(typed) if self.is_mail else read_numbers(typed, self.client.country)
        return found.numbers

    @property
    def ending(self) -> str:
        return rules_of(self.client).ending(self.message.typed("message_class", 20))

    def written(self) -> tuple[Campaign, str]:
        """The message as a campaign that is not saved, and what is wrong with it or ""."""
        form = self.message
        sender = queries.approved_senders(self.client, self.channel).filter(name=form.typed("sender", 254)).first()
        campaign = Campaign(client=self.client, channel=self.channel, sender=sender, text=form.typed("text"))
        if isinstance(form, TemplateMessageForm):
            try:
                campaign.text, campaign.content = read_draft_template(self.client, form.whatsapp_parts())
            except InvalidInput as error:
                return campaign, str(error)
            campaign.message_class = form.typed("message_class", 20)
            return campaign, ""
        if not self.is_mail:
            return campaign, ""
        try:
            mail = read_draft_mail(text=campaign.text, parts=form.mail_parts(), variants=form.mail_variants())
        except InvalidInput as error:
            campaign.text = ""
            return campaign, next(sentences[0] for sentences in error.errors.values())
        campaign.text, campaign.variants, campaign.content = mail
        return campaign, ""

    def renderer(self) -> AnyRenderer | None:
        """What turns people into the message that is being written; None while there is none."""
        written, problem = self.written()
        if problem or unwritten(written):
            return None
        return renderer_for(written, simulated=self.client.simulation, ending=self.ending)

    def missing(self) -> dict[str, str]:
        """By step what nobody has said yet and must be said before it can be sent, in a few words."""
        return missing_in(self.campaign) if self.campaign and not self.posted() else self._missing()

    def _missing(self) -> dict[str, str]:
        found = {}
        if not (self.group_ids or self.numbers.strip() or self.kept_listed):
            found[AUDIENCE] = _("Nobody chosen yet")
        written, problem = self.written()
        if problem or unwritten(written):
            found[MESSAGE] = _("Nothing written yet")
        elif not self.message.has_senders:
            found[MESSAGE] = _("No sender yet")
        return found


def missing_in(campaign: Campaign) -> dict[str, str]:
    """By step what a draft lacks, in a few words; its texts and people are looked at when it is reviewed."""
    found = {}
    listed = CampaignRecipient.objects.for_client(campaign.client_id).filter(campaign=campaign)
    if not campaign.groups.exists() and not listed.exists():
        found[AUDIENCE] = _("Nobody chosen yet")
    if unwritten(campaign):
        found[MESSAGE] = _("Nothing written yet")
    elif campaign.sender is None:
        found[MESSAGE] = _("No sender yet")
    if campaign.schedule_at is not None and campaign.schedule_at <= database_now():
        found[WHEN] = _("The time has passed")
    return found


def step_words() -> dict[str, str]:
    return {
        AUDIENCE: pgettext("step of a campaign", "Audience"),
        MESSAGE: _("Message"),
        WHEN: _("When"),
        REVIEW: _("Review"),
    }


def steps_bar(current: str, missing: dict[str, str], campaign: Campaign | None = None) -> list[dict[str, Any]]:
    """What _campaign_steps.html prints: the four pages, and what is missing on each. campaign: for plain links.

    Done is what comes before the first gap; the review itself is never done before it is confirmed.
    """
    words = step_words()
    first_missing = next((number for number, step in enumerate(STEPS) if missing.get(step)), len(STEPS))
    return [
        {
            "step": step,
            "word": f"{number}.\u00a0{words[step]}",
            "is_current": step == current,
            "is_done": number <= first_missing and number < len(STEPS),
            "missing": missing.get(step),
            "url": reverse(f"campaign_{step}", args=[campaign.pk]) if campaign else "",
        }
        for number, step in enumerate(STEPS, start=1)
    ]


def _asked_channel(request: HttpRequest) -> str:
    """The channel asked for a new campaign, as far as it can be written for here."""
    asked = request.POST.get("channel", "") or request.GET.get("channel", "")
    return asked if asked in CAMPAIGN_CHANNELS else Channel.SMS


def _new(request: HttpRequest, channel: str) -> dict[str, Any]:
    """What a new campaign begins with: a name, and the group or template that the address names."""
    group, template = read_id(request.GET.get("group", "")), read_id(request.GET.get("template", ""))
    now = date_format(timezone.localtime(timezone=ZoneInfo(request.client.time_zone)), "j M Y, H:i")
    found: dict[str, Any] = {"name": _("Campaign of %(day)s") % {"day": now}, "groups": [group] if group else []}
    if template:
        found |= template_words(request, template, channel)
    if request.GET.get("language") and (text := template_text(request)):
        found["text"] = text
    return found


def _initial_of(campaign: Campaign, listed: list[str]) -> dict[str, Any]:
    zone = ZoneInfo(campaign.client.time_zone)
    found = {
        "name": campaign.name,
        "text": campaign.text,
        **{f"text_{language}": text for language, text in campaign.variants.items()},
        **{name: campaign.content.get(name, "") for name in PARTS},
        **{
            f"{part}_{language}": words
            for language, parts in campaign.content.get("variants", {}).items()
            for part, words in parts.items()
        },
        "groups": list(campaign.groups.values_list("pk", flat=True)),
        "excluded": list(campaign.excluded.values_list("pk", flat=True)),
        "numbers": "" if len(listed) > MOST_SHOWN else "\n".join(listed),
        "keep_list": True,
        "message_class": campaign.message_class,
        "when": "repeat" if campaign.repeat else "later" if campaign.schedule_at else "now",
        "schedule_at": campaign.schedule_at and campaign.schedule_at.astimezone(zone).replace(tzinfo=None),
        "repeat": campaign.repeat or None,
        "repeat_until": campaign.repeat_until,
        "repeat_times": campaign.repeat_times,
        "spread_hours": campaign.spread_hours,
    }
    if campaign.channel == Channel.WHATSAPP:
        found |= initial_of(campaign.content)
    return found | ({"sender": campaign.sender.name} if campaign.sender else {})


def template_words(request: HttpRequest, template_id: int, channel: str) -> dict[str, str]:
    """A template's words as the fields of the form: one language as the message, the others for who prefers them."""
    if channel == Channel.WHATSAPP:
        chosen = WhatsAppTemplate.objects.for_client(request.client).filter(pk=template_id).first()
        return initial_of({"template": chosen.name, "language": chosen.language}) if chosen else {}
    ids = queries.templates_for(request.client, channel).filter(pk=template_id).values_list("pk", flat=True)
    words = queries.template_words(request.client, list(ids)).get(template_id, {})
    if not words:
        return {}
    first = next((code for code in (request.LANGUAGE_CODE[:2], "en", "sw", "fr") if code in words), "")
    suffixes = ("", *(f"_{code}" for code in TemplateLanguage.values))
    found = {f"{part}{suffix}": "" for part in MAIL_PARTS for suffix in suffixes} | words[first]
    return found | {
        f"{part}_{code}": text for code, parts in words.items() if code != first for part, text in parts.items()
    }


def template_text(request: HttpRequest) -> str:
    """The text of the client's template named by `?template=` and `?language=`; "" where there is none."""
    wanted = read_id(request.GET.get("template", ""))
    texts = queries.template_texts(request.client, [wanted]).get(wanted, {}) if wanted else {}
    return texts.get(request.GET.get("language", "")) or next(iter(texts.values()), "")
