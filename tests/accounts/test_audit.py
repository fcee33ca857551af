"""The audit log: who, what, from where; refused to change; an edited or removed row shows (S3)."""

import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client as Browser
from django.test import override_settings

from accounts.audit_guard import create_statements, drop_statements
from accounts.models import AuditChain, AuditEntry, AuditIsFinal, Membership, Role, User
from accounts.services.audit import check_chains, record_audit
from accounts.services.clients import suspend_client
from accounts.services.keys import revoke_api_key
from accounts.services.webhooks import create_endpoint, rotate_secret
from crm.opening import open_ready_client
from tests.crowd import at_once
from tests.factories import PASSWORD, make_client, make_key
from wallet.services import adjust_balance


def entries(client) -> list[AuditEntry]:
    """Oldest first."""
    return list(AuditEntry.objects.unscoped().filter(client=client).order_by("pk"))


def last(client) -> AuditEntry:
    return entries(client)[-1]


def alter(statement: str, *params) -> None:
    """What somebody with the database's password could do: the triggers taken away, and back."""
    with connection.cursor() as cursor:
        for each in drop_statements(connection.vendor):
            cursor.execute(each)
        cursor.execute(statement, params)
        for each in create_statements(connection.vendor):
            cursor.execute(each)


@pytest.fixture
def acme(db):
    return make_client()


def test_opening_a_client_and_issuing_and_revoking_a_key_are_recorded_without_its_values(acme):
    issued = make_key(acme)
    revoke_api_key(key=issued.key)
    assert [entry.action for entry in entries(acme)] == ["client.opened", "key.created", "key.revoked"]
    assert [entry.sequence for entry in entries(acme)] == [1, 2, 3]
    created = entries(acme)[1]
    assert created.target == f"key:{issued.key.pk}"
    assert created.after["prefix"] == issued.key.prefix
    assert (created.actor_kind, created.actor_name, created.address) == ("system", "system", "")
    everything = str([[entry.before, entry.after, entry.target] for entry in entries(acme)])
    assert not any(value in everything for value in (issued.api_key, issued.api_secret, issued.app_key))


def test_secrets_texts_and_numbers_never_reach_the_log(acme):
    facts = {
        "password": "kikombe",
        "api_token": "x",
        "text": "Habari",
        "phone": "+254712345678",
        "price": Decimal("0.80"),
    }
    record_audit(client=acme, action="trial.made", after=facts | {"at": datetime(2026, 11, 28, 9, tzinfo=UTC)})
    assert last(acme).after == {
        "password": "(not recorded)",
        "api_token": "(not recorded)",
        "text": "(not recorded)",
        "phone": "…678",
        "price": "0.80",
        "at": "2026-11-28T09:00:00+00:00",
    }
    assert list(check_chains()) == []


def test_a_webhooks_secret_is_not_in_the_log(acme):
    with override_settings(WEBHOOK_ALLOW_HTTP=True):
        issued = create_endpoint(client=acme, url="https://1.1.1.1/hook", events=["*"])
    rotated = rotate_secret(endpoint=issued.endpoint)
    assert [entry.action for entry in entries(acme)][1:] == ["webhook.created", "webhook.secret_rotated"]
    everything = str([[entry.before, entry.after] for entry in entries(acme)])
    assert issued.secret not in everything
    assert rotated.secret not in everything


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.save(),
        lambda entry: entry.delete(),
        lambda entry: AuditEntry.objects.unscoped().update(action="x"),
        lambda entry: AuditEntry.objects.unscoped().delete(),
    ],
)
def test_the_model_refuses_to_change_or_delete_an_entry(acme, change):
    with pytest.raises(AuditIsFinal):
        change(last(acme))
    assert last(acme).action == "client.opened"


@pytest.mark.parametrize(
    "statement", ["UPDATE accounts_auditentry SET action = 'x'", "DELETE FROM accounts_auditentry"]
)
def test_the_database_refuses_to_change_or_delete_an_entry(acme, statement):
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        connection.cursor().execute(statement)
    assert last(acme).action == "client.opened"


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "UPDATE accounts_auditentry SET action = 'x' WHERE client_id = %s AND sequence = 2",
            "2 is not as it was written",
        ),
        (
            "UPDATE accounts_auditentry SET address = '10.0.0.1' WHERE client_id = %s AND sequence = 2",
            "2 is not as it was",
        ),
        ("DELETE FROM accounts_auditentry WHERE client_id = %s AND sequence = 2", "2 to 2 are missing"),
        ("DELETE FROM accounts_auditentry WHERE client_id = %s AND sequence = 3", "3 to 3 are missing"),
        ("UPDATE accounts_auditentry SET hash = 'x' WHERE client_id = %s AND sequence = 3", "3 is not as it was"),
    ],
)
def test_a_row_changed_or_removed_behind_our_back_shows(acme, statement, sentence):
    make_key(acme)
    make_key(acme)
    stranger = make_client("Zuri Ltd", "zuri@else.test")
    assert list(check_chains()) == []
    alter(statement, acme.pk)
    found = list(check_chains())
    assert sentence in found[0].text
    assert {each.client_id for each in found} == {acme.pk}
    assert stranger.pk != acme.pk
    with pytest.raises(CommandError):
        call_command("auditcheck", stdout=io.StringIO())
    with pytest.raises(CommandError):
        call_command("reconcile", stdout=io.StringIO())


def test_a_log_written_anew_shows_against_ends_that_were_noted_before(acme, tmp_path):
    make_key(acme)
    out = io.StringIO()
    call_command("auditcheck", "--ends", stdout=out)
    noted = tmp_path / "ends"
    noted.write_text(out.getvalue())
    call_command("auditcheck", "--expect", str(noted), stdout=io.StringIO())
    alter("DELETE FROM accounts_auditentry WHERE client_id = %s", acme.pk)
    AuditChain.objects.unscoped().filter(pk=acme.pk).update(sequence=0, hash="")
    for _ in range(2):
        record_audit(client=acme, action="trial.made")
    assert list(check_chains()) == []
    with pytest.raises(CommandError):
        call_command("auditcheck", "--expect", str(noted), stdout=io.StringIO())


def test_what_is_rolled_back_was_not_done(acme):
    with transaction.atomic():
        make_key(acme)
        transaction.set_rollback(True)
    make_key(acme)
    assert [entry.sequence for entry in entries(acme)] == [1, 2]
    assert list(check_chains()) == []


@pytest.mark.django_db(transaction=True)
def test_parallel_writers_make_one_unbroken_chain():
    acme = make_client()

    def write(number: int) -> None:
        for _ in range(5):
            record_audit(client=acme, action="trial.made", target=f"writer:{number}")

    assert at_once(8, write) == [None] * 8
    assert [entry.sequence for entry in entries(acme)] == list(range(1, 42))
    assert list(check_chains()) == []


@pytest.mark.django_db(transaction=True)
def test_the_first_entries_of_a_chain_may_come_at_once():
    assert at_once(6, lambda number: record_audit(client=None, action="trial.made").sequence) != []
    found = AuditEntry.objects.unscoped().filter(client=None).order_by("pk")
    assert [entry.sequence for entry in found] == [1, 2, 3, 4, 5, 6]
    assert list(check_chains()) == []


def test_signing_in_and_out_is_recorded_with_the_address(acme):
    browser = Browser(REMOTE_ADDR="203.0.113.9")
    browser.post("/login", {"login": "amina@acme.test", "password": "wrong"})
    browser.post("/login", {"login": "amina@acme.test", "password": PASSWORD})
    browser.post("/logout")
    amina = User.objects.get(email="amina@acme.test")
    found = entries(acme)[1:]
    assert [entry.action for entry in found] == ["person.sign_in_refused", "person.signed_in", "person.signed_out"]
    assert {(entry.actor_kind, entry.actor_id, entry.actor_name) for entry in found} == {
        ("user", amina.pk, "amina@acme.test")
    }
    assert {entry.address for entry in found} == {"203.0.113.9"}
    assert len({entry.request_id for entry in found}) == 3


@pytest.mark.parametrize(("proxies", "address"), [(0, "10.1.1.1"), (1, "203.0.113.9")])
def test_the_address_comes_through_trusted_proxies_only(acme, proxies, address):
    with override_settings(TRUSTED_PROXY_COUNT=proxies, ALLAUTH_TRUSTED_PROXY_COUNT=proxies):
        browser = Browser(REMOTE_ADDR="10.1.1.1", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
        browser.post("/login", {"login": "amina@acme.test", "password": PASSWORD})
    assert (last(acme).action, last(acme).address) == ("person.signed_in", address)


def test_a_program_is_named_by_its_key(acme):
    issued = make_key(acme)
    answer = Browser(REMOTE_ADDR="203.0.113.9").post(
        f"/api/{acme.pk}/webhooks",
        {"url": "https://1.1.1.1/hook", "events": ["*"]},
        content_type="application/json",
        headers={"X-API-KEY": issued.api_key},
    )
    assert answer.status_code == 200, answer.content
    found = last(acme)
    assert (found.action, found.actor_kind, found.actor_id) == ("webhook.created", "key", issued.key.pk)
    assert found.actor_name == f"Shop ({issued.key.prefix}…)"
    assert found.address == "203.0.113.9"


def test_an_adjustment_of_money_is_recorded_with_the_balance_before_and_after(db):
    acme = open_ready_client(name="Acme", email="amina@acme.test", password=PASSWORD, credit=100).client
    staff = User.objects.create_user("staff@tarishi.test", PASSWORD, is_staff=True)
    adjust_balance(client=acme, amount=Decimal("-10.50"), reason="Typed wrong", by=staff, reference="adjustment:1")
    found = last(acme)
    assert found.action == "wallet.adjusted"
    assert Decimal(found.before["balance"]) == 100
    assert Decimal(found.after["balance"]) == Decimal("89.50")
    assert found.after["reason"] == "Typed wrong"


def test_suspending_is_recorded(acme):
    suspend_client(client=acme, reason="Spam")
    assert (last(acme).action, last(acme).after) == ("client.suspended", {"reason": "Spam"})


def test_changes_in_the_back_office_are_recorded_in_the_clients_log(acme):
    boss = User.objects.create_superuser("boss@tarishi.test", PASSWORD)
    browser = Browser()
    browser.force_login(boss)
    member = Membership.objects.get(client=acme)
    url = f"/staff/accounts/membership/{member.pk}/change/"
    assert browser.post(url, {"user": member.user_id, "client": acme.pk, "role": Role.VIEWER}).status_code == 302
    found = last(acme)
    assert (found.action, found.target) == ("staff.changed", f"accounts.membership:{member.pk}")
    assert found.after == {"fields": ["Role"]}
    assert found.actor_name == "boss@tarishi.test"
    assert browser.get("/staff/accounts/auditentry/").status_code == 200
    assert browser.get(f"/staff/accounts/auditentry/{found.pk}/change/").status_code == 200
    assert browser.post(f"/staff/accounts/auditentry/{found.pk}/delete/", {"post": "yes"}).status_code == 403
