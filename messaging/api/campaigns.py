"""Native API of campaigns (contracts/dialects/native.md, "Campaigns")."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Client
from crm.common.api import params
from crm.common.api.describe import PAGES, Param, describe
from crm.common.api.envelope import listing, success
from crm.common.api.pages import rows_of_page
from crm.common.api.views import ApiView
from crm.common.errors import InvalidInput, WrongState
from crm.common.money import to_micros
from messaging import queries
from messaging.api import waiting
from messaging.api.campaign_shapes import (
    MAIL_FIELDS,
    STATUSES,
    TEMPLATE_FIELDS,
    CampaignChange,
    CampaignRequest,
    CampaignShape,
    DeletedCampaignShape,
    EstimateShape,
    LaunchRequest,
    SavedCampaignShape,
    show_campaign,
    show_estimate,
)
from messaging.errors import StillCounting
from messaging.models import Campaign, CampaignState, Channel
from messaging.services import campaigns as services
from messaging.services import quoting
from messaging.services.accept import check_may_send
from messaging.services.audience import problems_of
from messaging.services.repeating import set_repeat
from messaging.services.scheduling import set_timing
from wallet.queries import balance_of

_NOT_FOUND = {404: "There is no such campaign."}
_STARTED = {409: "It was started before: only a draft can be changed."}
# The service's words for the fields of these requests; a variant's are text_fr, subject_fr, …
_FIELDS = {"text": "message", "excluded": "excluded_groups"}
_VARIANT = re.compile(r"(text|subject|html)_([a-z]{2})")
_TIMES, _REPEATS = {"schedule_at", "spread_hours"}, {"repeat", "repeat_until", "repeat_times"}
_STORED = {shown: stored for stored, shown in STATUSES.items()}


class CampaignsView(ApiView):
    """The client's campaigns."""

    required_scope = "campaigns"

    @describe(
        "List campaigns",
        "Newest first.",
        answers=CampaignShape,
        paged=True,
        query=(*PAGES, Param("status", "Only those.", choices=("all", *_STORED), default="all")),
    )
    def get(self, request: Request, client_id: int) -> Response:
        client, asked = request.auth.client, request.query_params
        page = params.read_page(asked)
        status = params.read_choice(asked, "status", {"all": 1} | dict.fromkeys(_STORED, 1), default="all")
        found = queries.campaigns_for(client, state=_STORED.get(status, ""))
        total = found.count()
        return Response(listing(_show_all(client, rows_of_page(found, page, total)), page.meta(total)))

    @describe(
        "Write a campaign",
        "Makes a draft; nothing is sent or charged before `POST campaigns/{id}/send`.",
        takes=CampaignRequest,
        answers=SavedCampaignShape,
        example={
            "name": "Monthly Newsletter",
            "message": "Check out our latest offers!",
            "sender": "YOURSTORE",
            "recipients": ["254712345678", "254723456789"],
        },
    )
    def post(self, request: Request, client_id: int) -> Response:
        asked = self.read(CampaignRequest)
        if not (asked.get("recipients") or asked.get("groups") or asked.get("contacts")):
            raise InvalidInput({"recipients": ["Give recipients, groups or contacts."]})
        client = request.auth.client
        with transaction.atomic():
            campaign = _in_our_words(
                lambda: services.save_draft(
                    client=client,
                    by=None,
                    name=asked["name"],
                    text=asked.get("message", ""),
                    group_ids=asked.get("groups") or [],
                    sender=asked.get("sender"),
                    channel=asked["channel"],
                    mail={name: asked[name] for name in MAIL_FIELDS & asked.keys()},
                    whatsapp={name: asked[name] for name in TEMPLATE_FIELDS & asked.keys()},
                    excluded_ids=asked.get("excluded_groups"),
                    message_class=asked.get("message_class"),
                    **_variants(asked["channel"], asked),
                )
            )
            _time(client, campaign, asked)
            refused = _list(client, campaign, asked)
            if asked.get("recipients") and not asked.get("groups") and not asked.get("contacts"):
                _refuse_nobody(asked["recipients"], refused)
        return _saved(client, campaign.pk, refused)


class CampaignView(ApiView):
    """One campaign."""

    required_scope = "campaigns"

    @describe("Read a campaign", "Its figures are those of this moment.", answers=CampaignShape, refuses=_NOT_FOUND)
    def get(self, request: Request, client_id: int, campaign_id: int) -> Response:
        return _one(request.auth.client, campaign_id)

    @describe(
        "Change a draft",
        "Only what is given changes; recipients and contacts together replace the former list.",
        takes=CampaignChange,
        answers=SavedCampaignShape,
        refuses=_NOT_FOUND | _STARTED,
        example={"message": "Check out our latest offers, {first_name|friend}!"},
    )
    def patch(self, request: Request, client_id: int, campaign_id: int) -> Response:
        client = request.auth.client
        campaign = services.get_campaign(client=client, campaign_id=campaign_id)
        asked = self.read(CampaignChange)
        refused: Sequence[services.Unlisted] = ()
        with transaction.atomic():
            _in_our_words(
                lambda: services.save_draft(
                    client=client,
                    by=None,
                    campaign_id=campaign_id,
                    name=asked.get("name"),
                    text=asked.get("message"),
                    group_ids=asked.get("groups"),
                    sender=asked.get("sender") or None,
                    mail=_changed(campaign, asked, Channel.EMAIL, MAIL_FIELDS),
                    whatsapp=_changed(campaign, asked, Channel.WHATSAPP, TEMPLATE_FIELDS),
                    excluded_ids=asked.get("excluded_groups"),
                    message_class=asked.get("message_class"),
                    **_variants(campaign.channel, asked),
                )
            )
            _time(client, campaign, asked)
            if asked.get("recipients") is not None or asked.get("contacts") is not None:
                refused = _list(client, campaign, asked)
        return _saved(client, campaign_id, refused)

    @describe(
        "Delete a draft",
        answers=DeletedCampaignShape,
        refuses=_NOT_FOUND | _STARTED,
        message="Campaign deleted",
    )
    def delete(self, request: Request, client_id: int, campaign_id: int) -> Response:
        services.delete_draft(client=request.auth.client, campaign_id=campaign_id)
        return Response(success({"id": campaign_id}, message="Campaign deleted"))


class EstimateView(ApiView):
    """What a draft would come to now."""

    required_scope = "campaigns"

    @describe(
        "Estimate a draft",
        "Fills in, counts and prices the text for every recipient. Nothing is reserved. Of more than 3,000 recipients "
        "this is done in the background, and the call waits for it, for up to ten seconds and one such call at a time; "
        "else the answer is 409, to be asked again after the seconds of `Retry-After`. What was estimated within the "
        "last ten minutes, `send` starts at once.",
        answers=EstimateShape,
        waits=True,
        refuses=_NOT_FOUND | {409: "It was started before, or its recipients are still being counted."},
    )
    def get(self, request: Request, client_id: int, campaign_id: int) -> Response:
        client = request.auth.client
        campaign = services.get_campaign(client=client, campaign_id=campaign_id)
        if campaign.state != CampaignState.DRAFT:
            raise WrongState("This campaign was started already: read it for what it costs.")
        figures = _once_counted(lambda figures: isinstance(figures, quoting.Figures), quoting.figures_of, campaign)
        if isinstance(figures, quoting.Counting):
            raise StillCounting(retry_after=1)
        quote = figures.quote
        available = to_micros(balance_of(client.pk).available)
        problems = [problem.sentence for problem in problems_of(campaign, quote)]
        return Response(success(show_estimate(campaign, quote, problems, available)))


class LaunchView(ApiView):
    """Starts a campaign."""

    required_scope = "campaigns"
    answers_once_itself = True  # a refusal undoes what its key did, and must not undo that a worker counts
    error_fields: ClassVar[dict[str, str]] = {
        "channel_not_available": "channel",
        "no_price": "recipients",
        "outside_hours": "schedule_at",
    }

    @describe(
        "Send a campaign",
        "Reserves the whole cost in one step, or refuses; then the messages leave, at `schedule_at` where it has one. "
        "Each is charged as it is made.\n\nMore than 3,000 recipients are counted in the background, which the call "
        "waits for, for up to ten seconds and one such call at a time. Else the answer is 409 with `Retry-After`, and "
        "nothing is reserved; send it again, with the same Idempotency-Key. What was estimated within the last ten "
        "minutes starts at once.",
        takes=LaunchRequest,
        answers=CampaignShape,
        waits=True,
        refuses=_NOT_FOUND
        | {
            402: "The wallet cannot pay for the whole campaign.",
            409: "It was started before, its cost changed, or its recipients are still being counted.",
        },
        example={"expected_cost": 2},
    )
    def post(self, request: Request, client_id: int, campaign_id: int) -> HttpResponse:
        campaign = services.get_campaign(client=request.auth.client, campaign_id=campaign_id)
        asked = self.read(LaunchRequest)
        check_may_send(campaign.client, campaign.channel)
        if campaign.state == CampaignState.DRAFT and not _once_counted(bool, quoting.is_counted, campaign):
            raise StillCounting(retry_after=1)
        return self.answer_once(partial(self._launch, asked=asked), request, campaign_id)

    def _launch(self, request: Request, campaign_id: int, *, asked: dict[str, Any]) -> Response:
        client = request.auth.client
        cost = asked.get("expected_cost")
        services.confirm_campaign(
            client=client,
            campaign_id=campaign_id,
            by=None,
            expected_recipients=asked.get("expected_recipients"),
            expected_cost_micros=None if cost is None else to_micros(cost),
        )
        return _one(client, campaign_id)


def _once_counted(enough: Callable[[Any], bool], ask: Callable[[Campaign], Any], campaign: Campaign) -> Any:
    """What `ask` says of the draft when a worker has counted it, or at the end of our patience."""
    return waiting.ask_until(enough, partial(ask, campaign))[0]


class _StepView(ApiView):
    """A step of a running campaign."""

    required_scope = "campaigns"
    step: ClassVar[Callable[..., Campaign]]

    def _take(self, request: Request, campaign_id: int) -> Response:
        type(self).step(client=request.auth.client, campaign_id=campaign_id)
        return _one(request.auth.client, campaign_id)


class PauseView(_StepView):
    step = services.pause_campaign

    @describe(
        "Pause a campaign",
        "Within seconds nothing more leaves.",
        answers=CampaignShape,
        refuses=_NOT_FOUND | {409: "It is not running."},
    )
    def post(self, request: Request, client_id: int, campaign_id: int) -> Response:
        return self._take(request, campaign_id)


class ResumeView(_StepView):
    step = services.resume_campaign

    @describe(
        "Resume a campaign",
        "The rest leaves, and only the rest.",
        answers=CampaignShape,
        refuses=_NOT_FOUND | {409: "It is not paused."},
    )
    def post(self, request: Request, client_id: int, campaign_id: int) -> Response:
        return self._take(request, campaign_id)


class CancelView(_StepView):
    step = services.cancel_campaign

    @describe(
        "Cancel a campaign",
        "Nothing more leaves, and what had not left is refunded.",
        answers=CampaignShape,
        refuses=_NOT_FOUND | {409: "It is neither scheduled, running nor paused."},
    )
    def post(self, request: Request, client_id: int, campaign_id: int) -> Response:
        return self._take(request, campaign_id)


def _show_all(client: Client, campaigns: list[Campaign]) -> list[dict[str, Any]]:
    progress, listed = queries.progress_of(campaigns), queries.listed_numbers(client, campaigns)
    groups = queries.groups_of(campaigns)
    return [show_campaign(row, progress[row.pk], listed.get(row.pk, 0), groups[row.pk]) for row in campaigns]


def _one(client: Client, campaign_id: int) -> Response:
    """A campaign's own `message` is its text, so the envelope says nothing besides."""
    campaign = services.get_campaign(client=client, campaign_id=campaign_id)
    return Response(success(_show_all(client, [campaign])[0]))


def _saved(client: Client, campaign_id: int, refused: Sequence[services.Unlisted]) -> Response:
    campaign = services.get_campaign(client=client, campaign_id=campaign_id)
    rows = [{"recipient": row.recipient, "error": str(row.error)} for row in refused]
    return Response(success(_show_all(client, [campaign])[0] | {"refused": rows}))


def _list(client: Client, campaign: Campaign, asked: dict[str, Any]) -> list[services.Unlisted]:
    return services.list_recipients(
        client=client,
        campaign_id=campaign.pk,
        recipients=asked.get("recipients") or [],
        contact_ids=asked.get("contacts") or [],
    )


def _refuse_nobody(recipients: list[str], refused: Sequence[services.Unlisted]) -> None:
    if len(refused) == len(recipients):
        raise InvalidInput({f"recipients.{n}": [str(row.error)] for n, row in enumerate(refused)})


def _time(client: Client, campaign: Campaign, asked: dict[str, Any]) -> None:
    """What was said of when it leaves; what was not said stays."""
    if _TIMES & asked.keys():
        campaign = set_timing(
            client=client,
            campaign_id=campaign.pk,
            schedule_at=asked.get("schedule_at", campaign.schedule_at),
            spread_hours=asked.get("spread_hours", campaign.spread_hours),
        )
    if campaign.repeat or _REPEATS & asked.keys():
        set_repeat(
            client=client,
            campaign_id=campaign.pk,
            repeat=asked.get("repeat", campaign.repeat) or "",
            until=asked.get("repeat_until", campaign.repeat_until),
            times=asked.get("repeat_times", campaign.repeat_times),
        )


def _variants(channel: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The words in other languages as the service takes them; nothing where nothing was said of them."""
    given: dict[str, dict[str, str]] | None = asked.get("variants")
    if given is None:
        return {}
    if channel == Channel.EMAIL:
        renamed = {code: {"text": words.get("message", ""), **words} for code, words in given.items()}
        return {"mail_variants": renamed}
    if given and channel == Channel.WHATSAPP:
        raise InvalidInput({"variants": ["A template has its own languages: only for the channels sms and email."]})
    odd = {
        f"variants.{code}.{name}": ["Only for the channel email."]
        for code, words in given.items()
        for name in sorted(words.keys() - {"message"})
    }
    if odd:
        raise InvalidInput(odd)
    return {"variants": {code: words.get("message", "") for code, words in given.items()}}


def _changed(campaign: Campaign, asked: dict[str, Any], channel: str, fields: set[str]) -> dict[str, Any] | None:
    """The parts of a draft that its channel alone has, with what was said of them. Raises: InvalidInput, for a draft of
    another channel.
    """
    given = {name: asked[name] for name in fields & asked.keys()}
    if given and campaign.channel != channel:
        raise InvalidInput({name: [f"Only for the channel {channel}."] for name in sorted(given)})
    return campaign.content | given if given else None


def _in_our_words(act: Callable[[], Campaign]) -> Campaign:
    try:
        return act()
    except InvalidInput as refusal:
        raise InvalidInput({_field(name): told for name, told in refusal.errors.items()}) from None


def _field(name: str) -> str:
    if found := _VARIANT.fullmatch(name):
        return f"variants.{found[2]}.{_FIELDS.get(found[1], found[1])}"
    return _FIELDS.get(name, name)
