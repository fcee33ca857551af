"""Owners are told once of what fails; old deliveries are forgotten; the sweep finds what a lost wake-up left (D3)."""

import pytest
from django.core import mail

from accounts.delivery import upkeep
from accounts.delivery.letters import send_waiting
from accounts.delivery.recording import FAILING_REASON
from accounts.models import Membership, Role, User
from accounts.services.events import record_events
from accounts.services.webhooks import pause_endpoint
from accounts.tasks import sweep
from crm.common.sql import later_sql
from tests.accounts.webhooks.conftest import deliveries, fresh, make_due, make_endpoint, run_sql

pytestmark = pytest.mark.django_db
URL = "https://example.com/h"


def failing_for(seconds):
    run_sql(f"UPDATE accounts_webhookendpoint SET failing_since = {later_sql(-seconds)}")


def test_W3_owner_and_developer_are_told_once_that_it_fails_for_a_day(acme):
    endpoint = make_endpoint(acme, URL).endpoint
    developer = User.objects.create_user("dev@acme.test", "x")
    Membership.objects.create(user=developer, client=acme, role=Role.DEVELOPER)
    Membership.objects.create(user=User.objects.create_user("see@acme.test", "x"), client=acme, role=Role.VIEWER)
    failing_for(23 * 3600)
    assert upkeep.tell_owners() == 0
    failing_for(25 * 3600)
    assert upkeep.tell_owners() == 1
    assert upkeep.tell_owners() == 0
    send_waiting()
    assert [letter.to for letter in mail.outbox] == [["amina@acme.test"], ["dev@acme.test"]]
    letter = mail.outbox[1]
    assert letter.subject == "A webhook of Acme has been failing for a day"
    assert URL in letter.body
    assert f"/app/settings/api-webhooks/webhooks/{endpoint.pk}" in letter.body
    assert endpoint.secret not in letter.body


def test_W3_they_are_told_once_when_we_pause_it_and_never_when_they_did(acme):
    ours, theirs = make_endpoint(acme, URL).endpoint, make_endpoint(acme, URL).endpoint
    pause_endpoint(endpoint=theirs)
    run_sql(
        "UPDATE accounts_webhookendpoint SET active = %s, disabled_reason = %s WHERE id = %s",
        (False, FAILING_REASON, ours.pk),
    )
    assert upkeep.tell_owners() == 1
    assert upkeep.tell_owners() == 0
    send_waiting()
    assert FAILING_REASON in mail.outbox[0].body
    assert mail.outbox[0].subject == "A webhook of Acme was paused"


def test_old_deliveries_are_forgotten_with_their_attempts(acme):
    endpoint = make_endpoint(acme, URL).endpoint
    record_events(acme.pk, [("topup.failed", {"transaction_id": "T"})] * 3)
    assert upkeep.forget_old_deliveries() == 0
    old, *kept = deliveries(endpoint)
    run_sql(f"UPDATE accounts_webhookdelivery SET created_at = {later_sql(-31 * 86400)} WHERE id = %s", (old.pk,))
    run_sql(
        "INSERT INTO accounts_webhookattempt (delivery_id, client_id, number, url, problem, answer, milliseconds, at) "
        f"VALUES (%s, %s, 1, 'x', '', '', 1, {later_sql(0)})",
        (old.pk, acme.pk),
    )
    assert upkeep.forget_old_deliveries() == 1
    assert [row.pk for row in deliveries(endpoint)] == [row.pk for row in kept]


def test_D3_the_sweep_wakes_the_deliverer_for_what_is_due_alone(acme, woken, django_capture_on_commit_callbacks):
    endpoint = make_endpoint(acme, URL).endpoint
    with django_capture_on_commit_callbacks(execute=True):
        sweep()
    assert "accounts.deliver_webhooks" not in woken
    record_events(acme.pk, [("topup.failed", {"transaction_id": "T"})])
    make_due()
    with django_capture_on_commit_callbacks(execute=True):
        sweep()
    assert "accounts.deliver_webhooks" in woken
    assert fresh(endpoint).active
