"""The back office beyond lists: one queue of approvals, a client's page, and looking as a client without touching."""

import re
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils.timezone import now

from accounts.models import AuditEntry, Client, StaffNote, User
from contacts.models import Contact, ContactImport
from crm.common.networks import likely_network
from crm.office.view_as import NothingIsWritten, _refuse_writes
from messaging.models import Campaign, CountryRules, GoLiveRequest, SenderId, SendingRules
from messaging.services import going_live
from messaging.services import sender_requests as requests
from messaging.services.network_ranges import load_network_ranges
from messaging.services.rules import set_approval_policy
from messaging.services.trial import start_trial
from tests.factories import PASSWORD
from tests.web.conftest import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Browser:
    User.objects.create_superuser("staff@tarishi.test", PASSWORD)
    return sign_in("staff@tarishi.test")


@pytest.fixture
def clerk() -> Browser:
    User.objects.create_user("clerk@tarishi.test", PASSWORD, is_staff=True)
    return sign_in("clerk@tarishi.test")


@pytest.fixture
def sender(acme) -> SenderId:
    CountryRules.objects.update_or_create(country="KE", valid_from=date(2020, 1, 1), defaults={"documents": []})
    made = requests.save_request(
        client=acme, by=None, name="SunSchool", message_class="information", networks=["Airtel", "Telkom"]
    )
    return requests.submit_request(client=acme, by=None, sender_id=made.pk, samples="Fees are due on Friday. School.")


def test_the_queue_holds_every_kind_the_oldest_first(staff, acme, sender):
    start_trial(client=acme)
    acme.address, acme.tax_id = "Box 1, Nairobi", "P051"
    acme.save()
    going_live.ask_to_go_live(client=acme, by=None, purpose="Fee reminders to the parents of our school")
    page = staff.get("/staff/approvals/").content.decode()
    assert "2 wait" in page
    assert page.index("SunSchool") < page.index("Fee reminders")


def test_approving_leads_to_the_next_and_giving_back_wants_a_reason(staff, acme, sender):
    where = f"/staff/approvals/sender/{sender.pk}/"
    page = staff.get(where).content.decode()
    assert "Fees are due on Friday" in page
    refused = staff.post(where, {"do": "back", "networks": ["Airtel"]})
    assert refused.status_code == 422
    assert "Say why: the client reads it." in refused.content.decode()
    staff.post(where, {"do": "pass", "networks": ["Airtel"]})
    assert dict(requests.networks_asked(sender).values_list("network", "state")) == {
        "Airtel": "network",
        "Telkom": "checking",
    }
    staff.post(where, {"do": "approve", "networks": ["Airtel"]})
    answer = staff.post(where, {"do": "back", "usual": "A document cannot be read.", "networks": ["Telkom"]})
    assert answer["Location"] == "/staff/approvals/"
    sender.refresh_from_db()
    assert sender.state == "approved"
    assert (
        dict(requests.networks_asked(sender).values_list("network", "reason"))["Telkom"] == "A document cannot be read."
    )
    actor = AuditEntry.objects.unscoped().get(client=acme, action="sender.approved", target="sender:SunSchool")
    assert actor.actor_name == "staff@tarishi.test"
    assert staff.get(where)["Location"] == "/staff/approvals/"  # decided: nothing to see any more


def test_going_live_ends_the_trial(staff, acme):
    start_trial(client=acme)
    acme.address, acme.tax_id = "Box 1, Nairobi", "P051"
    acme.save()
    browser = sign_in("amina@acme.test")
    assert "of 4 done" in browser.get("/app/go-live").content.decode()
    short = browser.post("/app/go-live", {"purpose": "SMS"})
    assert short.status_code == 422
    assert "\nSMS</textarea>" in short.content.decode()
    browser.post("/app/go-live", {"purpose": "Fee reminders to the parents of our school"})
    where = f"/staff/approvals/live/{acme.pk}/"
    staff.post(where, {"do": "back", "reason": "Tell us how many parents."})
    assert "Tell us how many parents." in browser.get("/app/go-live").content.decode()
    browser.post("/app/go-live", {"purpose": "Fee reminders to 600 parents of our school"})
    staff.post(where, {"do": "approve"})
    assert not SendingRules.objects.for_client(acme).get().trial
    assert GoLiveRequest.objects.for_client(acme).get().state == "approved"
    assert "Your account is open" in browser.get("/app/go-live").content.decode()


def test_a_held_import_and_a_campaign_are_decided_there_too(staff, acme, draft):
    from messaging.services.campaigns import confirm_campaign

    batch = ContactImport.objects.create(
        client=acme,
        filename="list.csv",
        stored_as="x",
        size=1,
        state="held",
        hold_reason="300 in a row",
        rows_total=9,
        has_header=True,
    )
    set_approval_policy(client=acme, above_people=1, above_micros=None)
    confirm_campaign(client=acme, campaign_id=draft.pk, by=None, expected_recipients=None, expected_cost_micros=None)
    assert "300 in a row" in staff.get(f"/staff/approvals/import/{batch.pk}/").content.decode()
    page = staff.get(f"/staff/approvals/campaign/{draft.pk}/").content.decode()
    assert "Karibu" in page
    assert f'href="/staff/approvals/import/{batch.pk}/" data-previous' in page
    assert "data-next" not in page
    page = staff.get(f"/staff/approvals/import/{batch.pk}/").content.decode()
    assert f'href="/staff/approvals/campaign/{draft.pk}/" data-next' in page
    assert "data-previous" not in page
    staff.post(f"/staff/approvals/import/{batch.pk}/", {"do": "back", "reason": "Where do these come from?"})
    batch.refresh_from_db()
    assert batch.error.endswith("Where do these come from?")
    staff.post(f"/staff/approvals/campaign/{draft.pk}/", {"do": "back", "reason": "Say who writes."})
    assert Campaign.objects.for_client(acme).get().returned_note == "Say who writes."


@pytest.mark.parametrize(
    "path", ["/staff/approvals/", "/staff/rules/", "/staff/clients/1/view-as/", "/staff/approvals/sender/1/"]
)
def test_members_and_visitors_are_sent_away(acme, path):
    for who in (Browser(), sign_in("amina@acme.test")):
        assert who.get(path)["Location"].startswith("/staff/login/")


def test_staff_without_the_permission_decide_nothing(clerk, acme, sender):
    assert clerk.get(f"/staff/approvals/sender/{sender.pk}/").status_code == 403
    assert "Nothing waits" in clerk.get("/staff/approvals/").content.decode()
    assert clerk.get("/staff/rules/").status_code == 403
    assert clerk.get(f"/staff/clients/{acme.pk}/view-as/").status_code == 403
    assert clerk.post(f"/staff/clients/{acme.pk}/go-live/").status_code == 403


# --- a client's page --------------------------------------------------------------------------------------------------


def change(acme, **fields):
    return {"name": acme.name, "contact_email": acme.contact_email, "rate_limit": "", "suspended_reason": ""} | fields


def test_a_clients_page_shows_its_figures_and_keeps_notes(staff, acme):
    listed = staff.get("/staff/accounts/client/").content.decode()
    assert "1,049.00" in listed
    # dates as the dashboard writes them, never "Nov. 28, 2026, 1:12 p.m."
    assert re.search(
        r"\b\d{1,2} [A-Z][a-z]{2} 20\d\d, \d\d:\d\d\b", staff.get("/staff/accounts/membership/").content.decode()
    )
    where = f"/staff/accounts/client/{acme.pk}/change/"
    staff.post(where, change(acme, note="Called Amina about the invoice."))
    page = staff.get(where).content.decode()
    assert "Called Amina about the invoice." in page
    assert StaffNote.objects.for_client(acme).get().by.email == "staff@tarishi.test"
    assert "invoice" not in sign_in("amina@acme.test").get("/app/settings/organisation").content.decode()


def test_changes_and_suspension_are_in_the_clients_log_once(staff, acme):
    where = f"/staff/accounts/client/{acme.pk}/change/"
    staff.post(where, change(acme, name="Acme Schools"))
    staff.post(where, change(acme, name="Acme Schools", suspend="on", suspended_reason="Unpaid"))
    staff.post(where, change(acme, name="Acme Schools", suspend="on", suspended_reason="Unpaid", note="again"))
    actions = AuditEntry.objects.unscoped().filter(client=acme).values_list("action", flat=True)
    assert [action for action in actions.order_by("pk") if action in ("client.changed", "client.suspended")] == [
        "client.changed",
        "client.suspended",
    ]


def test_the_list_of_clients_costs_the_same_for_many(staff, acme, stranger, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        staff.get("/staff/accounts/client/")


# --- looking as a client ----------------------------------------------------------------------------------------------


@pytest.fixture
def looking(staff, acme) -> Browser:
    answer = staff.post(f"/staff/clients/{acme.pk}/view-as/", {"reason": "They see no balance"})
    assert answer["Location"] == "/app"
    return staff


def test_looking_needs_a_reason_and_is_recorded_for_the_client(staff, acme):
    assert staff.post(f"/staff/clients/{acme.pk}/view-as/", {"reason": ""}).status_code == 422
    staff.post(f"/staff/clients/{acme.pk}/view-as/", {"reason": "They see no balance"})
    entry = AuditEntry.objects.unscoped().get(client=acme, action="client.viewed")
    assert (entry.actor_name, entry.after) == ("staff@tarishi.test", {"reason": "They see no balance"})
    page = staff.get("/app").content.decode()
    assert "You look as Acme: reading only, and recorded." in page
    staff.post("/staff/view-as/stop/")
    assert staff.get("/app")["Location"] == "/no-organisation"
    assert AuditEntry.objects.unscoped().filter(client=acme, action="client.view_ended").count() == 1


PAGES = [
    "/app", "/app/campaigns", "/app/contacts", "/app/contacts/groups", "/app/messages", "/app/wallet",
    "/app/settings/organisation", "/app/settings/team", "/app/settings/senders", "/app/settings/notifications",
    "/app/settings/simulation", "/app/exports", "/app/scheduled", "/app/templates", "/app/go-live",
]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_page_a_viewer_sees_opens_without_writing(looking, path):
    answer = looking.get(path)
    assert answer.status_code == 200
    assert "You look as Acme" in answer.content.decode()


@pytest.mark.parametrize(
    "path",
    ["/app/contacts/new", "/app/settings/notifications", "/app/settings/organisation", "/app/settings/senders/new",
     "/app/send", "/app/views", "/app/export", "/app/settings/simulation"],
)  # fmt: skip
def test_nothing_can_be_written_while_looking(looking, acme, path):
    before = Contact.objects.for_client(acme).count()
    answer = looking.post(path, {"name": "Juma", "phone": "0712000001", "on": "1"})
    assert answer.status_code == 403
    assert "nothing can be changed" in answer.content.decode()
    acme.refresh_from_db()
    assert (Contact.objects.for_client(acme).count(), acme.simulation) == (before, False)


@pytest.mark.django_db(transaction=True)
def test_a_page_that_wrote_would_be_stopped_at_the_database(acme):
    with connection.execute_wrapper(_refuse_writes):
        assert Client.objects.filter(pk=acme.pk).exists()
        for write in (
            lambda: Client.objects.filter(pk=acme.pk).update(name="x"),
            lambda: Contact.objects.create(client=acme, phone="+254712000001"),
            lambda: Contact.objects.for_client(acme).update(name="x"),
        ):
            with pytest.raises(NothingIsWritten):
                write()
    acme.refresh_from_db()
    assert acme.name == "Acme"


def test_looking_ends_by_itself_and_with_the_permission(looking, acme, monkeypatch):
    User.objects.filter(email="staff@tarishi.test").update(is_superuser=False)
    assert looking.get("/app")["Location"] == "/no-organisation"
    User.objects.filter(email="staff@tarishi.test").update(is_superuser=True)
    looking.post(f"/staff/clients/{acme.pk}/view-as/", {"reason": "Once more, please"})
    import time

    later = time.time() + 31 * 60
    monkeypatch.setattr("crm.office.view_as.time.time", lambda: later)
    assert "You look as" not in looking.get("/app", follow=True).content.decode()


def test_a_member_cannot_look_as_another_client_by_a_forged_session(acme, stranger):
    zuri = sign_in("zuri@else.test")
    session = zuri.session
    session["view_as"] = {"client": acme.pk, "until": 9e12}
    session.save()
    page = zuri.get("/app").content.decode()
    assert "Zuri Ltd" in page
    assert "Acme" not in page


# --- country rules ----------------------------------------------------------------------------------------------------


def test_country_rules_of_today_and_of_later_days_are_on_one_page(staff):
    CountryRules.objects.create(country="KE", valid_from=date(2099, 1, 1), opt_out_text="STOP 1")
    CountryRules.objects.create(country="TZ", valid_from=date(2025, 1, 1), opt_out_text="ONDOA 15")
    page = staff.get("/staff/rules/").content.decode()
    assert "ONDOA 15" in page
    assert "KE from 2099-01-01" in page
    assert "Safaricom: 700-729" in page
    added = staff.post(
        "/staff/messaging/countryrules/add/",
        {"country": "ug", "valid_from": "2026-01-01", "opt_out_text": "STOP {x}", "documents": ["tax"]},
    )
    assert "Merge fields belong into the text." in added.content.decode()
    staff.post(
        "/staff/messaging/countryrules/add/",
        {"country": "ug", "valid_from": "2026-01-01", "opt_out_text": "STOP", "documents": ["tax"]},
    )
    assert CountryRules.of("UG").documents == ["tax"]


def test_prefixes_of_networks_hold_from_their_day_on(staff):
    today, tomorrow = now().date(), now().date() + timedelta(days=1)
    rule = {"country": "ke", "valid_from": today.isoformat(), "separate_classes": "on"}
    page = staff.post("/staff/messaging/countryrules/add/", rule | {"network_ranges": "Faiba 747"})
    assert "Cannot read “Faiba 747”" in page.content.decode()
    staff.post("/staff/messaging/countryrules/add/", rule | {"network_ranges": "Faiba: 747\nSafaricom: 700-729"})
    later = rule | {"valid_from": tomorrow.isoformat(), "network_ranges": "Jamii: 747"}
    staff.post("/staff/messaging/countryrules/add/", later)
    try:
        assert "Faiba: 747-747<br>Safaricom: 700-729" in staff.get("/staff/rules/").content.decode()
        assert (likely_network("+254747123456"), likely_network("+254733123456")) == ("Faiba", "")
        CountryRules.objects.filter(valid_from=today).update(valid_from=today - timedelta(days=1))
        CountryRules.objects.filter(valid_from=tomorrow).update(valid_from=today)
        load_network_ranges()
        assert likely_network("+254747123456") == "Jamii"
    finally:
        CountryRules.objects.all().delete()
        load_network_ranges()
    assert likely_network("+254733123456") == "Airtel"
