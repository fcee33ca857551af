"""The native API of campaigns: written, priced, sent, paused, resumed, cancelled."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from contacts import services as contacts
from contacts.models import Contact
from messaging.api import waiting
from messaging.models import Campaign, CampaignRecipient, Message, ProviderAccount, WhatsAppTemplate
from messaging.queries import Reach, reach_of
from messaging.services import audience, quoting
from messaging.services.expansion import expand_campaign
from messaging.services.providers import add_route
from messaging.services.senders import approve_email_sender, approve_sender
from tests.api.caller import fields_of, refusal
from wallet.models import PricePlan
from wallet.services import set_rate

pytestmark = pytest.mark.django_db

DRAFT = {
    "name": "Monthly Newsletter", "message": "Check out our latest offers!", "sender": "HOSPITAL",
    "recipients": ["254712345678", "254723456789"],
}  # fmt: skip


def call(caller, method, path, body=None):
    return caller.browser.generic(
        method, caller.url(path), json.dumps(body or {}), content_type="application/json",
        headers={"X-API-KEY": caller.key},
    )  # fmt: skip


def texts_of(campaign_id):
    rows = Message.objects.unscoped().filter(campaign_id=campaign_id).order_by("pk")
    return dict(rows.values_list("recipient", "text"))


def test_a_campaign_to_plain_numbers_is_sent_once_to_each_and_charged(acme):
    body = acme.post("campaigns", DRAFT).json()
    assert (body["status"], body["data"]["status"], body["id"]) == ("success", "draft", body["data"]["id"])
    assert (body["data"]["recipients"], body["data"]["refused"], body["data"]["cost"]) == (2, [], 0)
    path = f"campaigns/{body['id']}"
    assert acme.get(f"{path}/estimate").json()["data"] == {
        "id": body["id"], "recipients": 2, "units": 2, "cost": 2, "currency": "KES", "balance": 10,
        "affordable": True, "problems": [],
    }  # fmt: skip
    assert acme.balance() == 10
    started = acme.post(f"{path}/send", {}).json()["data"]
    assert (started["status"], started["recipients"], started["quoted_cost"]) == ("sending", 2, 2)
    expand_campaign(campaign_id=body["id"])
    expand_campaign(campaign_id=body["id"])
    assert set(texts_of(body["id"])) == {"+254712345678", "+254723456789"}
    now = acme.get(path).json()["data"]
    assert (now["queued"], now["cost"], acme.balance()) == (2, 2, 8)
    assert refusal(acme.post(f"{path}/send", {}), 409, "CONFLICT")
    history = acme.get("sms/history", {"campaign": body["id"]}).json()
    assert history["meta"]["total"] == 2


def test_listed_numbers_groups_and_contacts_are_written_to_once_and_filled_in(acme):
    people = {
        phone: contacts.create_contact(client=acme.client, phone=phone, name=name)
        for phone, name in (("0712000001", "Amina Ali"), ("0712000002", "Juma"), ("0712000003", "Zuri"))
    }
    group = contacts.create_group(client=acme.client, name="Staff")
    contacts.add_to_group(group=group, contact_ids=[people["0712000001"].pk])
    contacts.record_opt_out(client_id=acme.client.pk, channel="sms", address="+254712000009", source="api")
    body = acme.post("campaigns", DRAFT | {
        "message": "Hi {first_name|friend}", "groups": [group.pk], "contacts": [people["0712000003"].pk],
        "recipients": ["0712000001", "+254712000002", "254712000002", "0712000008", "0712000009", "12"],
    }).json()["data"]  # fmt: skip
    assert (body["recipients"], [row["recipient"] for row in body["refused"]]) == (5, ["12"])
    assert acme.get(f"campaigns/{body['id']}/estimate").json()["recipients"] == 4
    assert reach_of(Campaign.objects.unscoped().get()) == Reach(people=5, without_phone=0, given=6)
    acme.post(f"campaigns/{body['id']}/send", {"expected_recipients": 4, "expected_cost": 4})
    expand_campaign(campaign_id=body["id"])
    assert texts_of(body["id"]) == {
        "+254712000001": "Hi Amina", "+254712000002": "Hi Juma", "+254712000003": "Hi Zuri",
        "+254712000008": "Hi friend",
    }  # fmt: skip
    stray = Message.objects.unscoped().get(recipient="+254712000008")
    assert stray.contact_id is None
    assert acme.balance() == 6


def test_D9_a_list_longer_than_a_chunk_is_expanded_once_each_though_its_worker_dies(acme, monkeypatch):
    monkeypatch.setattr(audience, "CHUNK", 2)
    body = acme.post("campaigns", DRAFT | {"recipients": [f"071200000{n}" for n in range(7)]}).json()
    acme.post(f"campaigns/{body['id']}/send", {})
    from messaging.services import expansion

    real, calls = expansion._write, []

    def dies_at_the_third(*args):
        calls.append(args)
        if len(calls) == 3:
            raise SystemExit
        return real(*args)

    monkeypatch.setattr(expansion, "_write", dies_at_the_third)
    with pytest.raises(SystemExit):
        expand_campaign(campaign_id=body["id"])
    assert len(texts_of(body["id"])) == 4
    Campaign.objects.unscoped().update(lease_until=None)
    monkeypatch.setattr(expansion, "_write", real)
    expand_campaign(campaign_id=body["id"])
    assert len(texts_of(body["id"])) == 7
    assert acme.balance() == 3


def test_M9_402_and_409_start_nothing(acme):
    poor = acme.post("campaigns", DRAFT | {"recipients": [f"07120000{n:02}" for n in range(11)]}).json()["id"]
    assert refusal(acme.post(f"campaigns/{poor}/send", {}), 402, "INSUFFICIENT_BALANCE")["balance"] == 10
    two = acme.post("campaigns", DRAFT).json()["id"]
    refusal(acme.post(f"campaigns/{two}/send", {"expected_cost": 1}), 409, "CONFLICT")
    refusal(acme.post(f"campaigns/{two}/send", {"expected_recipients": 3}), 409, "CONFLICT")
    assert acme.get(f"campaigns/{two}").json()["data"]["status"] == "draft"
    assert (acme.balance(), Message.objects.unscoped().count()) == (10, 0)


def test_pause_resume_and_cancel_answer_with_the_state_and_refuse_what_is_not_running(acme):
    pk = acme.post("campaigns", DRAFT).json()["id"]
    for verb in ("pause", "resume", "cancel"):
        refusal(acme.post(f"campaigns/{pk}/{verb}", {}), 409, "CONFLICT")
    acme.post(f"campaigns/{pk}/send", {})
    expand_campaign(campaign_id=pk)
    states = [
        acme.post(f"campaigns/{pk}/{verb}", {}).json()["data"]["status"] for verb in ("pause", "resume", "cancel")
    ]
    assert states == ["paused", "sending", "cancelled"]
    expand_campaign(campaign_id=pk)
    assert (acme.get(f"campaigns/{pk}").json()["data"]["not_sent"], acme.balance()) == (2, 10)


def test_a_draft_is_changed_and_deleted_and_a_started_one_is_not(acme):
    pk = acme.post("campaigns", DRAFT).json()["id"]
    changed = call(acme, "PATCH", f"campaigns/{pk}", {"message": "New text"}).json()["data"]
    assert (changed["message"], changed["name"], changed["recipients"]) == ("New text", DRAFT["name"], 2)
    fewer = call(acme, "PATCH", f"campaigns/{pk}", {"recipients": ["0712000001"]}).json()["data"]
    assert (fewer["recipients"], fewer["message"]) == (1, "New text")
    acme.post(f"campaigns/{pk}/send", {})
    refusal(call(acme, "PATCH", f"campaigns/{pk}", {"recipients": ["0712000002"]}), 409, "CONFLICT")
    refusal(call(acme, "DELETE", f"campaigns/{pk}"), 409, "CONFLICT")
    assert CampaignRecipient.objects.unscoped().get().address == "+254712000001"
    other = acme.post("campaigns", DRAFT).json()["id"]
    assert call(acme, "DELETE", f"campaigns/{other}").json()["data"] == {"id": other}
    refusal(acme.get(f"campaigns/{other}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"), ({"message": ""}, "message"), ({"message": "x" * 481}, "message"),
        ({"sender": "NOBODY"}, "sender"), ({"recipients": []}, "recipients"), ({"recipients": ["12"]}, "recipients.0"),
        ({"recipients": ["0712000001"] * 10_001}, "recipients"), ({"groups": [999]}, "groups"),
        ({"contacts": [999]}, "contacts"), ({"channel": "whatsapp"}, "message"),
        ({"template": "bill"}, "template"), ({"variables": {"1": "x"}}, "variables"),
        ({"channel": "email"}, "subject"), ({"subject": "Hi"}, "subject"), ({"html": "<p>Hi</p>"}, "html"),
        ({"channel": "email", "subject": "Hi", "message": "", "html": ""}, "message"),
        ({"schedule_at": "2099-01-01T00:00:00Z"}, "schedule_at"),
        ({"schedule_at": "2020-01-01T00:00:00Z"}, "schedule_at"),
        ({"message_class": "x"}, "message_class"), ({"client_id": 999}, "client_id"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_campaign_is_refused_and_nothing_is_kept(acme, change, field):
    assert field in fields_of(refusal(acme.post("campaigns", DRAFT | change), 400, "INVALID_REQUEST"))
    assert not Campaign.objects.unscoped().exists()
    assert not CampaignRecipient.objects.unscoped().exists()


def test_a_campaign_by_whatsapp_is_a_template_with_variables(acme):
    client = acme.client
    account = ProviderAccount.objects.get()
    add_route(account=account, channel="whatsapp")
    approve_sender(client=client, channel="whatsapp", name="+254709000001")
    plan = PricePlan.objects.get(wallets__client=client)
    set_rate(plan=plan, channel="whatsapp", price_per_unit=Decimal("0.8"), category="utility")
    template = WhatsAppTemplate.objects.create(
        client=client, account=account, name="bill", language="en", body="Dear {{1}}, pay.", state="review"
    )
    asked = {"name": "Bills", "channel": "whatsapp", "template": "bill", "recipients": ["0712000001"]}
    fields = fields_of(refusal(acme.post("campaigns", asked | {"template": "none"}), 400, "INVALID_REQUEST"))
    assert "template" in fields
    assert "template" in fields_of(
        refusal(acme.post("campaigns", {k: v for k, v in asked.items() if k != "template"}), 400, "INVALID_REQUEST")
    )
    body = acme.post("campaigns", asked | {"variables": {"1": "{first_name|parent}"}}).json()["data"]
    assert (body["template"], body["language"], body["message"]) == ("bill", "en", "Dear {first_name|parent}, pay.")
    estimate = acme.get(f"campaigns/{body['id']}/estimate").json()["data"]
    assert (estimate["cost"], len(estimate["problems"])) == (0.8, 1)
    told = refusal(call(acme, "POST", f"campaigns/{body['id']}/send"), 400, "INVALID_REQUEST")
    assert "bill (en)" in str(told)
    WhatsAppTemplate.objects.for_client(client).filter(pk=template.pk).update(state="approved")
    changed = call(acme, "PATCH", f"campaigns/{body['id']}", {"variables": {"1": "customer"}}).json()["data"]
    assert changed["message"] == "Dear customer, pay."
    refusal(call(acme, "PATCH", f"campaigns/{body['id']}", {"subject": "x"}), 400, "INVALID_REQUEST")
    sent = call(acme, "POST", f"campaigns/{body['id']}/send", {"expected_cost": 0.8}).json()["data"]
    assert (sent["status"], sent["quoted_cost"]) == ("scheduled", 0.8) or sent["status"] == "sending"


def test_a_campaign_by_email_is_written_read_and_changed(acme):
    approve_email_sender(client=acme.client, address="news@acme.test")
    asked = {"channel": "email", "subject": "Hi {first_name|you}", "html": "<p>Offers</p><script>x</script>"}
    asked |= {"name": "News", "recipients": ["Amina@Acme.test", "12"]}
    body = acme.post("campaigns", asked).json()["data"]
    assert (body["channel"], body["subject"], body["sender"]) == ("email", "Hi {first_name|you}", "news@acme.test")
    assert (body["recipients"], [row["recipient"] for row in body["refused"]]) == (1, ["12"])
    changed = call(acme, "PATCH", f"campaigns/{body['id']}", {"subject": "Offers"}).json()["data"]
    assert (changed["subject"], Campaign.objects.unscoped().get().content["html"]) == ("Offers", "<p>Offers</p>")


def test_a_campaign_with_a_time_waits_for_it_and_can_be_cancelled_before(acme):
    at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    shown = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    draft = acme.post("campaigns", DRAFT | {"schedule_at": at.isoformat()}).json()["data"]
    assert (draft["status"], draft["schedule_at"], draft["message_class"]) == ("draft", shown, "information")
    changed = call(acme, "PATCH", f"campaigns/{draft['id']}", {"name": "Later"}).json()["data"]
    assert changed["schedule_at"] == shown
    waiting = acme.post(f"campaigns/{draft['id']}/send", {}).json()["data"]
    assert (waiting["status"], waiting["quoted_cost"], waiting["queued"]) == ("scheduled", 2, 2)
    assert [row["id"] for row in acme.get("campaigns", {"status": "scheduled"}).json()["data"]] == [draft["id"]]
    expand_campaign(campaign_id=draft["id"])
    assert not Message.objects.unscoped().exists()
    assert acme.post(f"campaigns/{draft['id']}/cancel", {}).json()["data"]["status"] == "cancelled"
    at_once = call(acme, "PATCH", f"campaigns/{acme.post('campaigns', DRAFT).json()['id']}", {"schedule_at": None})
    assert at_once.json()["data"]["schedule_at"] is None


def test_the_list_is_newest_first_filtered_and_paged(acme):
    first, second = (acme.post("campaigns", DRAFT).json()["id"] for _ in range(2))
    acme.post(f"campaigns/{first}/send", {})
    assert [row["id"] for row in acme.get("campaigns").json()["data"]] == [second, first]
    assert [row["id"] for row in acme.get("campaigns", {"status": "sending"}).json()["data"]] == [first]
    assert acme.get("campaigns", {"per_page": 1, "page": 2}).json()["meta"]["total"] == 2
    refusal(acme.get("campaigns", {"status": "x"}), 400, "INVALID_REQUEST")


def test_T1_another_clients_campaign_groups_and_contacts_look_unknown(acme, stranger):
    pk = stranger.post("campaigns", DRAFT | {"sender": "ZURI"}).json()["id"]
    group = contacts.create_group(client=stranger.client, name="Staff")
    person = contacts.create_contact(client=stranger.client, phone="0712000001")
    for verb in ("", "/estimate"):
        assert acme.get(f"campaigns/{pk}{verb}").content == acme.get(f"campaigns/999999{verb}").content
    for verb in ("send", "pause", "resume", "cancel"):
        refusal(acme.post(f"campaigns/{pk}/{verb}", {}), 404, "NOT_FOUND")
    assert fields_of(refusal(acme.post("campaigns", DRAFT | {"groups": [group.pk]}), 400, "INVALID_REQUEST")) == [
        "groups"
    ]
    assert fields_of(refusal(acme.post("campaigns", DRAFT | {"contacts": [person.pk]}), 400, "INVALID_REQUEST")) == [
        "contacts"
    ]
    assert stranger.get(f"campaigns/{pk}").json()["data"]["status"] == "draft"


def test_I1_a_send_with_a_key_starts_the_campaign_once(acme):
    pk = acme.post("campaigns", DRAFT).json()["id"]
    first = acme.post(f"campaigns/{pk}/send", {}, Idempotency_Key="go")
    second = acme.post(f"campaigns/{pk}/send", {}, Idempotency_Key="go")
    assert (second.status_code, second.json(), second["Idempotent-Replayed"]) == (200, first.json(), "true")


# --- what the pages can do, too ---------------------------------------------------------------------------------------


def group_of(acme, name, *phones):
    group = contacts.create_group(client=acme.client, name=name)
    people = [contacts.create_contact(client=acme.client, phone=phone, name=f"P {phone[-1]}") for phone in phones]
    contacts.add_to_group(group=group, contact_ids=[one.pk for one in people])
    return group


def test_members_of_excluded_groups_get_nothing(acme):
    staff = group_of(acme, "Staff", "0712000001", "0712000002")
    board = contacts.create_group(client=acme.client, name="Board")
    person = Contact.objects.for_client(acme.client).get(phone="+254712000001")
    contacts.add_to_group(group=board, contact_ids=[person.pk])
    body = acme.post("campaigns", DRAFT | {"recipients": None, "groups": [staff.pk], "excluded_groups": [board.pk]})
    made = body.json()["data"]
    assert (made["groups"], made["excluded_groups"]) == ([staff.pk], [board.pk])
    assert acme.get(f"campaigns/{made['id']}/estimate").json()["recipients"] == 1
    kept = call(acme, "PATCH", f"campaigns/{made['id']}", {"name": "Other"}).json()["data"]
    assert (kept["groups"], kept["excluded_groups"]) == ([staff.pk], [board.pk])
    everybody = call(acme, "PATCH", f"campaigns/{made['id']}", {"excluded_groups": []}).json()["data"]
    assert everybody["excluded_groups"] == []
    assert acme.get(f"campaigns/{made['id']}/estimate").json()["recipients"] == 2


def test_variants_are_read_by_those_who_prefer_their_language(acme):
    contacts.create_contact(client=acme.client, phone="0712000001", name="Awa", attributes={"language": "fr"})
    words = {"fr": {"message": "Bonjour {name}"}, "sw": {"message": "Habari"}, "de": {"message": "Hallo"}}
    made = acme.post("campaigns", DRAFT | {"recipients": ["0712000001", "0712000002"], "variants": words}).json()[
        "data"
    ]
    assert made["variants"] == {"fr": {"message": "Bonjour {name}"}, "sw": {"message": "Habari"}}
    acme.post(f"campaigns/{made['id']}/send", {})
    expand_campaign(campaign_id=made["id"])
    assert texts_of(made["id"]) == {"+254712000001": "Bonjour Awa", "+254712000002": DRAFT["message"]}


def test_variants_are_replaced_together_or_left(acme):
    pk = acme.post("campaigns", DRAFT | {"variants": {"fr": {"message": "Bonjour"}}}).json()["id"]
    assert call(acme, "PATCH", f"campaigns/{pk}", {"message": "Hi"}).json()["data"]["variants"] == {
        "fr": {"message": "Bonjour"}
    }
    changed = call(acme, "PATCH", f"campaigns/{pk}", {"variants": {"sw": {"message": "Habari"}}}).json()["data"]
    assert (changed["message"], changed["variants"]) == ("Hi", {"sw": {"message": "Habari"}})
    assert call(acme, "PATCH", f"campaigns/{pk}", {"variants": {}}).json()["data"]["variants"] == {}


def test_variants_of_a_mail_have_subject_and_html(acme):
    approve_email_sender(client=acme.client, address="news@acme.test", display_name="Acme")
    mail = {"name": "News", "channel": "email", "sender": "news@acme.test", "subject": "News", "message": "Hello",
            "recipients": ["a@b.test"],
            "variants": {"fr": {"subject": "Nouvelles", "message": "Bonjour", "html": "<p>Bonjour</p>"}}}  # fmt: skip
    made = acme.post("campaigns", mail).json()["data"]
    assert made["variants"] == mail["variants"]
    again = call(acme, "PATCH", f"campaigns/{made['id']}", {"subject": "Late news"}).json()["data"]
    assert (again["subject"], again["variants"]) == ("Late news", mail["variants"])


def test_a_series_is_written_started_and_read(acme):
    first = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    series = {"schedule_at": first.isoformat(), "repeat": "weekly", "repeat_times": 3, "spread_hours": 2}
    made = acme.post("campaigns", DRAFT | series).json()["data"]
    told = ("repeat", "repeat_times", "repeat_until", "spread_hours", "next_run_at", "series", "run")
    assert [made[name] for name in told] == ["weekly", 3, None, 2, None, None, None]
    started = acme.post(f"campaigns/{made['id']}/send", {}).json()["data"]
    assert (started["status"], started["next_run_at"]) == ("repeating", first.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert acme.balance() == 10
    once = acme.post("campaigns", DRAFT | series).json()["id"]
    assert call(acme, "PATCH", f"campaigns/{once}", {"repeat": None}).json()["data"]["repeat"] is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"excluded_groups": [999999]}, "excluded_groups"),
        ({"variants": {"fr": {"message": "x" * 481}}}, "variants.fr.message"),
        ({"variants": {"fr": {"subject": "Bonjour"}}}, "variants.fr.subject"),
        ({"variants": "Bonjour"}, "variants"),
        ({"spread_hours": 13}, "spread_hours"),
        ({"repeat": "hourly"}, "repeat"),
        ({"repeat": "daily"}, "schedule_at"),
        ({"repeat_times": 1}, "repeat_times"),
        ({"repeat": "daily", "schedule_at": "2126-01-01T00:00:00Z"}, "schedule_at"),
    ],
)
def test_what_cannot_be_is_refused_by_its_own_name_and_nothing_is_kept(acme, fields, field):
    body = refusal(acme.post("campaigns", DRAFT | fields), 400, "INVALID_REQUEST")
    assert field in [error["field"] for error in body["errors"]]
    assert not Campaign.objects.unscoped().exists()


def test_T1_the_groups_of_another_client_exclude_nobody(acme, stranger):
    theirs = contacts.create_group(client=stranger.client, name="Theirs")
    refusal(acme.post("campaigns", DRAFT | {"excluded_groups": [theirs.pk]}), 400, "INVALID_REQUEST")


def test_many_recipients_are_estimated_in_the_background_and_then_sent_at_once(monkeypatch, acme):
    monkeypatch.setattr("messaging.services.quoting.WHILE_ONE_WAITS", 1)
    monkeypatch.setattr("messaging.api.waiting.LONGEST_WAIT", 0)
    body = acme.post("campaigns", DRAFT).json()["data"]
    waiting = acme.get(f"campaigns/{body['id']}/estimate")
    assert waiting["Retry-After"] == "1"
    assert refusal(waiting, 409, "CONFLICT")
    assert quoting.work_out(campaign_id=body["id"])
    estimate = acme.get(f"campaigns/{body['id']}/estimate").json()["data"]
    assert estimate["recipients"] == 2
    monkeypatch.setattr("messaging.services.campaigns.confirming.quote_campaign", None)
    sent = call(acme, "POST", f"campaigns/{body['id']}/send", {"expected_cost": estimate["cost"]}).json()["data"]
    assert sent["status"] == "sending"


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "once"}])
def test_what_takes_longer_to_count_is_called_again_which_sends_it_then(monkeypatch, acme, key):
    monkeypatch.setattr("messaging.services.quoting.WHILE_ONE_WAITS", 1)
    monkeypatch.setattr("messaging.api.waiting.LONGEST_WAIT", 0)
    made = acme.post("campaigns", DRAFT).json()["data"]["id"]
    with monkeypatch.context() as patched:  # nobody is counted within the calls
        patched.setattr("messaging.services.quoting.quote_campaign", None)
        patched.setattr("messaging.services.campaigns.confirming.quote_campaign", None)
        for _ in range(2):
            waiting = acme.post(f"campaigns/{made}/send", {}, **key)
            assert waiting["Retry-After"] == "1"
            assert refusal(waiting, 409, "CONFLICT")
    assert Campaign.objects.unscoped().get(pk=made).state == "draft"
    assert quoting.work_out(campaign_id=made)
    assert acme.post(f"campaigns/{made}/send", {}, **key).json()["data"]["status"] == "sending"
    again = acme.post(f"campaigns/{made}/send", {}, **key)
    assert (again.status_code, "Retry-After" in again) == (200 if key else 409, False)


def counts_when_woken(monkeypatch) -> None:
    """A worker that is at once at hand, in the middle of a call that waits for it."""
    monkeypatch.setattr("messaging.services.quoting.WHILE_ONE_WAITS", 1)
    monkeypatch.setattr("messaging.api.waiting.time.sleep", lambda _: count_all())


def count_all() -> None:
    for campaign in Campaign.objects.unscoped().filter(state="draft"):
        quoting.work_out(campaign_id=campaign.pk)


def test_a_call_waits_while_many_are_counted_and_sends_them(monkeypatch, acme):
    counts_when_woken(monkeypatch)
    made = acme.post("campaigns", DRAFT).json()["data"]["id"]
    assert acme.get(f"campaigns/{made}/estimate").json()["data"]["recipients"] == 2
    other = acme.post("campaigns", DRAFT).json()["data"]["id"]
    assert acme.post(f"campaigns/{other}/send", {}).json()["data"]["status"] == "sending"


def test_one_call_waits_at_a_time(monkeypatch, acme):
    counts_when_woken(monkeypatch)
    made = acme.post("campaigns", DRAFT).json()["data"]["id"]
    with waiting.seat() as seated:
        assert seated
        assert acme.post(f"campaigns/{made}/send", {})["Retry-After"] == "1"
    assert acme.post(f"campaigns/{made}/send", {}).json()["data"]["status"] == "sending"
