"""Members are told what they chose to be told of, once, whatever the mail server does."""

import pytest
from django.core import mail
from django.db import transaction

from accounts.delivery import letters
from accounts.delivery.letters import RETRY_AFTER, send_waiting
from accounts.models import Membership, Notice, Role, User
from accounts.notices import KINDS
from accounts.roles import PERMISSIONS
from accounts.services import notices
from accounts.services.clients import open_client
from accounts.services.notices import notify, save_settings
from crm.common.errors import InvalidInput
from crm.common.sql import database_now
from messaging.models import Message
from messaging.services.senders import approve_sender_id
from tests.factories import make_client
from tests.web.conftest import add_member, sign_in
from wallet.services import credit_wallet

pytestmark = pytest.mark.django_db
FACTS = {"amount": "KES 500.00", "balance": "KES 600.00", "receipt": "PGH7X8Y9Z0", "reference": "T", "address": "/t"}


@pytest.fixture
def acme(db):
    return make_client()


def member(client, role, email):
    return Membership.objects.create(user=User.objects.create_user(email), client=client, role=role)


def owner(client):
    return client.memberships.get(role=Role.OWNER)


def make_due():
    Notice.objects.unscoped().filter(state="waiting").update(next_at=database_now())


def rows(client):
    return list(Notice.objects.for_client(client).order_by("pk"))


@pytest.fixture
def system(settings):
    """The operator's own client, whose sender speaks for the installation."""
    client = open_client(name="Operator", email="op@tarishi.test", password="kikombe cha chai 7", simulation=True)
    approve_sender_id(client=client, name="TARISHI", default=True)
    credit_wallet(client=client, amount=100, reference="opening")
    settings.SYSTEM_CLIENT_ID = client.pk
    return client


def test_every_kind_has_its_words_and_a_permission_that_exists():
    known = set().union(*PERMISSIONS.values())
    for kind in KINDS:
        assert kind.permission in known
        assert all(kind.permission in PERMISSIONS[role] for role in kind.roles)
        client = make_client(kind.name, f"{kind.name}@acme.test")
        save_settings(membership=owner(client), phone="", choices={kind.name: ["email"]})
        assert notify(client=client, event=kind.name, facts=FACTS | {"name": "Karibu", "sent": 1, "failed": 0}) == 1
        (row,) = rows(client)
        assert row.subject
        assert "/app/settings/notifications" in row.text


def test_by_default_the_roles_that_look_after_it_get_a_letter_each(acme):
    stranger = make_client("Zuri Ltd", "zuri@else.test")
    member(acme, Role.FINANCE, "money@acme.test")
    member(acme, Role.VIEWER, "see@acme.test")
    gone = member(acme, Role.FINANCE, "gone@acme.test").user
    User.objects.filter(pk=gone.pk).update(is_active=False)
    assert notify(client=acme, event="topup.paid", facts=FACTS) == 2
    assert mail.outbox == []  # nothing leaves within the transaction of its cause
    assert send_waiting() == 2
    assert [letter.to for letter in mail.outbox] == [["amina@acme.test"], ["money@acme.test"]]
    assert "PGH7X8Y9Z0" in mail.outbox[0].subject
    assert send_waiting() == 0
    assert rows(stranger) == []


def test_a_member_chooses_and_hears_of_nothing_that_the_role_may_not_see(acme):
    developer = member(acme, Role.DEVELOPER, "dev@acme.test")
    save_settings(membership=developer, phone="", choices={"topup.paid": ["email"], "campaign.approval": ["email"]})
    save_settings(membership=owner(acme), phone="", choices={"topup.paid": []})
    assert notify(client=acme, event="topup.paid", facts=FACTS) == 1
    assert rows(acme)[0].user == developer.user
    assert notify(client=acme, event="campaign.approval", facts={"name": "Karibu"}) == 1  # the owner's; not theirs
    assert rows(acme)[1].user == owner(acme).user


def test_a_notice_of_something_that_was_rolled_back_does_not_exist(acme):
    with transaction.atomic():
        notify(client=acme, event="topup.paid", facts=FACTS)
        transaction.set_rollback(True)
    assert rows(acme) == []


def test_a_mail_server_that_is_away_delays_and_in_the_end_fails(acme, monkeypatch):
    notify(client=acme, event="topup.paid", facts=FACTS)

    def refuse(self):
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr(letters.EmailMessage, "send", refuse)
        assert send_waiting() == 0
        assert send_waiting() == 0  # not before its time
        assert rows(acme)[0].attempts == 1
    make_due()
    assert send_waiting() == 1
    assert rows(acme)[0].state == "sent"
    notify(client=acme, event="topup.paid", facts=FACTS)
    with monkeypatch.context() as patched:
        patched.setattr(letters.EmailMessage, "send", refuse)
        for _ in range(len(RETRY_AFTER) + 1):
            make_due()
            send_waiting()
    assert (rows(acme)[1].state, rows(acme)[1].attempts) == ("failed", len(RETRY_AFTER) + 1)
    assert "mail server" in rows(acme)[1].problem


def test_whoever_dies_while_sending_leaves_the_notice_due_again(acme):
    notify(client=acme, event="topup.paid", facts=FACTS)
    assert len(letters._claim()) == 1  # and then the process is gone
    assert not letters.is_due()
    make_due()
    assert letters.is_due()
    assert send_waiting() == 1


def test_sms_goes_out_by_the_operators_own_client_and_costs_the_member_nothing(acme, system):
    save_settings(membership=owner(acme), phone="0712 345 678", choices={"topup.paid": ["sms"]})
    assert notify(client=acme, event="topup.paid", facts=FACTS) == 1
    assert send_waiting() == 1
    (message,) = Message.objects.unscoped()
    assert (message.client, message.recipient, message.sender) == (system, "+254712345678", "TARISHI")
    assert message.text.startswith("Tarishi: KES 500.00 received for Acme, code PGH7X8Y9Z0")


def test_sms_without_a_way_is_skipped_with_the_reason(acme):
    save_settings(membership=owner(acme), phone="0712345678", choices={"topup.paid": ["sms"]})
    notify(client=acme, event="topup.paid", facts=FACTS)
    assert send_waiting() == 0
    (row,) = rows(acme)
    assert (row.state, row.problem) == ("skipped", notices.NO_SYSTEM_SENDER)


def test_sms_needs_a_number_that_can_be_read(acme):
    for phone in ("", "12"):
        with pytest.raises(InvalidInput):
            save_settings(membership=owner(acme), phone=phone, choices={"topup.paid": ["sms"]})
    assert notices.settings_of(owner(acme)).choices == {}


def test_the_page_keeps_choices_and_shows_the_form_again_when_it_cannot(acme, system):
    browser = sign_in("amina@acme.test")
    page = browser.get("/app/settings/notifications").content.decode()
    assert "SMS come from TARISHI" in page
    assert 'name="email" value="topup.paid" checked' in page
    refused = browser.post("/app/settings/notifications", {"phone": "12", "sms": ["topup.failed"]})
    assert refused.status_code == 422
    assert 'name="sms" value="topup.failed" checked' in refused.content.decode()
    given = {"phone": "0712345678", "sms": ["topup.failed"], "email": ["topup.failed", "nonsense"]}
    assert browser.post("/app/settings/notifications", given).status_code == 302
    kept = notices.settings_of(owner(acme))
    assert (kept.phone, kept.choices["topup.failed"], kept.choices["topup.paid"]) == (
        "+254712345678",
        ["email", "sms"],
        [],
    )


def test_a_test_is_sent_once_a_minute_and_its_fate_is_listed(acme):
    browser = sign_in("amina@acme.test")
    assert "has no sender for SMS of its own" in browser.get("/app/settings/notifications").content.decode()
    assert browser.post("/app/settings/notifications/test").status_code == 302
    again = browser.post("/app/settings/notifications/test", follow=True)
    assert "within the last minute" in again.content.decode()
    assert 'hx-trigger="every 2s"' in again.content.decode()
    assert send_waiting() == 1
    part = browser.get("/app/settings/notifications", headers={"HX-Request": "true"}).content.decode()
    assert "Sent" in part
    assert "hx-trigger" not in part
    assert mail.outbox[0].subject == "Test: notices about Acme reach you here"


def test_each_member_sees_only_their_own(acme):
    notify(client=acme, event="topup.paid", facts=FACTS)
    other = add_member(acme, Role.VIEWER).get("/app/settings/notifications").content.decode()
    assert "Nothing yet." in other
    assert "webhook" not in other.split("<main")[1]  # of which viewers are not told
