"""manage.py reconcile."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from wallet import queries, reconciliation
from wallet.models import LedgerEntry, Wallet

ONE = 1_000_000


def reconcile(**options):
    out = StringIO()
    try:
        call_command("reconcile", stdout=out, **options)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def test_books_that_agree(acme):
    code, out = reconcile()
    assert code == 0
    assert "wallets: no differences" in out


def test_a_difference_is_printed_and_exits_1_and_nothing_changes(acme):
    Wallet.objects.for_client(acme).update(balance_micros=99 * ONE, reserved_micros=ONE)
    code, out = reconcile()
    assert code == 1
    assert f"client {acme.pk}: balance 99.00, entries sum to 100.00; reserved 1.00, reservations hold 0.00" in out
    assert len(queries.check_wallets()) == 1


def test_fix_repairs_the_cached_sums(acme, stranger):
    Wallet.objects.for_client(acme).update(balance_micros=99 * ONE, reserved_micros=ONE)
    code, out = reconcile(fix=True)
    assert (code, "repaired" in out) == (0, True)
    assert queries.balance_of(acme.pk).balance == 100
    assert queries.balance_of(stranger.pk).balance == 7
    assert reconcile() == (0, reconcile()[1])


def test_rows_that_break_a_rule_need_a_person(acme):
    LedgerEntry.objects.create(
        wallet_id=acme.pk, kind="debit", amount_micros=-150 * ONE, balance_after_micros=0, reference="message:1"
    )
    LedgerEntry.objects.create(
        wallet_id=acme.pk, kind="refund", amount_micros=ONE, balance_after_micros=ONE, reference="message:2"
    )
    code, out = reconcile(fix=True)
    assert code == 1
    assert "repaired" not in out
    assert "does not continue the balance before it" in out
    assert "the refund of message:2 is not what it cost" in out
    assert queries.balance_of(acme.pk).balance == 100


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(reconciliation, "CHECKS", list(reconciliation.CHECKS))


def test_another_app_adds_its_check(acme, registry):
    stuck = [reconciliation.Difference("message 5 is stuck")]
    mended = []
    reconciliation.register(
        reconciliation.Check("messages", lambda: stuck, lambda difference: not mended.append(difference))
    )
    assert reconcile()[0] == 1
    assert mended == []
    code, out = reconcile(fix=True)
    assert (code, mended) == (0, stuck)
    assert "messages: 1 difference\n  message 5 is stuck: repaired" in out
