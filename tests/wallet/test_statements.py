"""A month of the wallet as page, CSV and PDF; orders, bills and receipts."""

import io
import time
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection

from accounts.models import Client
from crm.common.sql import insert_rows
from tests.wallet.test_ledger_page import signed_in, text
from wallet.models import LedgerEntry, TopUp
from wallet.printing.paper import printable
from wallet.services import credit_wallet, debit_many, open_wallet, refund_many, reserve
from wallet.statements import month_of, months_of, statement_of_month, today_of
from wallet.topups.settling import complete_top_up

ONE = 1_000_000
COLUMNS = (
    "wallet_id", "kind", "amount_micros", "balance_after_micros", "reference", "within", "description", "created_at",
)  # fmt: skip


def entry(client, micros, balance, reference, at, kind="debit", within=None):
    insert_rows(LedgerEntry, COLUMNS, [(client.pk, kind, micros, balance, reference, within, "", at)])


@pytest.fixture
def old(db) -> Client:
    """Movements on both sides of the end of October in Nairobi, which is 21:00 UTC."""
    client = Client.objects.create(name="Acme")
    open_wallet(client=client)
    entry(client, 90 * ONE, 90 * ONE, "topup:1", datetime(2026, 10, 5, tzinfo=UTC), "credit")
    entry(client, -10 * ONE, 80 * ONE, "message:1", datetime(2026, 10, 31, 20, 59, tzinfo=UTC))
    entry(client, -20 * ONE, 60 * ONE, "message:2", datetime(2026, 10, 31, 21, 1, tzinfo=UTC), within="campaign:7")
    entry(client, -5 * ONE, 55 * ONE, "message:3", datetime(2026, 11, 2, tzinfo=UTC), within="campaign:7")
    entry(client, 5 * ONE, 60 * ONE, "message:3", datetime(2026, 11, 3, tzinfo=UTC), "refund", "campaign:7")
    entry(client, 40 * ONE, 100 * ONE, "topup:2", datetime(2026, 11, 4, tzinfo=UTC), "credit")
    return client


def test_a_month_opens_with_what_the_last_one_closed_and_adds_up(old):
    october, november = (statement_of_month(old, date(2026, month, 1)) for month in (10, 11))
    assert (october.opening, october.closing) == (0, 80)
    assert (november.opening, november.closing) == (80, 100)
    for made in (october, november):
        assert made.opening + sum(line.amount for line in made.lines) == made.closing
        assert sum(total.amount for total in made.totals) == made.closing - made.opening
    shown = [(line.kind, line.title, line.entries, line.amount) for line in november.lines]
    assert shown == [
        ("credit", "Topup 2", 1, 40),
        ("debit", "Campaign 7", 2, -25),
        ("refund", "Campaign 7", 1, 5),
    ]
    assert october.until is None
    assert [month.month for month in months_of(old)][-1] == 10


def test_what_comes_after_a_look_is_added_to_what_was_known(old):
    first = statement_of_month(old, date(2026, 11, 1))
    entry(old, -1 * ONE, 99 * ONE, "message:9", datetime(2026, 11, 5, tzinfo=UTC), within="campaign:7")
    entry(old, -1 * ONE, 98 * ONE, "message:10", datetime(2026, 11, 6, tzinfo=UTC))
    again = statement_of_month(old, date(2026, 11, 1))
    cache.clear()
    anew = statement_of_month(old, date(2026, 11, 1))
    assert again.lines == anew.lines
    assert (first.closing, again.closing) == (100, 98)


def test_reservations_put_their_name_on_debits_and_refunds(acme):
    reserve(client=acme, amount=Decimal(10), reference="campaign:3")
    debit_many(client_id=acme.pk, charges=[("message:1", ONE), ("message:2", ONE)], reservation="campaign:3")
    debit_many(client_id=acme.pk, charges=[("message:3", ONE)])
    refund_many(client_id=acme.pk, refunds=[("message:2", ONE), ("message:3", ONE)])
    rows = LedgerEntry.objects.for_client(acme).exclude(kind="credit").order_by("pk")
    assert list(rows.values_list("reference", "within")) == [
        ("message:1", "campaign:3"),
        ("message:2", "campaign:3"),
        ("message:3", None),
        ("message:2", "campaign:3"),
        ("message:3", None),
    ]


def test_the_page_its_files_and_the_way_to_each_entry(acme, stranger):
    reserve(client=acme, amount=Decimal(10), reference="campaign:3")
    debit_many(client_id=acme.pk, charges=[("message:1", ONE), ("message:2", ONE)], reservation="campaign:3")
    debit_many(client_id=acme.pk, charges=[("message:4", ONE)])
    browser = signed_in(acme)
    shown = text(browser.get("/app/wallet/statement"))
    assert "Opening balance KES 0.00" in shown
    assert "Campaign 3 Charge All month 2 -KES 2.00" in shown
    assert "Single messages Charge All month 1 -KES 1.00" in shown
    assert "Balance so far KES 97.00" in shown
    listed = text(browser.get("/app/wallet", {"within": "campaign:3", "kind": "debit"}))
    assert "Message 1" in listed
    assert "Message 2" in listed
    assert "Message 4" not in listed
    alone = text(browser.get("/app/wallet", {"within": "-", "kind": "debit"}))
    assert "Message 4" in alone
    assert "Message 1 " not in alone
    assert browser.get("/app/wallet", {"within": "x' OR 1"}).status_code == 422
    month = f"{today_of(acme):%Y-%m}"
    lines = browser.get("/app/wallet/statement.csv", {"month": month}).content.decode().splitlines()
    assert lines[0] == "\ufeffDay,What,Kind,Reference,Code,Entries,Amount,Currency"
    assert lines[1] == f"{month}-01,Opening balance,,,,,0.00,KES"
    assert ",Campaign 3,Charge,campaign:3,,2,-2.00,KES" in lines
    assert lines[-1].endswith("Balance so far,,,,,97.00,KES")
    answer = browser.get("/app/wallet/statement.pdf", {"month": month})
    assert answer["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF")
    assert "7.00" not in text(signed_in(stranger, email="zuri@traders.test").get("/app/wallet/statement")).replace(
        "KES 7.00", ""
    )


@pytest.mark.parametrize("month", ["2026-13", "x", "9999-01", "\x00", "1999-01"])
def test_what_is_no_month_is_not_found(acme, month):
    browser = signed_in(acme)
    for name in ("statement", "statement.csv", "statement.pdf"):
        assert browser.get(f"/app/wallet/{name}", {"month": month}).status_code == 404
    assert month_of(month, date(2026, 11, 28)) is None


def test_queries_of_a_statement_do_not_grow(acme, django_assert_max_num_queries):
    debit_many(client_id=acme.pk, charges=[(f"message:{n}", 1000) for n in range(300)])
    browser = signed_in(acme)
    browser.get("/app/wallet/statement")
    with django_assert_max_num_queries(14):
        browser.get("/app/wallet/statement")


def test_names_in_latin_scripts_are_printed_and_others_are_replaced(acme):
    for name in ("Aïssatou Ñandú", "N’Guessan Şükrü", "Ŋoma Ɓuuɗo Ẹ̀kọ́"):
        assert "?" not in printable(name)
    assert printable("Amina 你") == "Amina ?"
    acme.name = "Aïssatou & <b>Fils</b> 你"
    acme.save()
    assert signed_in(acme).get("/app/wallet/statement.pdf").content.startswith(b"%PDF")


def paid(client, receipt="PGH7X8Y9Z0"):
    made = TopUp.objects.create(
        client=client, transaction_id="TXN-20261128-001", day=date(2026, 11, 28), number=1, amount=500, currency="KES",
        phone="+254712345678",
    )  # fmt: skip
    if receipt:
        complete_top_up(top_up_id=made.pk, receipt=receipt)
    return made


def test_orders_bills_and_their_papers(acme, stranger, settings):
    settings.BRAND_DETAILS = "Kimathi Street 1, Nairobi | PIN P051234567X"
    made = paid(acme)
    browser, other = signed_in(acme, "viewer"), signed_in(stranger, email="zuri@traders.test")
    assert "TXN-20261128-001" in text(browser.get("/app/wallet/orders"))
    assert "PGH7X8Y9Z0 KES 500.00 Bill · Receipt" in text(browser.get("/app/wallet/bills"))
    assert "No bill yet" in text(other.get("/app/wallet/bills"))
    assert browser.get("/app/wallet/topups", follow=True).redirect_chain[0][0] == "/app/wallet/orders"
    for path in (f"orders/{made.pk}.pdf", f"bills/{made.pk}.pdf", f"topups/{made.pk}/receipt.pdf"):
        answer = browser.get(f"/app/wallet/{path}")
        assert answer.content.startswith(b"%PDF")
        assert "TXN-20261128-001" in answer["Content-Disposition"]
        assert other.get(f"/app/wallet/{path}").status_code == 404
    assert browser.get(f"/app/wallet/bills/{2**70}.pdf").status_code == 404


def test_there_is_no_bill_before_the_money(acme):
    made = paid(acme, receipt="")
    browser = signed_in(acme)
    assert browser.get(f"/app/wallet/bills/{made.pk}.pdf")["Location"] == f"/app/wallet/topups/{made.pk}"
    assert browser.get(f"/app/wallet/orders/{made.pk}.pdf").content.startswith(b"%PDF")
    assert "No bill yet" in text(browser.get("/app/wallet/bills"))


def test_the_letterhead_may_carry_a_logo(acme, settings, tmp_path):
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (40, 10), "#0E5A6B").save(picture, "PNG")
    (tmp_path / "logo.png").write_bytes(picture.getvalue())
    settings.BRAND_LOGO = str(tmp_path / "logo.png")
    made = signed_in(acme).get("/app/wallet/statement.pdf").content
    assert b"/Subtype /Image" in made


def test_a_large_month_is_read_once_and_then_at_once(acme):
    """A fiftieth of a million entries, with room to spare on a slow machine."""
    for start in range(0, 20_000, 10_000):
        charges = [(f"message:{n}", 100) for n in range(start, start + 10_000)]
        debit_many(client_id=acme.pk, charges=charges)
    statement_of_month(acme, today_of(acme).replace(day=1))
    credit_wallet(client=acme, amount=Decimal(1), reference="topup:9")
    began = time.monotonic()
    made = statement_of_month(acme, today_of(acme).replace(day=1))
    assert time.monotonic() - began < 0.5
    assert {total.kind: total.entries for total in made.totals} == {"credit": 2, "debit": 20_000}
    assert connection.vendor
