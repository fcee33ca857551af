"""Campaigns: composed, priced to the last unit, confirmed, paused, resumed, cancelled. Expansion is next door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Client, User
from accounts.services.access import needs
from accounts.services.audit import record_audit
from contacts.models import Contact, Group
from crm.common.channels import CAMPAIGN_CHANNELS
from crm.common.errors import DomainError, InvalidInput, NotFound, WrongState
from crm.common.money import from_micros
from crm.common.phones import PhoneReader
from crm.common.sql import database_now, in_key_order, insert_rows, now_sql, skip_locked
from messaging import wake
from messaging.errors import ChannelNotAvailable, EditedMeanwhile, NoSender, QuoteChanged
from messaging.models import (
    Campaign,
    CampaignRecipient,
    CampaignState,
    Channel,
    Message,
    MessageStatus,
    SendingRules,
    TemplateLanguage,
)
from messaging.services.accept import check_may_send, check_text
from messaging.services.announcing import announce_campaigns, tell_awaiting, tell_paused
from messaging.services.audience import Quote, problems_of, quote_campaign
from messaging.services.guards import Guard
from messaging.services.hours import HoursBook, OutsideHours
from messaging.services.mail_rendering import PARTS, DraftMail, read_draft_mail
from messaging.services.mails import read_address
from messaging.services.senders import choose_sender
from wallet import services as wallet

# Causes of a pause that a person waives by resuming: the same cause does not pause that campaign again.
WAIVABLE = ("burst", "failures", "provider")


def get_campaign(*, client: Client, campaign_id: int) -> Campaign:
    """Raises: NotFound, for another client's campaign as for none."""
    campaign = Campaign.objects.for_client(client).select_related("sender", "client").filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound("There is no such campaign.")
    return campaign


@needs("campaigns.write")
@transaction.atomic
def save_draft(
    *,
    client: Client,
    by: User | None,
    name: str,
    text: str,
    group_ids: Sequence[int],
    sender: str | None = None,
    campaign_id: int | None = None,
    excluded_ids: Sequence[int] | None = None,
    variants: Mapping[str, str] | None = None,
    version: str = "",
    channel: str = Channel.SMS,
    mail: Mapping[str, str] | None = None,
    mail_variants: Mapping[str, Mapping[str, str]] | None = None,
) -> Campaign:
    """Make a draft, or change one that is still a draft. Text, groups and sender may be missing until it is confirmed.

    excluded_ids: groups whose members get nothing. variants: the text in further languages, by code. None leaves
    either as it is. version: `version_of` the draft that the person looked at; "" overwrites whatever is there.
    channel: of a new draft; one that exists keeps its own. mail: its parts besides the text (mail_rendering.PARTS);
    None leaves them. mail_variants: of a mail, instead of variants: {text, subject, html} by code; None as above.
    Raises: InvalidInput with a sentence per field, NotFound, WrongState, EditedMeanwhile (fact: campaign).
    """
    errors: dict[str, list[str]] = {}
    name = " ".join(name.split())
    if not name:
        errors["name"] = ["Give the campaign a name."]
    elif len(name) > 120:
        errors["name"] = ["The name has at most 120 characters."]
    campaign = get_campaign(client=client, campaign_id=campaign_id) if campaign_id is not None else None
    channel = campaign.channel if campaign else channel
    if channel not in CAMPAIGN_CHANNELS:
        raise ChannelNotAvailable("Campaigns go by SMS or e-mail.", channel=channel)
    content: dict[str, Any] = {}
    texts: dict[str, str] = {}
    if channel == Channel.EMAIL:
        try:
            text, texts, content = _read_mail(campaign, text, mail, mail_variants)
        except InvalidInput as error:
            errors |= error.errors
        variants = texts
    else:
        text, texts = _read_texts(errors, text, variants or {})
    try:
        chosen = choose_sender(client=client, name=sender or None, channel=channel)
    except NoSender:
        chosen = None  # a draft may wait for its sender; problems_of asks for one before it is sent
    except DomainError as error:
        chosen = None
        errors["sender"] = [str(error)]
    groups = list(Group.objects.for_client(client).filter(pk__in=group_ids))
    if len(groups) != len(set(group_ids)):
        errors["groups"] = ["One of these groups does not exist any more."]
    excluded = list(Group.objects.for_client(client).filter(pk__in=excluded_ids or []))
    if len(excluded) != len(set(excluded_ids or [])):
        errors["excluded"] = ["One of these groups does not exist any more."]
    if errors:
        raise InvalidInput(errors)
    if campaign is None:
        campaign = Campaign.objects.create(
            client=client, name=name, channel=channel, text=text, variants=texts, content=content, sender=chosen,
            created_by=by, updated_by=by,
        )  # fmt: skip
    else:
        drafts = Campaign.objects.for_client(client).filter(pk=campaign.pk, state=CampaignState.DRAFT)
        if version and campaign.state == CampaignState.DRAFT:
            if _read_version(version) != campaign.updated_at:
                raise EditedMeanwhile(campaign=campaign)
            drafts = drafts.filter(updated_at=campaign.updated_at)
        changes: dict[str, Any] = {} if variants is None else {"variants": texts}
        # By our clock: what SQLite's writes has fewer digits than Django compares, and confirming compares it.
        if not drafts.update(
            name=name, text=text, content=content, sender=chosen, updated_by=by, returned_note="",
            updated_at=timezone.now(), **changes,
        ):  # fmt: skip
            now = get_campaign(client=client, campaign_id=campaign.pk)
            if now.state == CampaignState.DRAFT:
                raise EditedMeanwhile(campaign=now)
            raise WrongState("This campaign was started already and cannot be changed.")
        campaign = get_campaign(client=client, campaign_id=campaign.pk)
    campaign.groups.set(groups)
    if excluded_ids is not None:
        campaign.excluded.set(excluded)
    return campaign


def _read_texts(errors: dict[str, list[str]], text: str, variants: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The text and its variants as they are kept; `errors` gets a sentence for each that cannot be."""
    texts: dict[str, str] = {}
    for language, typed in {"": text, **variants}.items():
        try:
            if typed.strip() and language in ("", *TemplateLanguage.values):
                texts[language] = check_text(typed)
        except DomainError as error:
            errors[f"text_{language}" if language else "text"] = [str(error)]
    return texts.pop("", ""), texts


def _read_mail(
    campaign: Campaign | None,
    text: str,
    mail: Mapping[str, str] | None,
    variants: Mapping[str, Mapping[str, str]] | None,
) -> DraftMail:
    """A draft's mail, what is not given as it was. Raises: InvalidInput."""
    if campaign is not None:
        mail = campaign.content if mail is None else mail
        if variants is None:
            others = campaign.content.get("variants", {})
            codes = {*others, *campaign.variants}
            variants = {code: {"text": campaign.variants.get(code, ""), **others.get(code, {})} for code in codes}
    parts = {name: (mail or {}).get(name, "") for name in PARTS}
    return read_draft_mail(text=text, parts=parts, variants=variants)


def version_of(campaign: Campaign) -> str:
    """Names the state in which a person saw a draft, so that saving does not overwrite a newer one."""
    return campaign.updated_at.isoformat()


def _read_version(version: str) -> datetime | None:
    try:
        return datetime.fromisoformat(version)
    except ValueError:
        return None


@needs("campaigns.write")
@transaction.atomic
def delete_draft(*, client: Client, campaign_id: int) -> None:
    """Raises: NotFound, WrongState for a campaign that was started: it is history."""
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    if campaign.state != CampaignState.DRAFT:
        raise WrongState("Only a draft can be deleted.")
    campaign.delete()


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A number or address left out of a campaign's list, as it was given, and why."""

    recipient: str
    error: DomainError


@needs("campaigns.write")
@transaction.atomic
def list_recipients(
    *, client: Client, campaign_id: int, recipients: Sequence[str] = (), contact_ids: Sequence[int] = ()
) -> list[Unlisted]:
    """Make these numbers, in any spelling, and the numbers of these contacts the campaign's list, instead of its
    former one; by email their addresses. One given twice counts once. Returns those that cannot be read; the others
    are listed.

    Raises: NotFound, WrongState (no draft any more), InvalidInput (`contacts`: one is not the client's, or has no
    number or address).
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    drafts = Campaign.objects.for_client(client).filter(pk=campaign_id, state=CampaignState.DRAFT)
    if not drafts.update(updated_at=timezone.now()):
        raise WrongState("This campaign was started already and cannot be changed.")
    by_mail = campaign.channel == Channel.EMAIL
    reader = PhoneReader(client.country)
    addresses: dict[str, None] = {}
    left_out = []
    for recipient in recipients:
        try:
            addresses[read_address(recipient) if by_mail else reader.read(recipient).e164] = None
        except DomainError as error:
            left_out.append(Unlisted(recipient, error))
    wanted = set(contact_ids)
    found = Contact.objects.for_client(client).filter(pk__in=wanted).order_by("pk")
    own = [address for address in found.values_list("email" if by_mail else "phone", flat=True) if address]
    if len(own) != len(wanted):
        what = "e-mail address" if by_mail else "phone number"
        raise InvalidInput({"contacts": [f"One of these contacts does not exist or has no {what}."]})
    addresses |= dict.fromkeys(own)
    CampaignRecipient.objects.for_client(client).filter(campaign=campaign).delete()
    insert_rows(
        CampaignRecipient,
        ("client_id", "campaign_id", "address"),
        [(client.pk, campaign_id, address) for address in addresses],
    )
    return left_out


@needs("campaigns.send")
def confirm_campaign(
    *,
    client: Client,
    campaign_id: int,
    by: User | None,
    expected_recipients: int | None,
    expected_cost_micros: int | None,
    hold_seconds: float = 0,
    approving: bool = False,
    held_because: str = "",
) -> Campaign:
    """Start a draft for exactly the people and the price that the person saw; its cost is reserved in this step.

    A program may leave either figure open (None): it takes what the campaign comes to now. A draft with a time to send
    waits for it; one without waits for hold_seconds, in which it can be withdrawn. One that repeats becomes the pattern
    of its series, and reserves nothing itself.
    Above the limits of the organisation's policy it is submitted to a second person instead, and nothing is reserved;
    approving: that person says yes (services.approval), or a series that was approved runs. held_because: it is
    reserved, but waits for a person, who reads this.
    Raises, and then nothing moved: NotFound, WrongState (started before), ClientSuspended, InvalidInput (a problem of
    the text, audience or time), OutsideHours (fact: next_slot), QuoteChanged (fact: quote), DailyLimit,
    wallet.errors.InsufficientBalance.
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    before = CampaignState(campaign.state)
    if before not in ((CampaignState.DRAFT, CampaignState.AWAITING) if approving else (CampaignState.DRAFT,)):
        raise WrongState("This campaign was started already.")
    check_may_send(client, campaign.channel)
    newest = Contact.objects.for_client(client).order_by("-pk").values_list("pk", flat=True).first() or 0
    quote = quote_campaign(campaign)
    problems = problems_of(campaign, quote)
    if quote.recipients == 0 and not problems:
        problems.append("Nobody in these groups can be sent to.")
    if problems:
        raise InvalidInput({"campaign": problems})
    seen = (expected_recipients, expected_cost_micros)
    if any(old not in (None, new) for old, new in zip(seen, (quote.recipients, quote.cost_micros), strict=True)):
        raise QuoteChanged(quote=quote)
    with transaction.atomic():
        now = database_now()
        starts_at = check_time(campaign, quote, now) or now + timedelta(seconds=hold_seconds)
        guard = Guard(client)
        guard.check_day(now, more=quote.recipients, more_micros=quote.cost_micros)
        if not approving and needs_approval(guard.rules, quote, simulated=client.simulation):
            _submit(campaign, by, quote)
            return get_campaign(client=client, campaign_id=campaign_id)
        doubt = "" if "burst" in campaign.waived else guard.suspicion(quote.by_country, quote.foreign_run)
        state = _state_after(campaign, waits=starts_at > now, held=bool(held_because or doubt))
        started = (
            Campaign.objects.for_client(client)
            .filter(pk=campaign.pk, state=before, updated_at=campaign.updated_at)
            .update(
                state=state,
                pause_kind="burst" if doubt else "missed" if held_because else "",
                pause_reason=(held_because or doubt)[:200],
                starts_at=starts_at,
                countries=sorted(quote.by_country),
                ending=guard.rules.ending(campaign.message_class),
                simulated=client.simulation,
                quoted_recipients=quote.recipients,
                quoted_units=quote.units,
                quoted_cost_micros=quote.cost_micros,
                until_contact=newest,
                confirmed_by=by,
                confirmed_at=Now(),
                updated_at=timezone.now(),
            )
        )
        if not started:
            raise WrongState("This campaign was changed or started meanwhile. Look at it again.")
        if state != CampaignState.REPEATING:
            _reserve(campaign, quote)
        if state == CampaignState.SENDING:
            wake.expansion(campaign.pk)
        elif state == CampaignState.SCHEDULED and campaign.schedule_at is None:
            wake.start_campaigns(after=hold_seconds)
        elif state == CampaignState.PAUSED:
            tell_paused(campaign, held_because or doubt)
        facts = {"people": quote.recipients, "cost_micros": quote.cost_micros, "state": str(state)}
        record_audit(client=client, action="campaign.confirmed", target=f"campaign:{campaign.pk}", after=facts)
    return get_campaign(client=client, campaign_id=campaign_id)


def _state_after(campaign: Campaign, *, waits: bool, held: bool) -> CampaignState:
    """What a confirmed campaign becomes. One held for a person that has a time is paused when that comes."""
    if campaign.repeat:
        return CampaignState.REPEATING
    if held and (campaign.schedule_at is None or not waits):
        return CampaignState.PAUSED
    return CampaignState.SCHEDULED if waits else CampaignState.SENDING


def needs_approval(rules: SendingRules, quote: Quote, *, simulated: bool) -> bool:
    """Whether the organisation wants a second person to look at a campaign of this size; a simulation needs none."""
    people, micros = rules.approve_above_people, rules.approve_above_micros
    over = (people is not None and quote.recipients > people) or (micros is not None and quote.cost_micros > micros)
    return over and not simulated


def _submit(campaign: Campaign, by: User | None, quote: Quote) -> None:
    """Hand a draft to a second person with the figures that the first one saw."""
    drafts = Campaign.objects.for_client(campaign.client).filter(
        pk=campaign.pk, state=CampaignState.DRAFT, updated_at=campaign.updated_at
    )
    if not drafts.update(
        state=CampaignState.AWAITING,
        submitted_by=by,
        submitted_at=Now(),
        returned_note="",
        quoted_recipients=quote.recipients,
        quoted_units=quote.units,
        quoted_cost_micros=quote.cost_micros,
        updated_at=timezone.now(),
    ):
        raise WrongState("This campaign was changed or started meanwhile. Look at it again.")
    tell_awaiting(campaign, by, quote.recipients, quote.cost_micros)
    facts = {"people": quote.recipients, "cost_micros": quote.cost_micros}
    record_audit(client=campaign.client, action="campaign.submitted", target=f"campaign:{campaign.pk}", after=facts)


def check_time(campaign: Campaign, quote: Quote, now: datetime) -> datetime | None:
    """The time for which a draft is scheduled, None for at once. Raises: InvalidInput (it has passed), OutsideHours."""
    at = campaign.schedule_at
    if at is not None and at <= now:
        raise InvalidInput({"campaign": ["The time to send has passed. Choose another one."]})
    hours = HoursBook(campaign.message_class, campaign.client.time_zone)
    span = timedelta(hours=campaign.spread_hours)
    if not hours.allows(at or now, quote.by_country, span=span):
        raise OutsideHours(next_slot=hours.next_slot(at or now, quote.by_country, span=span))
    return at


def next_slot(campaign: Campaign) -> datetime | None:
    """The first time from the one asked for at which everybody of a draft may be written to; None where none is."""
    now = database_now()
    at = campaign.schedule_at if campaign.schedule_at and campaign.schedule_at > now else now
    countries = quote_campaign(campaign).by_country
    hours = HoursBook(campaign.message_class, campaign.client.time_zone)
    return hours.next_slot(at, countries, span=timedelta(hours=campaign.spread_hours))


def _reserve(campaign: Campaign, quote: Quote) -> None:
    if quote.cost_micros:
        wallet.reserve(client=campaign.client, amount=from_micros(quote.cost_micros), reference=campaign.reservation)


@needs("campaigns.send")
@transaction.atomic
def pause_campaign(*, client: Client, campaign_id: int) -> Campaign:
    """Keep back everything that has not been written to a provider. Raises: NotFound, WrongState.

    Whoever is expanding the campaign loses the lease, so that resuming need not wait for its end.
    """
    _step(
        client,
        campaign_id,
        CampaignState.SENDING,
        CampaignState.PAUSED,
        "Only a running campaign can be paused.",
        lease_owner="",
        lease_until=None,
    )
    hold_messages(campaign_id=campaign_id)
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    audit_campaign(campaign, "paused")
    return campaign


@needs("campaigns.send")
@transaction.atomic
def resume_campaign(*, client: Client, campaign_id: int) -> Campaign:
    """Send the rest, and only the rest. Raises: NotFound, WrongState, ClientSuspended, OutsideHours."""
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    check_may_send(client, campaign.channel)
    hours = HoursBook(campaign.message_class, client.time_zone)
    if not hours.allows(now := database_now(), campaign.countries):
        raise OutsideHours(next_slot=hours.next_slot(now, campaign.countries))
    _step(
        client,
        campaign_id,
        CampaignState.PAUSED,
        CampaignState.SENDING,
        "Only a paused campaign can be resumed.",
        pause_reason="",
        pause_kind="",
        waived=[*campaign.waived, campaign.pause_kind] if campaign.pause_kind in WAIVABLE else campaign.waived,
    )
    held = Message.objects.for_client(client).filter(campaign_id=campaign_id, status=MessageStatus.HELD)
    accounts = set(held.values_list("provider_account_id", flat=True).order_by().distinct())
    with connection.cursor() as cursor:
        cursor.execute(  # `queued_at` anew: the time on hold is not time spent trying (D6)
            f"""UPDATE messaging_message SET status = 'queued', queued_at = {now_sql()}
                WHERE status = 'held' AND id IN (
                    SELECT id FROM messaging_message WHERE campaign_id = %s AND status = 'held' {in_key_order()})""",
            [campaign_id],
        )
    wake.senders(accounts)
    wake.expansion(campaign_id)
    audit_campaign(campaign, "resumed")
    return get_campaign(client=client, campaign_id=campaign_id)


@needs("campaigns.send")
@transaction.atomic
def cancel_campaign(*, client: Client, campaign_id: int) -> Campaign:
    """End a campaign: nothing more leaves from this moment, and the money of what has not left goes back.

    What is still reserved is free at once. Refunds are written by a worker, in chunks, and by the sweep after a crash.
    Raises: NotFound, WrongState.
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    running = Campaign.objects.for_client(client).filter(
        pk=campaign_id,
        state__in=[CampaignState.SCHEDULED, CampaignState.REPEATING, CampaignState.SENDING, CampaignState.PAUSED],
    )
    if not running.update(state=CampaignState.CANCELLED, expanded_at=Now(), finished_at=Now()):
        raise WrongState("Only a scheduled, running or paused campaign can be cancelled.")
    hold_messages(campaign_id=campaign_id)
    wallet.release_reservation(client_id=client.pk, reference=campaign.reservation)
    wake.expansion(campaign_id)
    audit_campaign(campaign, "cancelled", before={"state": campaign.state})
    return get_campaign(client=client, campaign_id=campaign_id)


def hold_messages(*, campaign_id: int) -> int:
    """Take a campaign's messages out of the queue, claimed ones too: their claimer finds them gone before writing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_message SET status = 'held', lease_owner = '', lease_until = NULL "
            "WHERE status IN ('queued', 'claimed') AND id IN (SELECT id FROM messaging_message "
            f"WHERE campaign_id = %s AND status IN ('queued', 'claimed') {in_key_order()})",
            [campaign_id],
        )
        return cursor.rowcount


def audit_campaign(campaign: Campaign, verb: str, **facts: Any) -> None:
    """Say in the audit log what was done to a campaign; last in the transaction."""
    record_audit(client=campaign.client_id, action=f"campaign.{verb}", target=f"campaign:{campaign.pk}", **facts)


def _step(client: Client, campaign_id: int, old: str, new: str, sentence: str, **changes: Any) -> None:
    get_campaign(client=client, campaign_id=campaign_id)
    if not Campaign.objects.for_client(client).filter(pk=campaign_id, state=old).update(state=new, **changes):
        raise WrongState(sentence)


@transaction.atomic
def finish_campaigns() -> list[int]:
    """Mark campaigns done whose every recipient is accounted for, and free what is left of their reservation."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_campaign SET state = 'done', finished_at = {now_sql()}
                WHERE id IN (
                    SELECT id FROM messaging_campaign c WHERE state = 'sending' AND expanded_at IS NOT NULL
                    AND NOT EXISTS (
                        SELECT 1 FROM messaging_message m WHERE m.campaign_id = c.id
                        AND m.status IN ('scheduled', 'held', 'queued', 'claimed', 'submitting'))
                    ORDER BY id {skip_locked()})
                RETURNING id, client_id""",
            [],
        )
        finished = cursor.fetchall()
    for campaign_id, client_id in sorted(finished):
        wallet.release_reservation(client_id=client_id, reference=f"campaign:{campaign_id}")
    announce_campaigns(finished)
    return [campaign_id for campaign_id, _ in finished]
