"""WhatsApp templates: looked through before they are submitted, what WhatsApp says of them, and that nothing else
counts. The other side is the sandbox, over real HTTP.
"""

import time
from decimal import Decimal

import orjson
import pytest

from accounts.models import Client, Membership, Notice, User
from crm.common.errors import InvalidInput, NotFound, WrongState
from crm.common.sql import as_datetime, database_now, later_sql
from messaging.errors import TemplateNotTaken, TemplateUnclear
from messaging.models import ProviderAccount, ProviderCallback, WhatsAppTemplate, WhatsAppTemplateEvent
from messaging.providers.whatsapp_words import TemplateWords, components_of, fill_body, words_in
from messaging.services import template_news as news
from messaging.services import whatsapp_templates as service
from messaging.services.providers import add_route, connect_provider
from messaging.services.reports import process_callbacks, store_callback
from messaging.services.senders import approve_sender
from messaging.services.template_checks import check_template
from tests.messaging.core import world
from tests.sandbox_process import sandbox, sandbox_process  # noqa: F401
from wallet.models import PricePlan
from wallet.pricing import load_prices
from wallet.services import set_rate

pytestmark = pytest.mark.django_db
OWN = "+254709000001"
WORDS = TemplateWords(
    body="Dear {{1}}, your bill of {{2}} is ready. You can pay it at any time.",
    samples={"1": "Amina", "2": "KES 500"},
    buttons=[{"kind": "reply", "text": "Paid already", "value": ""}],
    footer="Sunshine School",
)


def connect(url: str, business: str = "B1") -> ProviderAccount:
    account = connect_provider(
        name=f"WhatsApp {business}", adapter="whatsapp", base_url=url,
        credentials={
            "phone_number_id": "1001", "business_account_id": business, "access_token": "t", "app_secret": "s",
            "verify_token": "v",
        },
    )  # fmt: skip
    add_route(account=account, channel="whatsapp")
    return account


@pytest.fixture
def acme(acme: Client) -> Client:
    plan = PricePlan.objects.get(wallets__client=acme)
    for category, price in (("", "0.5"), ("utility", "0.8"), ("marketing", "3")):
        set_rate(plan=plan, channel="whatsapp", price_per_unit=Decimal(price), category=category)
    approve_sender(client=acme, channel="whatsapp", name=OWN)
    return acme


@pytest.fixture
def meta(sandbox) -> ProviderAccount:  # noqa: F811
    return connect(sandbox.base_url)


def draft(client: Client, *, name: str = "", language: str = "en", words: TemplateWords = WORDS, **fields):
    name = name or f"bill_{time.monotonic_ns()}"
    return service.save_draft(
        client=client, by=None, name=name, language=language, category=fields.pop("category", "utility"), words=words,
        **fields,
    )  # fmt: skip


def submit(template: WhatsAppTemplate, **more) -> WhatsAppTemplate:
    return service.submit_template(client=template.client, template_id=template.pk, by=None, **more)


def fresh(template: WhatsAppTemplate) -> WhatsAppTemplate:
    return service.get_template(client=template.client, template_id=template.pk)


def decided(template: WhatsAppTemplate, account: ProviderAccount, seconds: float = 10) -> WhatsAppTemplate:
    until = time.monotonic() + seconds
    while fresh(template).state == "review":
        assert time.monotonic() < until, "nobody decided"
        time.sleep(0.2)
        news.read_templates(account_id=account.pk)
    return fresh(template)


def events(template: WhatsAppTemplate) -> list[tuple[str, str, str]]:
    rows = WhatsAppTemplateEvent.objects.for_client(template.client_id).filter(template=template).order_by("pk")
    return list(rows.values_list("kind", "before", "after"))


def told(account: ProviderAccount, field: str, template: WhatsAppTemplate, **value) -> str:
    """WhatsApp posts about a template; the note of the callback's row."""
    value |= {
        "message_template_id": int(template.provider_id), "message_template_name": template.name,
        "message_template_language": template.language,
    }  # fmt: skip
    change = {"field": field, "value": value}
    body = orjson.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]})
    store_callback(account=account, kind="events", content_type="application/json", query="", body=body)
    process_callbacks()
    return ProviderCallback.objects.order_by("pk").last().note


def known(client: Client, account: ProviderAccount, **fields) -> WhatsAppTemplate:
    """A template that WhatsApp has approved."""
    values = {"name": "bill", "language": "en", "body": WORDS.body, "state": "approved", "provider_id": "77"} | fields
    return WhatsAppTemplate.objects.create(client=client, account=account, **values)


class TestChecks:
    """UX.md §8: variables numbered in order, not first or last, samples, no shorteners, language, category."""

    def problems(self, body: str, **more) -> dict[str, bool]:
        fields = {"name": "bill", "language": "en", "category": "utility", "words": None} | more
        samples = fields.pop("samples", {"1": "a", "2": "b", "3": "c"})
        fields["words"] = fields["words"] or TemplateWords(body=body, samples=samples)
        return {problem.field: problem.is_doubt for problem in check_template(**fields)}

    def test_a_good_one_has_no_problem(self):
        assert check_template(name="bill_due", language="en", category="utility", words=WORDS) == []

    @pytest.mark.parametrize(
        "body",
        [
            "{{1}}, your bill is ready and can be paid.",
            "Your bill is ready and can be paid, dear {{1}}",
            "Dear {{2}}, your bill of {{1}} is ready to be paid.",
            "Dear {{1}}, your bill of {{3}} is ready to be paid.",
            "Dear customer {{1}} {{2}} of ours, your bill is ready.",
            "Dear {{name}}, your bill is ready to be paid.",
            "Dear {{1}} and {{2}}.",
            "Dear {{1}, your bill is ready to be paid.",
            "Pay here: https://bit.ly/3x or at the office.",
            "Your bill is ready.\n\n\n\nPay it now.",
            "",
            "x" * 1025,
        ],
    )
    def test_what_whatsapp_refuses_is_found_in_the_text(self, body):
        assert self.problems(body).get("body") is False

    def test_a_sample_is_asked_for(self):
        assert self.problems("Dear {{1}}, your bill is ready.", samples={}) == {"samples": False}

    @pytest.mark.parametrize(
        ("language", "body"),
        [
            ("en", "Habari, ankara yako ya mwezi huu ni tayari. Asante kwa kuwa na sisi."),
            ("sw", "Dear parent, your bill for this month is ready and you can pay it."),
            ("en_GB", "Bonjour, votre facture du mois est prête et vous pouvez la payer avec une carte."),
        ],
    )
    def test_another_language_than_was_chosen_is_doubted(self, language, body):
        assert self.problems(body, language=language) == {"language": True}

    def test_an_offer_as_utility_is_doubted_and_as_marketing_is_not(self):
        body = "Come and see our sale: a discount of half the price is waiting for you."
        assert self.problems(body) == {"category": True}
        assert self.problems(body, category="marketing") == {}

    @pytest.mark.parametrize(
        ("button", "field"),
        [
            ({"kind": "url", "text": "Pay", "value": "http://acme.test"}, "url"),
            ({"kind": "url", "text": "Pay", "value": "https://tinyurl.com/x"}, "url"),
            ({"kind": "url", "text": "", "value": "https://acme.test"}, "url"),
            ({"kind": "phone", "text": "Call", "value": "12"}, "phone"),
            ({"kind": "reply", "text": "x" * 26, "value": ""}, "replies"),
        ],
    )
    def test_buttons_lead_somewhere(self, button, field):
        words = TemplateWords(body="Your bill is ready for you.", buttons=[button])
        assert self.problems("", words=words) == {field: False}


def test_words_survive_the_way_to_whatsapp_and_back():
    full = TemplateWords(
        body=WORDS.body, header="Bill", footer=WORDS.footer, samples=dict(WORDS.samples),
        buttons=[*WORDS.buttons, {"kind": "url", "text": "Pay", "value": "https://acme.test"}],
    )  # fmt: skip
    assert words_in(components_of(full)) == full
    assert fill_body(full.body, {"1": "Amina"}).startswith("Dear Amina, your bill of {{2}}")
    image = {"type": "HEADER", "format": "IMAGE"}
    assert words_in([image, {"type": "BODY", "text": "Hi {{name}}"}]).needs == "file"


class TestSubmitting:
    def test_a_draft_is_reviewed_and_approved(self, acme, meta):
        template = submit(draft(acme))
        assert (template.state, bool(template.provider_id), template.account) == ("review", True, meta)
        assert decided(template, meta).state == "approved"
        assert events(template) == [("submitted", "draft", "review"), ("state", "review", "approved")]

    def test_a_rejected_one_says_why_and_is_mended_under_its_own_id(self, acme, meta):
        template = decided(submit(draft(acme, name=f"refused_{time.monotonic_ns()}")), meta)
        assert (template.state, template.reason) == ("rejected", "INVALID_FORMAT")
        better = TemplateWords(body="Dear {{1}}, your school bill of {{2}} is ready now.", samples=WORDS.samples)
        again = submit(template, words=better, category="marketing")
        assert (again.state, again.body, again.category) == ("review", better.body, "marketing")
        assert again.provider_id == template.provider_id

    def test_problems_keep_it_here_and_doubts_until_they_are_waved_away(self, acme, meta):
        with pytest.raises(InvalidInput) as refused:
            submit(draft(acme, words=TemplateWords(body="{{1}} has to pay the bill now.")))
        assert set(refused.value.errors) == {"body", "samples"}
        offer = draft(acme, words=TemplateWords(body="Our sale begins: a discount for you is waiting."))
        with pytest.raises(InvalidInput) as doubted:
            submit(offer)
        assert set(doubted.value.errors) == {"doubts"}
        assert fresh(offer).state == "draft"
        assert submit(offer, despite_doubts=True).state == "review"

    def test_what_whatsapp_refuses_stays_a_draft_with_its_words(self, acme, meta):
        first = submit(draft(acme))
        twin = connect(meta.base_url, "B2")
        WhatsAppTemplate.objects.for_client(acme).filter(pk=first.pk).update(
            language="sw"
        )  # a name that is taken there
        second = draft(acme, name=first.name)
        with pytest.raises(TemplateNotTaken, match="already exists"):
            submit(second)
        assert (fresh(second).state, fresh(second).reason) == ("draft", "Content in this language already exists.")
        assert twin.pk

    def test_nobody_to_hand_it_to(self, acme):
        with pytest.raises(TemplateNotTaken, match="No WhatsApp number"):
            submit(draft(acme))
        connect("http://127.0.0.1:9")
        template = draft(acme)
        with pytest.raises(TemplateNotTaken, match="cannot be reached"):
            submit(template)
        assert fresh(template).state == "draft"

    def test_a_lost_answer_is_settled_by_asking(self, acme, meta, monkeypatch):
        real = service.ask

        def lost(request):
            real(request)
            return None, "Operation timed out"

        monkeypatch.setattr(service, "ask", lost)
        template = draft(acme)
        with pytest.raises(TemplateUnclear):
            submit(template)
        assert (fresh(template).state, fresh(template).provider_id) == ("review", "")
        with pytest.raises(WrongState):
            submit(template)  # never a second one
        assert decided(template, meta).state == "approved"
        assert fresh(template).provider_id

    def test_what_was_lost_on_the_way_is_a_draft_again(self, acme, meta, monkeypatch):
        monkeypatch.setattr(service, "ask", lambda request: (None, "Operation timed out"))
        template = draft(acme)
        with pytest.raises(TemplateUnclear):
            submit(template)
        news.read_templates(account_id=meta.pk)
        assert fresh(template).state == "review"  # it may still be on its way
        world.run_sql(f"UPDATE messaging_whatsapptemplate SET submitted_at = {later_sql(-700)}")
        news.read_templates(account_id=meta.pk)
        assert fresh(template).state == "draft"

    def test_in_simulation_nothing_leaves(self, acme, meta):
        template = draft(acme)
        Client.objects.filter(pk=acme.pk).update(simulation=True)
        with pytest.raises(WrongState, match="Simulation"):
            service.submit_template(client=Client.objects.get(pk=acme.pk), template_id=template.pk, by=None)

    def test_it_is_taken_away_at_whatsapp_too(self, acme, meta):
        template = decided(submit(draft(acme)), meta)
        service.remove_template(client=acme, template_id=template.pk, by=None)
        assert not WhatsAppTemplate.objects.for_client(acme).filter(pk=template.pk).exists()
        news.read_templates(account_id=meta.pk)
        assert not WhatsAppTemplate.objects.for_client(acme).filter(name=template.name).exists()  # nor found again

    def test_another_clients_template_is_none(self, acme, zuri, meta):
        template = draft(acme)
        for act in (service.submit_template, service.remove_template, service.duplicate_template):
            with pytest.raises(NotFound):
                act(client=zuri, template_id=template.pk, by=None)


class TestNews:
    @pytest.fixture
    def account(self, db) -> ProviderAccount:
        return connect("http://127.0.0.1:9")

    def test_a_pause_says_until_when_and_ends(self, acme, account):
        template = known(acme, account)
        owner = User.objects.create_user("amina@acme.test")
        Membership.objects.create(client=acme, user=owner, role="owner")
        now = database_now()
        pause = {"event": "PAUSED", "reason": "NONE", "other_info": {"title": "FIRST_PAUSE", "description": "x"}}
        assert told(account, "message_template_status_update", template, **pause) == ""
        paused = fresh(template)
        assert (paused.state, paused.reason) == ("paused", "FIRST_PAUSE")
        assert 10_700 < (as_datetime(paused.paused_until) - now).total_seconds() < 10_900
        assert Notice.objects.for_client(acme).filter(event="template.stopped").count() == 1
        told(account, "message_template_status_update", template, event="APPROVED", reason="NONE")
        assert (fresh(template).state, fresh(template).paused_until) == ("approved", None)

    @pytest.mark.parametrize(
        ("event", "state"),
        [
            ("REJECTED", "rejected"), ("IN_APPEAL", "appeal"), ("DISABLED", "disabled"), ("PENDING", "review"),
            ("PENDING_DELETION", "disabled"), ("SOMETHING_NEW", "approved"), ("FLAGGED", "approved"),
        ],
    )  # fmt: skip
    def test_each_word_of_whatsapp_is_a_state_and_an_unknown_one_changes_none(self, acme, account, event, state):
        template = known(acme, account)
        told(account, "message_template_status_update", template, event=event, reason="PROMOTIONAL")
        assert fresh(template).state == state
        assert len(events(template)) == 1

    def test_quality_is_kept(self, acme, account):
        template = known(acme, account)
        told(
            account,
            "message_template_quality_update",
            template,
            previous_quality_score="GREEN",
            new_quality_score="RED",
        )
        assert fresh(template).quality == "low"
        assert events(template) == [("quality", "unknown", "low")]

    def test_another_category_is_an_event_with_its_price(self, acme, account):
        template = known(acme, account)
        told(account, "template_category_update", template, previous_category="UTILITY", new_category="MARKETING")
        (event,) = WhatsAppTemplateEvent.objects.for_client(acme)
        assert (event.kind, event.before, event.after) == ("category", "utility", "marketing")
        assert event.price_micros == 3 * world.ONE
        assert fresh(template).category == "marketing"

    def test_a_repeat_changes_nothing(self, acme, account):
        template = known(acme, account)
        for _ in range(3):
            told(account, "message_template_status_update", template, event="PAUSED", reason="NONE")
        assert events(template) == [("state", "approved", "paused")]

    def test_news_of_another_business_touches_nobody(self, acme, account):
        template = known(acme, account)
        other = connect("http://127.0.0.1:9", "B2")
        note = told(other, "message_template_status_update", template, event="DISABLED", reason="NONE")
        assert note == "no template of ours is bill in en"
        assert fresh(template).state == "approved"

    def test_one_that_was_made_elsewhere_is_the_only_clients(self, acme, meta, zuri):
        news.read_templates(account_id=meta.pk)
        found = WhatsAppTemplate.objects.for_client(acme).get(name="order_update", language="sw")
        assert (found.state, found.quality, found.category) == ("approved", "high", "utility")
        assert found.body.startswith("Habari {{1}}, your order of {{2}}")
        assert not WhatsAppTemplate.objects.for_client(zuri).exists()

    def test_with_two_clients_nobody_can_say_whose_it_is(self, acme, meta, zuri):
        approve_sender(client=zuri, channel="whatsapp", name="+254709000002")
        news.read_templates(account_id=meta.pk)
        assert not WhatsAppTemplate.objects.unscoped().exists()

    def test_accounts_are_asked_hourly_and_sooner_while_something_is_reviewed(self, acme, account):
        assert news.accounts_to_ask() == [account.pk]
        assert news.accounts_to_ask() == []
        account.refresh_from_db()
        assert (as_datetime(account.templates_due_at) - database_now()).total_seconds() > 3000
        known(acme, account, state="review")
        ProviderAccount.objects.update(templates_due_at=None)
        news.accounts_to_ask()
        account.refresh_from_db()
        assert (as_datetime(account.templates_due_at) - database_now()).total_seconds() < 400


def test_a_copy_is_a_draft_under_a_new_name_or_in_one_more_language(acme):
    first = draft(acme, name="bill")
    copy = service.duplicate_template(client=acme, template_id=first.pk, by=None)
    swahili = service.duplicate_template(client=acme, template_id=first.pk, by=None, language="sw")
    assert (copy.name, copy.language, copy.state, copy.body) == ("bill_2", "en", "draft", first.body)
    assert (swahili.name, swahili.language) == ("bill", "sw")
    with pytest.raises(InvalidInput):
        service.duplicate_template(client=acme, template_id=first.pk, by=None, language="sw")
    with pytest.raises(InvalidInput) as taken:
        draft(acme, name="bill")
    assert set(taken.value.errors) == {"name"}


def test_a_category_has_a_rate_of_its_own_and_else_the_channels(acme):
    plan = PricePlan.objects.get(wallets__client=acme)
    set_rate(plan=plan, channel="whatsapp", price_per_unit=Decimal(5), country="TZ", category="marketing")
    set_rate(plan=plan, channel="whatsapp", price_per_unit=Decimal("0.1"), country="KE")
    prices = load_prices(acme.pk)
    found = {
        (place, category): prices.unit_price_micros("whatsapp", place, category) / world.ONE
        for place in ("KE", "TZ", "UG")
        for category in ("", "utility", "marketing", "service")
    }
    assert found == {
        ("KE", ""): 0.1, ("KE", "utility"): 0.8, ("KE", "marketing"): 3, ("KE", "service"): 0.1,
        ("TZ", ""): 0.5, ("TZ", "utility"): 0.8, ("TZ", "marketing"): 5, ("TZ", "service"): 0.5,
        ("UG", ""): 0.5, ("UG", "utility"): 0.8, ("UG", "marketing"): 3, ("UG", "service"): 0.5,
    }  # fmt: skip
