"""Rights of people and the life of data: one person exported and erased everywhere, old data purged, an organisation
closed, and secrets under a new key; no total changes (S4)."""

import csv
import hashlib
import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.test import override_settings

from accounts.models import (
    ApiKey,
    AuditEntry,
    Closure,
    ErasedAddress,
    Export,
    Membership,
    PersonRequest,
    Retention,
    User,
    WebhookDelivery,
    WebhookEndpoint,
)
from accounts.personal_data import PARTS
from accounts.services import closing, exports, privacy, retention
from accounts.services.audit import check_chains
from contacts.models import BinnedContact, Contact, ContactImport, ImportReject, OptOut, OptOutChange
from contacts.services import (
    begin_import,
    configure_import,
    create_contact,
    delete_contacts,
    record_opt_out,
    run_import,
    start_import,
)
from crm.common.errors import InvalidInput
from crm.common.sql import database_now
from crm.opening import open_ready_client
from messaging.models import (
    InboundMessage,
    Message,
    MessageEvent,
    MessageLease,
    MessageStatus,
    ProviderAccount,
    ProviderCallback,
)
from messaging.services.accept import Accepted, Draft, Refused, accept_messages
from messaging.services.tallies import recount
from tests.factories import PASSWORD
from tests.messaging.core.world import make_road
from wallet.models import LedgerEntry, Wallet

ZURI, OTHER = "+254712345678", "+254722000111"


@pytest.fixture
def acme(db):
    make_road()
    return open_ready_client(
        name="Acme", email="amina@acme.test", password=PASSWORD, credit=100, sender_ids=["HOSPITAL"]
    ).client


@pytest.fixture
def stranger(acme):
    return open_ready_client(
        name="Zuri Ltd", email="zuri@else.test", password=PASSWORD, credit=100, sender_ids=["SCHOOL"]
    ).client


@pytest.fixture
def browser(acme):
    browser = Browser()
    browser.force_login(User.objects.get(email="amina@acme.test"))
    return browser


def send(client, *numbers: str, text: str = "Habari Zuri"):
    return accept_messages(client=client, drafts=[Draft(recipient=number, text=text) for number in numbers])


def load(client, text: str) -> ContactImport:
    batch = start_import(client=client, by=None, upload=ContentFile(text.encode(), name="list.csv"))
    configure_import(
        contact_import=batch, encoding="utf-8", delimiter=",", has_header=True, duplicates="fill", group=None
    )
    begin_import(contact_import=batch)
    run_import(import_id=batch.pk)
    batch.refresh_from_db(from_queryset=ContactImport.objects.for_client(client))
    return batch


def over(client, status: str = MessageStatus.DELIVERED) -> None:
    Message.objects.for_client(client).update(status=status, provider_message_id="ATXid_1", sent_at=database_now())


def erase(client, text: str = "0712345678") -> PersonRequest:
    person = privacy.read_address(client, text)
    request = privacy.request_erasure(client=client, person=person, by=None, reason="Asked by letter")
    privacy.run_erasure(request_id=request.pk)
    return PersonRequest.objects.for_client(client).get(pk=request.pk)


def agree(*clients) -> None:
    """Tallies follow the states and times that a test set by hand; then the books must agree."""
    for client in clients:
        recount(client_id=client.pk)
    call_command("reconcile", stdout=io.StringIO())


def sums(client) -> tuple:
    """What must not change: rows, costs and states of messages, the ledger, the balance."""
    messages = Message.objects.for_client(client).order_by("pk")
    return (
        list(messages.values_list("pk", "status", "cost_micros", "units", "country", "created_at")),
        list(LedgerEntry.objects.for_client(client).order_by("pk").values_list("pk", "amount_micros", "reference")),
        Wallet.objects.for_client(client).get().balance_micros,
    )


@pytest.fixture
def everywhere(acme, stranger):
    """Zuri is in every table there is, beside somebody else, and in another client's book."""
    create_contact(client=acme, phone=ZURI, name="Zuri", attributes={"Class": "4B"})
    create_contact(client=acme, phone=OTHER, name="Baraka")
    create_contact(client=stranger, phone=ZURI, name="Zuri")
    send(acme, ZURI, OTHER)
    send(stranger, ZURI)
    over(acme)
    over(stranger)
    message = Message.objects.for_client(acme).get(recipient=ZURI)
    MessageEvent.objects.create(
        client=acme, message=message, kind="report", detail="to 254712345678", at=database_now()
    )
    account, now = ProviderAccount.objects.get(), database_now()
    for body in (b"phoneNumber=%2B254712345678&status=Success", b"phoneNumber=%2B254722000111&status=Success"):
        ProviderCallback.objects.create(
            account=account, kind="reports", body=body, received_at=now, due_at=now, processed_at=now
        )
    InboundMessage.objects.create(
        account=account, client=acme, sender=ZURI, recipient="22384", text="Ndiyo, ni Zuri", provider_message_id="in-1",
        received_at=now,
    )  # fmt: skip
    load(acme, f"Phone,Name\n{ZURI}00000,Zuri wrong\n")  # a rejected row that holds the number
    record_opt_out(client_id=acme.pk, channel="sms", address=ZURI, source="stop", proof="STOP said Zuri")
    create_contact(client=acme, email="zuri@home.test", name="Zuri at home")
    binned = create_contact(client=acme, phone="0733000222", name="Somebody")
    delete_contacts(client=acme, contact_ids=[binned.pk])
    endpoint = WebhookEndpoint.objects.create(client=acme, url="https://1.1.1.1/", events=["*"], secret="s" * 32)
    for number in (ZURI, OTHER):
        WebhookDelivery.objects.create(
            client=acme, endpoint=endpoint, event="message.delivered", event_id="e", created_at=now, state="delivered",
            body=json.dumps({"recipient": number, "text": "Habari"}),
        )  # fmt: skip
    return acme


def everything_stored(client) -> str:
    """Every text of every table of the client, and callbacks."""
    found = [str(list(rows.values_list())) for part in PARTS.values() for rows in part.tables(client.pk).values()]
    for model in (MessageEvent, InboundMessage, ImportReject, WebhookDelivery, BinnedContact, OptOutChange):
        found.append(str(list(model.objects.for_client(client).values_list())))
    found += [bytes(body).decode() for body in ProviderCallback.objects.values_list("body", flat=True)]
    return " ".join(found)


# --- erasure ----------------------------------------------------------------------------------------------------------


def test_S4_an_erased_person_is_nowhere_and_no_total_changes(everywhere, stranger):
    acme, before, theirs = everywhere, sums(everywhere), sums(stranger)
    agree(acme, stranger)
    assert "712345678" in everything_stored(acme)
    request = erase(acme)
    assert (request.state, request.addresses, request.shown) == ("done", None, "…678")
    assert request.done_at is not None
    stored = everything_stored(acme)
    assert "712345678" not in stored
    assert "STOP said Zuri" not in stored
    assert "Ndiyo" not in stored
    assert OTHER in stored
    assert "Habari Zuri" in stored  # the other person's message
    assert sums(acme) == before
    assert (sums(stranger), Contact.objects.for_client(stranger).get().phone) == (theirs, ZURI)
    message = Message.objects.for_client(acme).order_by("pk").first()
    assert (message.text, message.recipient[0], message.provider_message_id) == ("", "#", "")
    call_command("reconcile", stdout=io.StringIO())
    assert list(check_chains()) == []
    assert "712345678" not in str(list(AuditEntry.objects.for_client(acme).values_list()))


def test_S4_nothing_is_sent_to_an_erased_person_and_no_file_brings_them_back(everywhere):
    acme = everywhere
    erase(acme)
    assert not OptOut.objects.for_client(acme).filter(address=ZURI).exists()
    refused, taken = send(acme, ZURI, OTHER)
    assert isinstance(refused, Refused)
    assert isinstance(taken, Accepted)
    batch = load(acme, f"Phone,Name\n{ZURI},Zuri\n0744000333,Neema\n")
    assert (batch.imported, batch.failed) == (1, 1)
    reject = ImportReject.objects.for_client(acme).get(contact_import=batch)
    assert (reject.reason, reject.cells, reject.value) == ("erased", [], "")
    with pytest.raises(InvalidInput, match="was erased because they asked for it"):
        create_contact(client=acme, phone=ZURI, name="Zuri")
    assert not Contact.objects.for_client(acme).filter(phone=ZURI).exists()


def test_an_erased_person_may_return_when_somebody_says_why(everywhere):
    acme = everywhere
    erase(acme)
    person = privacy.read_address(acme, ZURI)
    with pytest.raises(InvalidInput):
        privacy.lift_erasure(client=acme, person=person, reason="")
    assert privacy.lift_erasure(client=acme, person=person, reason="Came back to us")
    assert not privacy.lift_erasure(client=acme, person=person, reason="Came back to us")
    create_contact(client=acme, phone=ZURI, name="Zuri")
    assert isinstance(send(acme, ZURI)[0], Accepted)


def test_the_hash_of_an_erased_address_is_keyed_and_the_clients_own(acme, stranger):
    for client in (acme, stranger):
        erase(client)
    hashes = set(ErasedAddress.objects.unscoped().values_list("hash", flat=True))
    assert len(hashes) == 2
    assert hashlib.sha256(ZURI.encode()).hexdigest() not in hashes


def test_what_has_not_left_is_cancelled_and_paid_back(acme):
    [accepted] = send(acme, ZURI)
    assert Wallet.objects.for_client(acme).get().balance_micros == 99_000_000
    request = erase(acme)
    message = Message.objects.for_client(acme).get(pk=accepted.id)
    assert (request.state, message.status, message.text) == ("done", "cancelled", "")
    assert Wallet.objects.for_client(acme).get().balance_micros == 100_000_000
    call_command("reconcile", stdout=io.StringIO())


def test_an_erasure_waits_for_a_message_on_its_way_and_is_taken_up_again(acme):
    create_contact(client=acme, phone=ZURI, name="Zuri")
    send(acme, ZURI)
    being_written = Message.objects.for_client(acme).get()
    MessageLease.objects.create(message_id=being_written.pk, owner="one", submitting=True, until=database_now())
    request = erase(acme)
    assert request.state == "waiting"
    assert not Contact.objects.for_client(acme).exists()
    assert request.next_at > database_now()
    over(acme)
    rows = PersonRequest.objects.for_client(acme)
    assert not privacy.run_erasure(request_id=request.pk)  # not yet its time
    rows.update(next_at=database_now())
    assert privacy.run_erasure(request_id=request.pk)
    assert rows.get().state == "done"
    assert not Message.objects.for_client(acme).filter(recipient=ZURI).exists()


def test_a_worker_that_died_in_the_middle_is_followed_by_another(everywhere, monkeypatch):
    acme = everywhere
    person = privacy.read_address(acme, ZURI)
    request = privacy.request_erasure(client=acme, person=person, by=None, reason="Asked by letter")
    part = PARTS["contacts"]

    def die(client_id, person):
        part.erase(client_id, person)
        raise RuntimeError("killed")

    monkeypatch.setitem(PARTS, "contacts", replace(part, erase=die))
    with pytest.raises(RuntimeError):
        privacy.run_erasure(request_id=request.pk)
    monkeypatch.setitem(PARTS, "contacts", part)
    rows = PersonRequest.objects.for_client(acme)
    assert rows.get().state == "waiting"
    assert not privacy.run_erasure(request_id=request.pk)  # the lease of the dead one
    rows.update(next_at=database_now())
    assert privacy.run_erasure(request_id=request.pk)
    assert "712345678" not in everything_stored(acme)


def test_files_that_could_hold_the_person_are_deleted(everywhere, browser, django_capture_on_commit_callbacks):
    acme = everywhere
    browser.post("/app/exports/new", {"kind": "contacts", "format": "csv"})
    export = Export.objects.for_client(acme).get()
    assert export.path.is_file()
    upload = start_import(client=acme, by=None, upload=ContentFile(b"Phone\n0712 345 678\n", name="later.csv"))
    path = upload.path
    with django_capture_on_commit_callbacks(execute=True):
        erase(acme)
    assert not export.path.exists()
    assert not path.exists()
    assert not ContactImport.objects.for_client(acme).filter(pk=upload.pk).exists()


# --- one person's data ------------------------------------------------------------------------------------------------


def test_one_persons_data_comes_as_json_and_as_a_table(everywhere, browser):
    acme = everywhere
    assert browser.post("/app/settings/privacy", {"address": "0712 345 678", "do": "export"}).status_code == 302
    export = Export.objects.for_client(acme).get(kind="person")
    assert exports.run_export(export_id=export.pk)
    privacy.sweep_requests()
    request = PersonRequest.objects.for_client(acme).get()
    assert (request.kind, request.state, request.asked_by.email) == ("export", "done", "amina@acme.test")
    answer = browser.get(f"/app/exports/{export.pk}/file")
    archive = zipfile.ZipFile(io.BytesIO(answer.getvalue()))
    facts = json.loads(archive.read("person.json"))
    assert {(each["where"], each["what"]) for each in facts} == {
        ("accounts", "webhook"), ("contacts", "contact"), ("contacts", "opt-out"), ("contacts", "opt-out change"),
        ("contacts", "rejected row"), ("messaging", "message"), ("messaging", "reply"),
    }  # fmt: skip
    contact = next(each for each in facts if each["what"] == "contact")
    assert (contact["name"], contact["attributes"]) == ("Zuri", {"Class": "4B"})
    table = list(csv.reader(io.StringIO(archive.read("person.csv").decode("utf-8-sig"))))
    assert table[0] == ["Where", "What", "Number", "Fact", "Value"]
    assert "Baraka" not in str(table)


def test_T3_data_rights_are_for_owners_and_admins(acme, browser):
    Membership.objects.create(user=User.objects.create_user("b@acme.test", PASSWORD), client=acme, role="sender")
    colleague = Browser()
    colleague.force_login(User.objects.get(email="b@acme.test"))
    for url in ("/app/settings/privacy", "/app/settings/data"):
        assert colleague.get(url).status_code == 403
        assert browser.get(url).status_code == 200
    refused = colleague.post("/app/exports/new", {"kind": "person", "format": "csv", "query": f"phone={ZURI}"})
    assert refused.status_code == 404
    assert browser.post("/app/exports/new", {"kind": "organisation", "format": "csv"}).status_code == 404


def test_the_page_asks_before_it_erases_and_lists_who_asked(everywhere, browser):
    url = "/app/settings/privacy"
    assert browser.post(url, {"address": "12", "do": "erase", "reason": "Letter"}).status_code == 422
    assert browser.post(url, {"address": ZURI, "do": "erase"}).status_code == 422
    asked = browser.post(url, {"address": ZURI, "do": "erase", "reason": "Letter of 3 March"})
    assert "for good?" in asked.content.decode()
    assert not PersonRequest.objects.for_client(everywhere).exists()
    assert browser.post(url, {"address": ZURI, "do": "sure", "reason": "Letter of 3 March"}).status_code == 302
    privacy.run_erasure(request_id=PersonRequest.objects.for_client(everywhere).get().pk)
    page = browser.get(url).content.decode()
    assert "Letter of 3 March" in page
    assert "…678" in page
    assert ZURI not in page


def test_consent_of_one_contact_is_recorded_and_shown(acme, browser):
    contact = create_contact(client=acme, phone=ZURI, name="Zuri")
    url = f"/app/contacts/{contact.pk}"
    answer = browser.post(url, {"consent": "1", "source": "verbal", "statement": "By phone, 3 March"})
    assert answer.status_code == 302
    page = browser.get(url).content.decode()
    assert "By phone, 3 March" in page
    entry = AuditEntry.objects.for_client(acme).first()
    assert (entry.action, entry.before, entry.after) == (
        "privacy.consent_changed", {"source": ""}, {"source": "verbal"},
    )  # fmt: skip
    assert browser.post(url, {"consent": "1", "source": "nonsense"}).status_code == 422


# --- retention --------------------------------------------------------------------------------------------------------


def age(client, days: int) -> None:
    then = database_now() - timedelta(days=days)
    Message.objects.for_client(client).update(created_at=then)
    InboundMessage.objects.for_client(client).update(received_at=then)
    WebhookDelivery.objects.for_client(client).update(created_at=then)
    ProviderCallback.objects.update(received_at=then)
    ContactImport.objects.for_client(client).update(finished_at=then)


def test_S4_texts_and_numbers_go_after_their_days_and_no_total_changes(everywhere, stranger):
    acme = everywhere
    retention.set_retention(client=acme, text_days=7, number_days=30, log_days=30, export_days=90)
    before = sums(acme)
    age(acme, 8)
    assert retention.purge_client(client=acme) > 0
    assert {row.text for row in Message.objects.for_client(acme)} == {""}
    assert {row.recipient for row in Message.objects.for_client(acme)} == {ZURI, OTHER}
    assert retention.purge_client(client=acme) == 0
    age(acme, 31)
    aged = sums(acme)
    agree(acme, stranger)
    retention.purge_client(client=acme)
    retention.purge_installation()
    assert [row.recipient for row in Message.objects.for_client(acme).order_by("pk")] == [
        f"#{row[0]}" for row in before[0]
    ]
    assert sums(acme) == aged
    assert [row[:5] for row in aged[0]] == [row[:5] for row in before[0]]
    assert not WebhookDelivery.objects.for_client(acme).exists()
    assert not ImportReject.objects.for_client(acme).exists()
    assert not ProviderCallback.objects.exists()
    assert Contact.objects.for_client(acme).filter(phone=ZURI).exists()  # the book is not touched
    assert {row.text for row in Message.objects.for_client(stranger)} == {"Habari Zuri"}
    call_command("reconcile", stdout=io.StringIO())


def test_a_dry_run_counts_and_changes_nothing(everywhere):
    acme, out = everywhere, io.StringIO()
    age(acme, 91)
    stored = everything_stored(acme)
    call_command("purge", "--dry-run", stdout=out)
    assert f"client {acme.pk}:" in out.getvalue()
    assert "would change" in out.getvalue()
    assert everything_stored(acme) == stored
    call_command("purge", stdout=out)
    assert "712345678" not in str(list(Message.objects.for_client(acme).values_list()))
    again = io.StringIO()
    call_command("purge", "--dry-run", stdout=again)
    assert "client" not in again.getvalue()


def test_the_purge_waits_for_messages_that_are_not_over(acme):
    send(acme, ZURI, OTHER)
    Message.objects.for_client(acme).filter(recipient=OTHER).update(status=MessageStatus.SENT)
    Message.objects.for_client(acme).filter(recipient=ZURI).update(status=MessageStatus.SCHEDULED)
    age(acme, 100)
    retention.purge_client(client=acme)
    assert [row.text for row in Message.objects.for_client(acme).order_by("pk")] == ["Habari Zuri", ""]
    retention.sweep_retention()
    retention.purge_client(client=acme)
    over(acme)
    retention.purge_client(client=acme)
    assert {row.text for row in Message.objects.for_client(acme)} == {""}


def test_the_sweep_gives_every_client_its_turn_once_an_hour(acme, stranger):
    retention.sweep_retention()
    assert Retention.objects.unscoped().count() == 2
    send(acme, ZURI)
    over(acme)
    age(acme, 91)
    assert retention.purge_due() > 0
    age(acme, 91)
    send(acme, OTHER)
    over(acme)
    age(acme, 91)
    assert retention.purge_due() == 0  # not before an hour has passed
    Retention.objects.unscoped().update(next_at=database_now())
    assert retention.purge_due() > 0


def test_the_page_keeps_days_between_a_week_and_a_year(acme, browser):
    days = {"text_days": 30, "number_days": 60, "log_days": 7, "export_days": 365}
    assert browser.post("/app/settings/data", days | {"text_days": 6}).status_code == 422
    assert browser.post("/app/settings/data", days | {"log_days": 366}).status_code == 422
    assert browser.post("/app/settings/data", days).status_code == 302
    found = retention.retention_of(acme)
    assert {name: getattr(found, name) for name in days} == days
    entry = AuditEntry.objects.for_client(acme).first()
    assert (entry.action, entry.before["text_days"], entry.after["text_days"]) == ("client.retention_changed", 90, 30)


def test_a_message_without_text_and_number_is_shown_in_the_history(acme, browser):
    send(acme, ZURI)
    over(acme)
    age(acme, 91)
    retention.purge_client(client=acme)
    message = Message.objects.for_client(acme).get()
    assert browser.get("/app/messages").status_code == 200
    page = browser.get(f"/app/messages?open={message.pk}").content.decode()
    assert message.message_id in page


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_everything_of_an_organisation_comes_in_one_file_without_secrets(everywhere, browser):
    acme = everywhere
    assert browser.post("/app/settings/data/export").status_code == 302
    export = Export.objects.for_client(acme).get()
    assert exports.run_export(export_id=export.pk)
    archive = zipfile.ZipFile(Export.objects.for_client(acme).get().path)
    assert {"contacts.csv", "messages.csv", "ledger.csv", "audit-log.csv", "opt-outs.csv"} <= set(archive.namelist())
    contacts = list(csv.DictReader(io.StringIO(archive.read("contacts.csv").decode("utf-8-sig"))))
    assert {row["phone"] for row in contacts} == {ZURI[1:], OTHER[1:], ""}
    keys = archive.read("api-keys.csv").decode()
    key = ApiKey.objects.for_client(acme).get()
    assert key.prefix in keys
    assert key.key_hash not in keys
    assert "s" * 32 not in archive.read("webhooks.csv").decode()


def test_closing_wants_the_name_and_an_owner_and_can_be_taken_back(acme, browser):
    url = "/app/settings/data/close"
    assert browser.post(url, {"name": "Acm"}).status_code == 422
    assert browser.post(url, {"name": "Acme"}).status_code == 302
    closure = Closure.objects.for_client(acme).get()
    assert timedelta(days=29) < closure.due_at - database_now() <= timedelta(days=30)
    assert "will be closed" in browser.get("/app/settings/data").content.decode()
    assert closing.close_due() == 0
    assert browser.post("/app/settings/data/keep").status_code == 302
    assert closing.closure_of(acme) is None
    Membership.objects.create(user=User.objects.create_user("b@acme.test", PASSWORD), client=acme, role="admin")
    admin = Browser()
    admin.force_login(User.objects.get(email="b@acme.test"))
    assert admin.post(url, {"name": "Acme"}).status_code == 403


def test_S4_a_closed_organisation_keeps_its_ledger_and_nobodys_data(everywhere, browser, stranger):
    acme, before = everywhere, sums(everywhere)
    agree(acme, stranger)
    browser.post("/app/settings/data/close", {"name": "Acme"})
    Closure.objects.for_client(acme).update(due_at=database_now())
    assert closing.close_due() == 1
    assert closing.close_due() == 0
    acme.refresh_from_db()
    assert (acme.name, acme.contact_email, acme.state) == (f"Closed organisation {acme.pk}", "", "suspended")
    ProviderCallback.objects.all().delete()  # of no client: they go with the strictest client's retention
    stored = everything_stored(acme)
    assert "712345678" not in stored
    assert "Habari" not in stored
    assert not Contact.objects.for_client(acme).exists()
    assert not Membership.objects.filter(client=acme).exists()
    assert not ApiKey.objects.for_client(acme).filter(revoked_at=None).exists()
    assert sums(acme) == before
    assert Contact.objects.for_client(stranger).exists()
    call_command("reconcile", stdout=io.StringIO())
    assert AuditEntry.objects.for_client(acme).first().action == "client.closed"


# --- keys -------------------------------------------------------------------------------------------------------------


def test_S1_secrets_are_encrypted_anew_and_the_old_key_can_go(acme):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    with override_settings(ENCRYPTION_KEYS=[old]):
        rows = WebhookEndpoint.objects.for_client(acme)
        WebhookEndpoint.objects.create(client=acme, url="https://1.1.1.1/", events=["*"], secret="kept secret")
        ProviderAccount.objects.update(credentials={"api_key": "k"})
    with override_settings(ENCRYPTION_KEYS=[new, old]):
        out = io.StringIO()
        call_command("rotatekeys", "--dry-run", stdout=out)
        assert "accounts.WebhookEndpoint.secret: 1 to do" in out.getvalue()
        call_command("rotatekeys", stdout=io.StringIO())
        again = io.StringIO()
        call_command("rotatekeys", stdout=again)
        assert "1 renewed" not in again.getvalue()
    with override_settings(ENCRYPTION_KEYS=[new]):
        assert rows.get().secret == "kept secret"
        assert ProviderAccount.objects.get().credentials == {"api_key": "k"}
    entries = AuditEntry.objects.unscoped().filter(action="secrets.rotated")
    assert [entry.after for entry in entries] == [{"values": 2}]


def test_a_value_that_no_key_opens_is_named_and_the_others_are_renewed(acme):
    old, new, lost = (Fernet.generate_key().decode() for _ in range(3))
    for key in (lost, old):
        with override_settings(ENCRYPTION_KEYS=[key]):
            WebhookEndpoint.objects.create(client=acme, url="https://1.1.1.1/", events=["*"], secret="kept")
    out = io.StringIO()
    with override_settings(ENCRYPTION_KEYS=[new, old]), pytest.raises(CommandError):
        call_command("rotatekeys", stdout=out)
    assert "no key opens accounts.WebhookEndpoint" in out.getvalue()
    with override_settings(ENCRYPTION_KEYS=[new]):
        assert WebhookEndpoint.objects.for_client(acme).order_by("-pk").first().secret == "kept"
