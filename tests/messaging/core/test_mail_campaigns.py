"""Campaigns by email: who gets one, what each of them reads, what it costs, and that all of it agrees."""

import pytest
from django.utils import translation
from django.utils.translation import gettext

from accounts.models import Client
from contacts import queries as contacts
from contacts import services as book
from contacts.models import Contact, Group
from crm.common.errors import InvalidInput
from messaging.models import Campaign, Message, TemplateVersion
from messaging.services import again
from messaging.services.audience import problems_of, quote_campaign
from messaging.services.campaigns import get_campaign, list_recipients, save_draft
from messaging.services.expansion import expand_campaign
from messaging.services.templates import save_template
from messaging.services.trial import start_trial
from tests.messaging.core.world import (
    ONE,
    balance,
    check_books,
    confirm,
    make_draft,
    make_mail_road,
    make_road,
    movements,
    run_sql,
)

pytestmark = pytest.mark.django_db

HTML = '<p>Dear {first_name|friend}, <a href="https://acme.test/{code|x}">look</a></p><script>x()</script>'


@pytest.fixture
def acme(acme: Client) -> Client:
    make_mail_road(acme)
    return acme


def person(client: Client, name: str, email: str = "", phone: str | None = None, **attributes: str) -> Contact:
    return Contact.objects.create(client=client, name=name, email=email, phone=phone, attributes=attributes)


@pytest.fixture
def readers(acme: Client) -> Group:
    """Amina and Baraka share an address, Zuri has none, Juma opted out of mails, Aïssatou reads French."""
    people = [
        person(acme, "Amina <b>Ali</b>", "home@acme.test", "+254712000001", code="a&b"),
        person(acme, "Baraka Otieno", "home@acme.test", "+254712000002"),
        person(acme, "Zuri", phone="+254712000003"),
        person(acme, "Juma", "juma@acme.test"),
        person(acme, "Aïssatou Ba", "aissatou@acme.test", language="fr"),
    ]
    book.record_opt_out(client_id=acme.pk, channel="email", address="juma@acme.test", source="link")
    group = book.create_group(client=acme, name="Readers")
    book.add_to_group(group=group, contact_ids=[one.pk for one in people])
    return group


@pytest.fixture
def draft(acme: Client, readers: Group) -> Campaign:
    return save_draft(
        client=acme, by=None, name="News", channel="email", text="", group_ids=[readers.pk],
        mail={"subject": "News for {first_name|you}", "html": HTML, "preheader": "Only {department|today}",
              "reply_to": "Info@Acme.test"},
        mail_variants={"fr": {"subject": "Nouvelles, {first_name}", "text": "Bonjour {first_name}."}},
    )  # fmt: skip


def mails(campaign: Campaign) -> dict[str, Message]:
    found = Message.objects.for_client(campaign.client).filter(campaign=campaign).order_by("pk")
    return {message.recipient: message for message in found}


def test_the_quote_counts_each_address_once_and_the_ledger_agrees(acme, draft):
    quote = quote_campaign(draft)
    assert (quote.recipients, quote.units, quote.cost_micros) == (2, 2, ONE)
    assert problems_of(draft, quote) == []
    before = balance(acme)
    confirm(draft)
    expand_campaign(campaign_id=draft.pk)
    assert sorted(mails(draft)) == ["aissatou@acme.test", "home@acme.test"]
    assert (before - balance(acme), movements(acme, "debit")) == (quote.cost_micros, 2)
    check_books()


def test_each_person_reads_their_own_mail_with_their_own_way_out(acme, draft):
    confirm(draft)
    expand_campaign(campaign_id=draft.pk)
    amina, aissatou = mails(draft)["home@acme.test"], mails(draft)["aissatou@acme.test"]
    assert amina.content["subject"] == "News for Amina"
    assert "<p>Dear Amina, " in amina.content["html"]
    assert 'href="https://acme.test/a&amp;b"' in amina.content["html"]
    assert "script" not in amina.content["html"]
    assert (amina.content["preheader"], amina.content["reply_to"]) == ("Only today", "info@acme.test")
    assert amina.content["from_name"] == "Acme"
    assert amina.text.startswith("Dear Amina, look (https://acme.test/a&b)")
    assert (aissatou.content["subject"], "html" in aissatou.content) == ("Nouvelles, Aïssatou", False)
    assert aissatou.text.startswith("Bonjour Aïssatou.")
    with translation.override("fr"):
        assert f"\n-- \n{gettext('Unsubscribe')}: http" in aissatou.text
    ways_out = {amina.content["unsubscribe"], aissatou.content["unsubscribe"]}
    assert len(ways_out) == 2
    assert amina.content["unsubscribe"] in amina.text


def test_what_a_contact_holds_stays_text_in_html_and_one_line_in_the_subject(acme, readers):
    Contact.objects.for_client(acme).filter(name="Aïssatou Ba").update(
        name="<script>x</script>\r\nBcc: all@acme.test", attributes={}
    )
    campaign = save_draft(
        client=acme, by=None, name="News", channel="email", text="", group_ids=[readers.pk],
        mail={"subject": "Hi {name}", "html": '<p style="color:{code}">{name}</p>'},
    )  # fmt: skip
    confirm(campaign)
    expand_campaign(campaign_id=campaign.pk)
    mail = mails(campaign)["aissatou@acme.test"]
    assert mail.content["subject"] == "Hi <script>x</script> Bcc: all@acme.test"
    assert "<p>&lt;script&gt;x&lt;/script&gt;" in mail.content["html"]
    assert 'style="color:' not in mail.content["html"].split("</p>")[0]


def test_expanding_twice_or_after_a_crash_writes_nobody_twice(acme, draft):
    confirm(draft)
    expand_campaign(campaign_id=draft.pk)
    run_sql("UPDATE messaging_campaign SET expanded_at = NULL, \"cursor\" = 0, lease_owner = ''")
    expand_campaign(campaign_id=draft.pk)
    assert len(mails(draft)) == 2
    check_books()


def test_listed_addresses_join_without_those_of_the_groups(acme, draft):
    left_out = list_recipients(
        client=acme, campaign_id=draft.pk, recipients=["New@Acme.test", "home@acme.test", "juma@acme.test", "nobody"]
    )
    assert [row.recipient for row in left_out] == ["nobody"]
    assert quote_campaign(get_campaign(client=acme, campaign_id=draft.pk)).recipients == 3


def test_a_group_left_out_takes_its_address_along(acme, readers):
    few = book.create_group(client=acme, name="Few")
    baraka = Contact.objects.for_client(acme).get(name="Baraka Otieno")
    book.add_to_group(group=few, contact_ids=[baraka.pk])
    found = contacts.audience(acme.pk, [readers.pk], without=[few.pk], channel="email")
    assert [row[2] for row in found] == ["Amina <b>Ali</b>", "Aïssatou Ba"]
    assert contacts.audience_size(acme.pk, [readers.pk], channel="email") == 2


def test_what_lacks_is_named_before_it_is_sent(acme, readers):
    campaign = save_draft(client=acme, by=None, name="News", channel="email", text="", group_ids=[readers.pk])
    sentences = [problem.sentence for problem in problems_of(campaign, quote_campaign(campaign))]
    assert sentences[:2] == [
        "Write the subject of the mail.", "Write the text of the mail.",
    ]  # fmt: skip
    with pytest.raises(InvalidInput):
        confirm(campaign)


def test_a_part_that_cannot_be_kept_is_named_by_its_field(acme):
    with pytest.raises(InvalidInput) as refused:
        save_draft(
            client=acme, by=None, name="News", channel="email", text="", group_ids=[],
            mail={"subject": "x" * 201, "reply_to": "nobody"}, mail_variants={"fr": {"subject": "x" * 201}},
        )  # fmt: skip
    assert sorted(refused.value.errors) == ["subject", "subject_fr"]


def test_a_trial_writes_to_its_own_people_only(acme, draft):
    start_trial(client=acme)
    quote = quote_campaign(draft)
    assert (quote.recipients, dict(quote.left_out)) == (0, {"trial_number": 2})


def test_those_not_reached_by_text_are_written_a_mail(acme, readers):
    make_road()
    campaign = make_draft(acme, readers, text="Habari")
    confirm(campaign)
    expand_campaign(campaign_id=campaign.pk)
    run_sql("UPDATE messaging_message SET status = 'failed', error_code = 'unreachable'")
    run_sql("UPDATE messaging_campaign SET state = 'done'")
    assert "email" in again.other_channels(campaign)
    mail = again.reach_again(client=acme, campaign_id=campaign.pk, channel="email", by=None)
    assert (mail.channel, mail.text, mail.sender.name) == ("email", "Habari", "news@acme.test")
    save_draft(
        client=acme, by=None, campaign_id=mail.pk, name="Mail", text="Habari", group_ids=[],
        mail={"subject": "Habari"},
    )  # fmt: skip
    assert quote_campaign(get_campaign(client=acme, campaign_id=mail.pk)).recipients == 1  # one address of two people


def test_a_copy_keeps_the_mail_in_every_language(acme, draft):
    copy = again.duplicate_campaign(client=acme, campaign_id=draft.pk, by=None)
    assert (copy.channel, copy.content, copy.variants) == (draft.channel, draft.content, draft.variants)


def test_a_template_keeps_versions_of_subject_and_html(acme):
    template = save_template(
        client=acme, by=None, name="News", channel="email", texts={"en": ""},
        contents={"en": {"subject": "News", "html": "<p>Hi</p><script>x</script>"}},
    )  # fmt: skip
    for _ in range(2):  # what did not change makes no version
        save_template(
            client=acme, by=None, name="News", template_id=template.pk, texts={"en": "Hi"},
            contents={"en": {"subject": "News", "html": "<p>Hi</p>"}},
        )  # fmt: skip
    versions = TemplateVersion.objects.for_client(acme).filter(template=template)
    assert [(row.text, row.content) for row in versions] == [
        ("", {"subject": "News", "html": "<p>Hi</p>"}), ("Hi", {"subject": "News", "html": "<p>Hi</p>"}),
    ]  # fmt: skip
