"""WhatsApp messages: free text within a day of the person's last message, templates at any time, and their price."""

from decimal import Decimal

import pytest

from accounts.models import Client
from contacts import services as contacts
from crm.common.errors import InvalidInput
from crm.common.sql import database_now, later_sql
from messaging.errors import ChannelNotAvailable, SenderNotApproved, TextTooLong
from messaging.models import InboundMessage, ProviderAccount, Route, WhatsAppTemplate
from messaging.services.accept import Accepted, Refused
from messaging.services.senders import approve_sender, approve_sender_id
from messaging.services.whatsapp import WhatsAppDraft, accept_whatsapp
from tests.messaging.core import world
from wallet.models import PricePlan
from wallet.services import set_rate

pytestmark = pytest.mark.django_db

OWN, PERSON = "+254709000001", "+254712345678"
FILE = {"kind": "document", "url": "https://acme.test/bill.pdf", "filename": "bill.pdf"}


@pytest.fixture
def acme(acme: Client, road: ProviderAccount) -> Client:
    set_rate(plan=PricePlan.objects.get(wallets__client=acme), channel="whatsapp", price_per_unit=Decimal("0.5"))
    approve_sender(client=acme, channel="whatsapp", name="254 709 000001")
    Route.objects.filter(account=road).update(channel="whatsapp")
    return acme


def write(client: Client, road: ProviderAccount, *, to: str = "254709000001") -> None:
    InboundMessage.objects.create(
        account=road, client=client, channel="whatsapp", sender=PERSON, recipient=to, text="Habari",
        provider_message_id=f"{client.pk}:{to}", received_at=database_now(),
    )  # fmt: skip


def take(client: Client, *, sender: str | None = None, **draft):
    return accept_whatsapp(client=client, sender=sender, draft=WhatsAppDraft("0712345678", **draft))


def let_a_day_pass() -> None:
    world.run_sql(f"UPDATE messaging_inboundmessage SET received_at = {later_sql(-86_401)}")


def test_text_is_taken_within_the_window_for_one_unit(acme, road):
    write(acme, road)
    before = world.balance(acme)
    done = take(acme, text="Karibu " * 500)  # a long text is one message too
    assert isinstance(done, Accepted)
    message = world.message(done.id)
    assert (message.channel, message.sender, message.recipient, message.content) == ("whatsapp", OWN, PERSON, None)
    assert (message.units, before - world.balance(acme)) == (1, world.ONE // 2)
    world.check_books()


def test_text_and_files_are_refused_without_the_persons_word_and_cost_nothing(acme, road, zuri):
    write(zuri, road)  # to somebody else
    before = world.balance(acme)
    for draft in ({"text": "Karibu"}, {"media": FILE}):
        refused = take(acme, **draft)
        assert isinstance(refused, Refused)
        assert refused.error.code == "window_closed"
    write(acme, road)
    let_a_day_pass()
    assert take(acme, text="Karibu").error.code == "window_closed"
    assert (world.balance(acme), sum(world.statuses(acme).values())) == (before, 0)


def test_a_window_that_closes_before_the_message_leaves_ends_it_and_refunds(acme, road):
    write(acme, road)
    before = world.balance(acme)
    late, template = take(acme, text="Karibu"), take(acme, template="bill", variables={"1": "Amina"})
    let_a_day_pass()
    world.run_loop(road)
    message = world.message(late.id)
    assert (message.status, message.error_code, message.attempts) == ("failed", "window_closed", 0)
    assert world.message(template.id).error_code != "window_closed"
    assert before - world.balance(acme) <= world.ONE // 2


@pytest.mark.parametrize(
    ("variables", "parameters"),
    [({"2": "KES 500", "1": "Amina"}, ["Amina", "KES 500"]), ({"name": "Amina"}, {"name": "Amina"}), ({}, [])],
)
def test_a_template_goes_at_any_time_with_its_variables(acme, variables, parameters):
    done = take(acme, template="bill_due", language="sw", variables=variables)
    content = world.message(done.id).content
    assert content == {"template": "bill_due", "language": "sw", "parameters": parameters}


class TestKnownTemplates:
    """Those whose state we hear of."""

    @pytest.fixture
    def bill(self, acme, road):
        plan = PricePlan.objects.get(wallets__client=acme)
        set_rate(plan=plan, channel="whatsapp", price_per_unit=Decimal(2), category="marketing")
        set_rate(plan=plan, channel="whatsapp", price_per_unit=Decimal("0.1"), category="service")
        return WhatsAppTemplate.objects.create(
            client=acme, account=road, name="bill", language="en", category="marketing", state="approved",
            body="Dear {{1}}, your bill is ready.",
        )  # fmt: skip

    def test_it_is_kept_as_it_is_read_and_priced_by_its_category(self, acme, bill):
        done = take(acme, template="bill", variables={"1": "Amina"})
        message = world.message(done.id)
        assert message.text == "Dear Amina, your bill is ready."
        assert message.content == {"template": "bill", "language": "en", "parameters": ["Amina"]}
        assert done.cost_micros == 2 * world.ONE

    def test_an_answer_has_the_price_of_answers(self, acme, bill, road):
        write(acme, road)
        assert take(acme, text="Karibu").cost_micros == world.ONE // 10

    @pytest.mark.parametrize("state", ["draft", "review", "paused", "rejected", "appeal", "disabled"])
    def test_it_is_refused_with_a_sentence_while_it_is_not_approved(self, acme, bill, state):
        WhatsAppTemplate.objects.for_client(acme).update(state=state)
        before = world.balance(acme)
        with pytest.raises(InvalidInput) as refused:
            take(acme, template="bill", variables={"1": "Amina"})
        assert list(refused.value.errors) == ["template"]
        assert "bill" in str(refused.value)
        assert world.balance(acme) == before

    def test_one_that_is_paused_after_it_was_accepted_ends_unsent_and_refunded(self, acme, bill, road):
        before = world.balance(acme)
        done = take(acme, template="bill", variables={"1": "Amina"})
        WhatsAppTemplate.objects.for_client(acme).update(state="paused")
        world.run_loop(road)
        message = world.message(done.id)
        assert (message.status, message.error_code, message.attempts) == ("failed", "template_paused", 0)
        assert world.balance(acme) == before
        world.check_books()

    def test_its_own_variables_are_asked_for(self, acme, bill):
        with pytest.raises(InvalidInput, match="variables: 1"):
            take(acme, template="bill", variables={"1": "Amina", "2": "KES 5"})

    def test_the_name_of_another_clients_template_is_no_secret_told(self, acme, bill, zuri):
        WhatsAppTemplate.objects.for_client(acme).update(client=zuri, state="paused")
        assert isinstance(take(acme, template="bill", variables={"1": "Amina"}), Accepted)


def test_a_file_carries_its_text_as_caption(acme, road):
    write(acme, road)
    message = world.message(take(acme, text="Your bill", media=FILE).id)
    assert (message.text, message.content) == ("Your bill", {"media": FILE | {"caption": "Your bill"}})


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"template": "Bad Name"}, "template"),
        ({"template": "bill", "text": "and this"}, "template"),
        ({"template": "bill", "language": "english!"}, "language"),
        ({"template": "bill", "variables": {"1": "a", "3": "b"}}, "variables"),
        ({"template": "bill", "variables": {"1": " "}}, "variables"),
        ({"text": "x", "variables": {"1": "a"}}, "variables"),
        ({"media": FILE | {"url": "http://acme.test/x"}}, "media"),
        ({"media": FILE | {"kind": "program"}}, "media"),
        ({"text": "x", "media": FILE | {"kind": "audio"}}, "body"),
    ],
)
def test_what_whatsapp_would_not_take_is_named_by_its_field(acme, draft, field):
    with pytest.raises(InvalidInput) as refused:
        take(acme, **draft)
    assert list(refused.value.errors) == [field]


def test_who_opted_out_gets_no_template_either(acme):
    contacts.record_opt_out(client_id=acme.pk, channel="whatsapp", address=PERSON, source="api")
    assert take(acme, template="bill").error.code == "opted_out"


def test_limits_senders_and_roads_are_asked_first(acme):
    with pytest.raises(TextTooLong):
        take(acme, text="x" * 4097)
    with pytest.raises(SenderNotApproved):
        take(acme, template="bill", sender="+254709000009")
    Route.objects.all().delete()
    with pytest.raises(ChannelNotAvailable):
        take(acme, template="bill")


def test_a_number_is_a_sender_of_one_channel(acme):
    approve_sender_id(client=acme, name="+254709000002")
    with pytest.raises(InvalidInput):
        approve_sender(client=acme, channel="whatsapp", name="+254709000002")
