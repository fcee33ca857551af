"""A test of a campaign: the message of its first person, to the phone of who writes it."""

import orjson
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from accounts.services.idempotency import answer_once
from contacts import queries as contacts
from crm.common.crypto import digest
from crm.common.errors import InvalidInput
from messaging.models import Campaign, OwnNumber
from messaging.services.accept import Accepted, Draft, accept_messages
from messaging.services.audience import ending_of, renderer_for, unwritten, walk_audience
from messaging.services.campaigns import get_campaign
from messaging.services.direct import Run
from messaging.services.mail_rendering import MailRenderer
from messaging.services.mails import MailDraft, accept_mails
from messaging.services.whatsapp import WhatsAppDraft, accept_whatsapp
from messaging.services.whatsapp_rendering import WhatsAppRenderer

ENDPOINT = "/app/campaigns/test"  # names these runs among the kept answers


@needs("messages.send")
def send_test(*, client: Client, by: User, campaign_id: int, to: str, token: str) -> Run:
    """Send what the draft's first person would read to `to`, once per `token`, and keep the number for the next time.
    A mail goes to an address, and its subject says that it is a test.

    Without anybody chosen the text is filled in as for a number that is in no book. Charged like any other message.
    Raises: NotFound, InvalidInput, and what accept_messages raises.
    """
    campaign = get_campaign(client=client, campaign_id=campaign_id)
    if not 1 <= len(token) <= 100:
        raise InvalidInput({"test_to": [_("This page was incomplete. Load it again.")]})
    if problems := unwritten(campaign):
        raise InvalidInput({"test_to": problems})
    renderer = renderer_for(campaign, simulated=client.simulation, ending=ending_of(campaign))
    people = (row for _place, rows in walk_audience(campaign=campaign, sender=campaign.sender_name) for row in rows)
    person: contacts.Recipient = next(people, (0, to, "", to, "", {}))
    if isinstance(renderer, MailRenderer):
        return _send_mail(client, campaign, renderer.draft_for(person, to=to, mark=_("[Test] ")), token)
    if isinstance(renderer, WhatsAppRenderer):
        return _send_template(client, by, campaign, renderer, person, to, token)
    text = renderer.text_for(person)

    def send() -> tuple[int, str]:
        (result,) = accept_messages(
            client=client,
            drafts=[Draft(to, text)],
            sender=campaign.sender_name or None,
            source="dashboard",
            as_batch=True,
            message_class=campaign.message_class,
        )
        if not isinstance(result, Accepted):
            raise result.error
        OwnNumber.objects.update_or_create(
            client=client, user=by, defaults={"phone": result.recipient, "updated_at": timezone.now()}
        )
        return 201, orjson.dumps({"first": result.id}).decode()

    body = digest(orjson.dumps([campaign.pk, text, to]).decode())
    answer = answer_once(client=client, endpoint=ENDPOINT, key=token, body_hash=body, act=send)
    return Run(first_id=orjson.loads(answer.body)["first"], messages=1, is_repeat=answer.is_replay)


def _send_template(
    client: Client,
    by: User,
    campaign: Campaign,
    renderer: WhatsAppRenderer,
    person: contacts.Recipient,
    to: str,
    token: str,
) -> Run:
    template, values = renderer.words_for(person)
    if template is None:
        raise InvalidInput({"test_to": [_("Choose a WhatsApp template.")]})
    draft = WhatsAppDraft(to, template=template.name, language=template.language, variables=values)

    def send() -> tuple[int, str]:
        sender = campaign.sender_name or None
        result = accept_whatsapp(client=client, draft=draft, sender=sender, source="dashboard", as_batch=True)
        if not isinstance(result, Accepted):
            raise result.error
        OwnNumber.objects.update_or_create(
            client=client, user=by, defaults={"phone": result.recipient, "updated_at": timezone.now()}
        )
        return 201, orjson.dumps({"first": result.id}).decode()

    body = digest(orjson.dumps([campaign.pk, draft.template, draft.language, values, to]).decode())
    answer = answer_once(client=client, endpoint=ENDPOINT, key=token, body_hash=body, act=send)
    return Run(first_id=orjson.loads(answer.body)["first"], messages=1, is_repeat=answer.is_replay)


def _send_mail(client: Client, campaign: Campaign, draft: MailDraft, token: str) -> Run:
    def send() -> tuple[int, str]:
        sender = campaign.sender_name or None
        (result,) = accept_mails(client=client, drafts=[draft], sender=sender, source="dashboard", as_batch=True)
        if not isinstance(result, Accepted):
            raise result.error
        return 201, orjson.dumps({"first": result.id}).decode()

    body = digest(orjson.dumps([campaign.pk, draft.subject, draft.text, draft.html, draft.recipient]).decode())
    answer = answer_once(client=client, endpoint=ENDPOINT, key=token, body_hash=body, act=send)
    return Run(first_id=orjson.loads(answer.body)["first"], messages=1, is_repeat=answer.is_replay)
