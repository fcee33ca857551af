"""Drafts: written, changed and deleted by those who write them, until somebody confirms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import Client, User
from accounts.services.access import needs
from contacts.models import Contact, Group
from crm.common.channels import CAMPAIGN_CHANNELS
from crm.common.errors import DomainError, InvalidInput, NotFound, WrongState
from crm.common.phones import PhoneReader
from crm.common.sql import insert_rows
from messaging.errors import ChannelNotAvailable, EditedMeanwhile, NoSender
from messaging.models import Campaign, CampaignRecipient, CampaignState, Channel, TemplateLanguage
from messaging.services.accept import check_text
from messaging.services.mail_rendering import PARTS, DraftMail, read_draft_mail
from messaging.services.mails import read_address
from messaging.services.senders import choose_sender


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
