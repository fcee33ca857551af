"""Delivery reports in every order: one final state, one refund at most, a whole timeline (D2, D5, M6)."""

from itertools import permutations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts.models import OptOut
from messaging.models import EventKind, MessageEvent, ProviderCallback
from messaging.providers.base import UnreadableCallback
from messaging.sending.recording import record_outcomes
from messaging.sending.sweep import sweep
from messaging.services import reports
from messaging.services.reports import process_callbacks, store_callback
from tests.crowd import at_once
from tests.messaging.core.world import (
    FORM,
    ONE,
    accept,
    balance,
    make_due,
    make_road,
    make_sender,
    message,
    movements,
    number,
    outcome,
    report,
    run_sql,
    send_one,
    submit,
    timeline,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books")]

FINAL = {"Success": "delivered", "Failed": "failed", "Expired": "failed"}


def unconfirmed(client, account, *, first=0):
    """A message whose answer was lost."""
    (pk,) = accept(client, first=first)
    assert submit(account) == [pk]
    record_outcomes([outcome(pk, "ambiguous")])
    assert message(pk).unconfirmed
    return pk


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("words", list(permutations(["Buffered", "Success", "Failed", "Failed"]))[::2])
def test_D2_the_first_final_report_decides_and_the_others_join_the_timeline(acme, road, words, one_by_one):
    pk = send_one(acme, road)
    for word in words:
        report(road, "AT1", word, number(0), reason="UserIsInactive" if word == "Failed" else "")
        if one_by_one:
            assert process_callbacks() == 1
    process_callbacks()
    first = FINAL[next(word for word in words if word in FINAL)]
    now = message(pk)
    assert now.status == first
    assert movements(acme, "refund") == (first == "failed")
    assert balance(acme) == (1000 if first == "failed" else 999) * ONE
    assert timeline(pk)[:2] == ["queued", "sent"]
    assert sorted(timeline(pk)[2:]) == sorted(["report"] * 3 + [first])
    assert now.error_code == ("inactive" if first == "failed" else "")
    assert (now.delivered_at is None, now.failed_at is None) == (first == "failed", first != "failed")
    assert ProviderCallback.objects.filter(processed_at=None).count() == 0


def test_a_report_that_overtakes_the_answer_waits_for_it(acme, road):
    (pk,) = accept(acme)
    submit(road)
    report(road, "AT1", "Success", number(0))
    process_callbacks()
    assert message(pk).status == "queued"
    record_outcomes([outcome(pk, "accepted", "AT1")])
    make_due()
    process_callbacks()
    assert (message(pk).status, timeline(pk)) == ("delivered", ["queued", "sent", "delivered"])


def test_early_contradicting_reports_are_applied_as_they_came(acme, road):
    (pk,) = accept(acme)
    submit(road)
    for word in ("Failed", "Success"):
        report(road, "AT1", word, number(0))
        process_callbacks()
    record_outcomes([outcome(pk, "accepted", "AT1")])
    make_due()
    process_callbacks()
    assert message(pk).status == "failed"
    assert balance(acme) == 1000 * ONE


def test_a_forged_or_foreign_report_changes_nothing_and_is_given_up_after_three_days(acme, road):
    other = make_road(name="Other", preference=20)
    pk = send_one(acme, road)
    report(other, "AT1", "Failed", number(0))  # the right id by the wrong account
    report(road, "AT2", "Failed", number(0))
    for _ in range(3):
        make_due()
        process_callbacks()
    assert (message(pk).status, balance(acme)) == ("sent", 999 * ONE)
    run_sql("UPDATE messaging_providercallback SET received_at = '2026-01-01 00:00:00+00:00'")
    make_due()
    assert process_callbacks() == 2
    assert set(ProviderCallback.objects.values_list("note", flat=True)) == {"no message of ours has this id"}
    make_due()
    assert process_callbacks() == 0
    assert message(pk).status == "sent"


def test_D2_sent_is_final_after_72_hours(acme, road):
    pk = send_one(acme, road)
    run_sql("UPDATE messaging_message SET sent_at = '2026-01-01 00:00:00+00:00'")
    report(road, "AT1", "Failed", number(0))
    process_callbacks()
    assert (message(pk).status, balance(acme)) == ("sent", 999 * ONE)
    assert timeline(pk) == ["queued", "sent", "report"]


@pytest.mark.parametrize(("word", "status"), [("Success", "delivered"), ("Failed", "failed"), ("Submitted", "sent")])
def test_D5_a_report_settles_an_unconfirmed_message_by_its_number(acme, road, word, status):
    pk = unconfirmed(acme, road)
    report(road, "AT9", word, number(0), age=6)
    process_callbacks()
    now = message(pk)
    assert (now.status, now.unconfirmed, now.provider_message_id) == (status, False, "AT9")
    assert balance(acme) == (1000 if status == "failed" else 999) * ONE
    report(road, "AT9", "Success", number(0))
    process_callbacks()
    assert message(pk).status == ("delivered" if status == "sent" else status)


class TestDoubt:
    """A report without a known id is given to nobody where two could be meant."""

    def settle(self, account, provider_id="AT9", *, to=0, age=6):
        report(account, provider_id, "Failed", number(to), age=age)
        make_due()
        process_callbacks()

    def test_two_unconfirmed_messages_to_one_number(self, acme, road):
        both = [unconfirmed(acme, road), unconfirmed(acme, road)]
        self.settle(road)
        assert [message(pk).status for pk in both] == ["sent", "sent"]

    def test_unconfirmed_messages_of_two_clients_to_one_number(self, acme, zuri, road):
        both = [unconfirmed(acme, road), unconfirmed(zuri, road)]
        self.settle(road)
        assert [message(pk).status for pk in both] == ["sent", "sent"]
        assert (balance(acme), balance(zuri)) == (999 * ONE, 999 * ONE)

    def test_the_same_number_by_another_account(self, acme, road):
        other = make_road(name="Other", preference=20)
        pk = unconfirmed(acme, road)
        self.settle(other)
        assert message(pk).status == "sent"

    def test_another_message_to_it_is_in_flight(self, acme, zuri, road):
        pk = unconfirmed(acme, road)
        (flying,) = accept(zuri)
        submit(road)
        self.settle(road)
        assert message(pk).status == "sent"
        record_outcomes([outcome(flying, "accepted", "AT9")])
        self.settle(road)
        assert (message(pk).status, message(flying).status) == ("sent", "failed")

    def test_the_answer_may_still_be_on_its_way(self, acme, road):
        pk = unconfirmed(acme, road)
        self.settle(road, age=1)
        assert message(pk).status == "sent"

    def test_two_unknown_ids_for_one_number(self, acme, road):
        pk = unconfirmed(acme, road)
        report(road, "AT8", "Success", number(0), age=6)
        self.settle(road)
        assert (message(pk).status, message(pk).unconfirmed) == ("sent", True)

    def test_the_id_belongs_to_a_message_with_another_fate(self, acme, road):
        done = send_one(acme, road, "AT9")
        pk = unconfirmed(acme, road)
        self.settle(road)
        assert (message(done).status, message(pk).status) == ("failed", "sent")

    def test_an_answer_recorded_between_two_reads_keeps_its_report(self, acme, zuri, road, monkeypatch):
        """PostgreSQL shows each statement what was committed before it, so the order of reading matters."""
        pk = unconfirmed(acme, road)
        (flying,) = accept(zuri)
        submit(road)
        real = reports._match_unconfirmed

        def answer_arrives_first(lost):
            record_outcomes([outcome(flying, "accepted", "AT9")])
            return real(lost)

        monkeypatch.setattr(reports, "_match_unconfirmed", answer_arrives_first)
        self.settle(road)
        assert (message(pk).status, message(flying).status) == ("sent", "failed")


class TestLateAnswer:
    """The answer to a message that was given up as unknown comes after all."""

    def test_accepted(self, acme, road):
        pk = unconfirmed(acme, road)
        record_outcomes([outcome(pk, "accepted", "AT1")])
        now = message(pk)
        assert (now.status, now.unconfirmed, now.provider_message_id, now.error_code) == ("sent", False, "AT1", "")

    def test_refused(self, acme, road):
        pk = unconfirmed(acme, road)
        record_outcomes([outcome(pk, "rejected", code="blocked")])
        assert (message(pk).status, balance(acme)) == ("failed", 1000 * ONE)
        record_outcomes([outcome(pk, "rejected", code="blocked")])
        assert movements(acme, "refund") == 1

    def test_not_taken_after_all_is_never_sent_again(self, acme, road):
        pk = unconfirmed(acme, road)
        record_outcomes([outcome(pk, "retry", code="provider_busy")])
        record_outcomes([outcome(pk, "ambiguous")])
        assert (message(pk).status, message(pk).unconfirmed) == ("sent", True)
        assert timeline(pk) == ["queued", "unconfirmed"]
        make_due()
        assert submit(road) == []

    @pytest.mark.parametrize("kind", ["accepted", "rejected", "retry", "ambiguous"])
    def test_after_a_final_report_it_changes_nothing(self, acme, road, kind):
        pk = unconfirmed(acme, road)
        report(road, "AT9", "Failed", number(0), age=6)
        process_callbacks()
        record_outcomes([outcome(pk, kind, "AT1" if kind == "accepted" else "")])
        now = message(pk)
        assert (now.status, now.provider_message_id, balance(acme)) == ("failed", "AT9", 1000 * ONE)


def test_ids_longer_than_we_keep_still_find_their_message(acme, road):
    long = "ATXid_" + "9" * 120
    pk = send_one(acme, road, long)
    report(road, long, "Success", number(0))
    process_callbacks()
    assert message(pk).status == "delivered"


def test_statements_do_not_grow_with_the_reports(acme, road):
    def statements(count, first):
        ids = accept(acme, count, first=first)
        submit(road)
        record_outcomes([outcome(pk, "accepted", f"AT{pk}") for pk in ids])
        for pk in ids:
            report(road, f"AT{pk}", "Failed")
        with CaptureQueriesContext(connection) as captured:
            assert process_callbacks() == count
        assert all(message(pk).status == "failed" for pk in ids)
        return len(captured)

    assert statements(3, 0) == statements(60, 100)


class TestDoor:
    """POST /callbacks/{adapter}/{token}/{kind}."""

    def post(self, client, path, body=b"id=AT1&status=Success", content_type=FORM, **options):
        return client.post(path, data=body, content_type=content_type, **options)

    def path(self, road, kind="delivery", adapter="africastalking", token=None):
        return f"/callbacks/{adapter}/{token or road.callback_token}/{kind}"

    def test_a_report_is_kept_raw_and_answered_at_once(self, client, road):
        answer = self.post(client, self.path(road))
        assert (answer.status_code, answer.content) == (200, b"OK")
        kept = ProviderCallback.objects.get()
        assert (bytes(kept.body), kept.kind, kept.processed_at) == (b"id=AT1&status=Success", "delivery", None)

    def test_whatever_is_wrong_with_the_path_looks_the_same(self, client, road):
        wrong = [
            self.path(road, token="nobody"),
            self.path(road, token=road.callback_token[:-1] + "%00"),
            self.path(road, token="%ED%A0%80"),
            self.path(road, kind="other"),
            self.path(road, adapter="nobody"),
        ]
        answers = [self.post(client, path) for path in wrong]
        assert {(answer.status_code, answer.content) for answer in answers} == {(404, b'{"error": "not found"}')}
        assert ProviderCallback.objects.count() == 0

    @pytest.mark.parametrize("method", ["get", "head", "put", "delete", "options", "patch"])
    def test_other_methods(self, client, road, method):
        answer = getattr(client, method)(self.path(road))
        assert (answer.status_code, answer["Allow"]) == (405, "POST")

    def test_too_large(self, client, road):
        assert self.post(client, self.path(road), b"id=1&status=" + b"x" * 65536).status_code == 413
        assert self.post(client, self.path(road), CONTENT_LENGTH="²").status_code == 413
        assert self.post(client, self.path(road), CONTENT_LENGTH="-5").status_code == 413
        assert ProviderCallback.objects.count() == 0

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"", FORM),
            (b"\xff\xfe\x00", FORM),
            (b"id=%00&status=Success", FORM),
            (b"id=AT1", FORM),
            (b"id=" + b"9" * 129 + b"&status=Success", FORM),
            (b'{"id": "AT1", "status": "Success"}', "application/json"),
            (b"&".join(b"a=1" for _ in range(60)), FORM),
            (b"id=AT1&status=Success", ""),
            (b"id=%ED%A0%80&status=Success", FORM),
        ],
    )
    def test_garbage_is_refused_and_not_kept(self, client, road, body, content_type):
        assert self.post(client, self.path(road), body, content_type).status_code == 400
        assert ProviderCallback.objects.count() == 0

    def test_a_switched_off_account_still_hears(self, client, road):
        run_sql("UPDATE messaging_provideraccount SET is_active = false")
        assert self.post(client, self.path(road)).status_code == 200

    def test_an_opt_out_counts_for_the_sender_and_each_client_that_wrote(self, client, acme, zuri, road):
        mine = make_sender("Mine", sender="Acme")
        for who, options in ((acme, {}), (mine, {}), (zuri, {})):
            accept(who, **options)
        accept(make_sender("Elsewhere", sender="ACME"), first=7)
        answer = self.post(client, self.path(road, "optout"), b"senderId=ACME&phoneNumber=%2B254710000000")
        assert answer.status_code == 200
        assert process_callbacks() == 1
        process_callbacks()
        kept = set(OptOut.objects.unscoped().values_list("client_id", "address", "sender", "source"))
        assert kept == {(acme.pk, number(0), "ACME", "network"), (mine.pk, number(0), "Acme", "network")}
        assert self.post(client, self.path(road, "optout"), b"senderId=ACME").status_code == 400


def test_one_unreadable_callback_does_not_stop_the_others(acme, road, monkeypatch):
    pk = send_one(acme, road)
    report(road, "AT1", "Success", number(0))
    run_sql("UPDATE messaging_providercallback SET body = %s", [b"\xff"])
    report(road, "AT1", "Success", number(0))
    assert process_callbacks() == 2
    assert message(pk).status == "delivered"
    assert ProviderCallback.objects.order_by("pk").first().note.startswith("unreadable")
    with pytest.raises(UnreadableCallback):
        store_callback(account=road, kind="delivery", content_type=FORM, query="", body=b"\xff")


def test_raw_callbacks_are_kept_for_a_month(acme, road):
    for provider_id in ("AT1", "AT2"):
        report(road, provider_id)
    run_sql("UPDATE messaging_providercallback SET processed_at = received_at")
    sweep()
    assert ProviderCallback.objects.count() == 2
    run_sql(
        "UPDATE messaging_providercallback SET received_at = '2026-01-01 00:00:00+00:00' "
        "WHERE id = (SELECT MAX(id) FROM messaging_providercallback)"
    )
    sweep()
    assert ProviderCallback.objects.count() == 1


def test_every_line_of_a_timeline_has_a_kind_of_ours(acme, road):
    send_one(acme, road)
    report(road, "AT1", "Teleported", number(0))
    process_callbacks()
    assert set(MessageEvent.objects.unscoped().values_list("kind", flat=True)) <= set(EventKind.values)


@pytest.mark.django_db(transaction=True)
def test_callbacks_of_the_same_moment_share_a_statement_and_none_is_lost(road):
    bodies = [f"id=AT{n}&status=Success".encode() for n in range(24)]

    def post(turn: int) -> None:
        for body in bodies[turn::8]:
            store_callback(account=road, kind="delivery", content_type=FORM, query="", body=body)

    assert at_once(8, post) == [None] * 8
    assert sorted(bytes(row.body) for row in ProviderCallback.objects.all()) == sorted(bodies)
    with CaptureQueriesContext(connection) as queries:
        reports._store_all([(road.pk, "delivery", FORM, "", body) for body in bodies[:3]])
    assert len(queries) == 1
    assert ProviderCallback.objects.filter(attempts=0, processed_at=None, due_at__isnull=False).count() == 27
