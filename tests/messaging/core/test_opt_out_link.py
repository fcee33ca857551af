"""{opt_out_link} in a campaign: each person's own page, counted as it is sent, for senders that cannot get a reply."""

import re

import pytest
from django.test import Client as Browser

from contacts.models import OptOut, OptOutLink
from messaging.models import Message
from messaging.services.audience import quote_campaign
from messaging.services.expansion import expand_campaign
from messaging.services.preview import people_to_show, preview_text
from tests.messaging.core.world import check_books, confirm, make_contacts, make_draft, make_group

pytestmark = pytest.mark.django_db


def people_of(client, group):
    return people_to_show(client, sender="", group_ids=[group.pk], excluded_ids=[], addresses=[])


@pytest.mark.parametrize("field", ["{opt_out_link}", "{Opt_Out_Link}"])
def test_everybody_gets_a_page_of_their_own_and_pays_what_was_quoted(acme, road, settings, field):
    settings.PUBLIC_URL = "https://sms.acme.test"
    people = make_contacts(acme, 5)
    group = make_group(acme, people)
    # With the link the text is just within one unit, or just beyond.
    for filler in (" " + "x" * 112, " " + "x" * 116):
        campaign = make_draft(acme, group, text=f"No more? {field}{filler}")
        quote = quote_campaign(campaign)
        shown = preview_text(client=acme, text=campaign.text, people=people_of(acme, group))
        assert not OptOutLink.objects.for_client(acme).filter(sender="").exists()
        confirm(campaign)
        expand_campaign(campaign_id=campaign.pk)
        sent = list(Message.objects.for_client(acme).filter(campaign=campaign))
        assert {message.units for message in sent} == {quote.units // 5} == {shown.units}
        assert sum(message.cost_micros for message in sent) == quote.cost_micros
        assert {len(message.text) for message in sent} == {shown.characters}
        links = {re.search(r"https://sms\.acme\.test/o/\S{17}", message.text)[0]: message for message in sent}
        assert len(links) == 5
    check_books()

    link, message = next(iter(links.items()))
    path = link.removeprefix("https://sms.acme.test")
    assert Browser().get(path).status_code == 200
    Browser().post(path, {"do": "stop"})
    assert OptOut.objects.for_client(acme).get().address == message.recipient


def test_a_quote_or_a_preview_makes_no_link(acme, road):
    group = make_group(acme, make_contacts(acme, 3))
    quote_campaign(make_draft(acme, group, text="Stop: {opt_out_link}"))
    preview_text(client=acme, text="Stop: {opt_out_link}", people=people_of(acme, group))
    assert not OptOutLink.objects.for_client(acme).exists()
