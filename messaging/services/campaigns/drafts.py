"""Drafts: written, changed and deleted by those who write them, until somebody confirms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from contacts.models import Contact, Group
from crm.common.channels import CAMPAIGN_CHANNELS
from crm.common.errors import DomainError, InvalidInput, NotFound, WrongState
from crm.common.phones import PhoneReader
from crm.common.sql import insert_rows
from messaging.errors import ChannelNotAvailable, EditedMeanwhile, NoSender
from messaging.models import Campaign, CampaignRecipient, CampaignState, Channel, MessageClass, TemplateLanguage
from messaging.services.accept import check_text
from messaging.services.mail_rendering import PARTS, DraftMail, read_draft_mail
from messaging.services.mails import read_address
from messaging.services.senders import choose_sender
from messaging.services.whatsapp_rendering import read_draft_template

LONGEST_NAME = 120


def get_campaign(*, client: Client, campaign_id: int) -> Campaign:
    """Raises: NotFound, for another client's campaign as for none."""
    campaign = Campaign.objects.for_client(client).select_related("sender", "client").filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound(_("There is no such campaign."))
    return campaign


@needs("campaigns.write")
@transaction.atomic
def save_draft(
    *,
    client: Client,
    by: User | None,
    name: str | None = None,
    text: str | None = None,
    group_ids: Sequence[int] | None = None,
    sender: str | None = None,
    campaign_id: int | None = None,
    excluded_ids: Sequence[int] | None = None,
    variants: Mapping[str, str] | None = None,
    version: str = "",
    channel: str = Channel.SMS,
    mail: Mapping[str, str] | None = None,
    mail_variants: Mapping[str, Mapping[str, str]] | None = None,
    message_class: str | None = None,
    whatsapp: Mapping[str, Any] | None = None,
) -> Campaign:
    """Make a draft, or change one that is still a draft. Text, groups and sender may be missing until it is confirmed.

    None leaves what the draft has; of a new one, what may be missing. sender: a name, "" for the default.
    excluded_ids: groups whose members get nothing. variants: the text in further languages, by code.
    version: `version_of` the draft that the person looked at; "" overwrites whatever is there.
    channel: of a new draft; one that exists keeps its own. mail: its parts besides the text (mail_rendering.PARTS).
    mail_variants: of a mail, instead of variants: {text, subject, html} by code.
    whatsapp: the template and its variables (whatsapp_rendering.PARTS), instead of a text.
    Raises: InvalidInput with a sentence per field, NotFound, WrongState, EditedMeanwhile (fact: campaign).
    """
    errors: dict[str, list[str]] = {}
    campaign = get_campaign(client=client, campaign_id=campaign_id) if campaign_id is not None else None
    channel = campaign.channel if campaign else channel
    if channel not in CAMPAIGN_CHANNELS:
        raise ChannelNotAvailable(_("Campaigns go by SMS, WhatsApp or email."), channel=channel)
    changes = {
        **_named(errors, campaign, name),
        **(
            _chosen(errors, client, campaign, whatsapp)
            if channel == Channel.WHATSAPP
            else _written(errors, campaign, channel, text, variants, mail, mail_variants)
        ),
        **_sent_by(errors, client, campaign, channel, sender),
    }
    if message_class is not None:
        changes["message_class"] = message_class
        if message_class not in MessageClass.values:
            errors["message_class"] = [_("Say whether it is information or promotion.")]
    groups = _groups(errors, client, "groups", group_ids)
    excluded = _groups(errors, client, "excluded", excluded_ids)
    if errors:
        raise InvalidInput(errors)
    if campaign is None:
        campaign = Campaign.objects.create(client=client, channel=channel, created_by=by, updated_by=by, **changes)
    else:
        _change_draft(campaign, version, updated_by=by, returned_note="", **changes)
        campaign = get_campaign(client=client, campaign_id=campaign.pk)
    if groups is not None:
        campaign.groups.set(groups)
    if excluded is not None:
        campaign.excluded.set(excluded)
    return campaign


def _named(errors: dict[str, list[str]], campaign: Campaign | None, name: str | None) -> dict[str, Any]:
    if name is None and campaign is not None:
        return {}
    name = " ".join((name or "").split())
    if not name:
        errors["name"] = [_("Give the campaign a name.")]
    elif len(name) > LONGEST_NAME:
        errors["name"] = [_("The name has at most %(most)s characters.") % {"most": LONGEST_NAME}]
    return {"name": name}


def _written(
    errors: dict[str, list[str]],
    campaign: Campaign | None,
    channel: str,
    text: str | None,
    variants: Mapping[str, str] | None,
    mail: Mapping[str, str] | None,
    mail_variants: Mapping[str, Mapping[str, str]] | None,
) -> dict[str, Any]:
    """The words of a draft as they are kept; `errors` gets a sentence for each that cannot be."""
    if channel == Channel.EMAIL:
        if campaign is not None and text is mail is mail_variants is None:
            return {}
        words = text if text is not None or campaign is None else campaign.text
        try:
            plain, texts, content = _read_mail(campaign, words or "", mail, mail_variants)
        except InvalidInput as error:
            errors |= error.errors
            return {}
        return {"text": plain, "variants": texts, "content": content}
    found: dict[str, Any] = {}
    plain, texts = _read_texts(errors, text or "", variants or {})
    if text is not None:
        found["text"] = plain
    if variants is not None:
        found["variants"] = texts
    return found


def _chosen(
    errors: dict[str, list[str]], client: Client, campaign: Campaign | None, whatsapp: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The template of a draft as it is kept; `errors` gets a sentence for what cannot be."""
    if whatsapp is None and campaign is not None:
        return {}
    try:
        text, content = read_draft_template(client, whatsapp or {})
    except InvalidInput as error:
        errors |= error.errors
        return {}
    return {"text": text, "content": content}


def _sent_by(
    errors: dict[str, list[str]], client: Client, campaign: Campaign | None, channel: str, name: str | None
) -> dict[str, Any]:
    if name is None and campaign is not None:
        return {}
    try:
        return {"sender": choose_sender(client=client, name=name or None, channel=channel)}
    except NoSender:
        return {"sender": None}  # a draft may wait for its sender; problems_of asks for one before it is sent
    except DomainError as error:
        errors["sender"] = [str(error)]
        return {}


def _groups(errors: dict[str, list[str]], client: Client, field: str, ids: Sequence[int] | None) -> list[Group] | None:
    if ids is None:
        return None
    found = list(Group.objects.for_client(client).filter(pk__in=ids))
    if len(found) != len(set(ids)):
        errors[field] = [_("One of these groups does not exist any more.")]
    return found


def _change_draft(campaign: Campaign, version: str, **changes: Any) -> None:
    """Raises: WrongState, EditedMeanwhile."""
    drafts = Campaign.objects.for_client(campaign.client).filter(pk=campaign.pk, state=CampaignState.DRAFT)
    if version and campaign.state == CampaignState.DRAFT:
        if _read_version(version) != campaign.updated_at:
            raise EditedMeanwhile(campaign=campaign)
        drafts = drafts.filter(updated_at=campaign.updated_at)
    # By our clock: what SQLite's writes has fewer digits than Django compares, and confirming compares it.
    if not drafts.update(updated_at=timezone.now(), **changes):
        now = get_campaign(client=campaign.client, campaign_id=campaign.pk)
        if now.state == CampaignState.DRAFT:
            raise EditedMeanwhile(campaign=now)
        raise WrongState(_("This campaign was started already and cannot be changed."))


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
        raise WrongState(_("Only a draft can be deleted."))
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
        raise WrongState(_("This campaign was started already and cannot be changed."))
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
        sentence = _("One of these contacts does not exist or has no phone number.")
        if by_mail:
            sentence = _("One of these contacts does not exist or has no email address.")
        raise InvalidInput({"contacts": [sentence]})
    addresses |= dict.fromkeys(own)
    CampaignRecipient.objects.for_client(client).filter(campaign=campaign).delete()
    insert_rows(
        CampaignRecipient,
        ("client_id", "campaign_id", "address"),
        [(client.pk, campaign_id, address) for address in addresses],
    )
    return left_out
