"""M1, M2, M6 after any order of credits, charges, refunds, reservations and releases (Hypothesis state machine)."""

from decimal import Decimal

from django.db import IntegrityError, transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from accounts.models import Client
from crm.common.money import from_micros
from wallet import queries
from wallet.errors import InsufficientBalance, RefundMismatch, ReservationShort
from wallet.models import LedgerEntry
from wallet.services import (
    credit_wallet,
    debit_many,
    debit_wallet,
    open_wallet,
    refund_many,
    release_reservation,
    reserve,
)

CLIENTS = st.sampled_from(["Acme", "Zuri Traders"])
REFERENCES = st.integers(1, 12).map("message:{}".format)
CAMPAIGNS = st.integers(1, 3).map("campaign:{}".format)
MICROS = st.one_of(st.integers(0, 3_000_000), st.sampled_from([1, 999_999, 1_000_000]))
CHARGES = st.lists(st.tuples(REFERENCES, MICROS), max_size=4)


class Book:
    """What one client's money must be: a model of dictionaries beside the real tables."""

    def __init__(self) -> None:
        self.balance = 0
        self.credits: dict[str, int] = {}
        self.debits: dict[str, int] = {}
        self.refunds: dict[str, int] = {}
        self.held: dict[str, int] = {}

    @property
    def available(self) -> int:
        return self.balance - sum(self.held.values())


class MoneyMachine(RuleBasedStateMachine):
    @initialize()
    def open(self):
        self.clients = {name: Client.objects.create(name=name) for name in ("Acme", "Zuri Traders")}
        self.books = {name: Book() for name in self.clients}
        for client in self.clients.values():
            open_wallet(client=client)

    @rule(name=CLIENTS, number=st.integers(1, 4), micros=st.integers(1, 5_000_000))
    def credit(self, name, number, micros):
        book, reference = self.books[name], f"topup:{number}"
        expected = IntegrityError if reference in book.credits else None
        if self.attempt(credit_wallet, expected, name, amount=from_micros(micros), reference=reference):
            book.credits[reference] = micros
            book.balance += micros

    @rule(name=CLIENTS, reference=REFERENCES, micros=st.integers(1, 3_000_000))
    def debit(self, name, reference, micros):
        book = self.books[name]
        expected = InsufficientBalance if micros > book.available else None
        expected = expected or (IntegrityError if reference in book.debits else None)
        if self.attempt(debit_wallet, expected, name, amount=from_micros(micros), reference=reference):
            book.debits[reference] = micros
            book.balance -= micros

    @rule(name=CLIENTS, charges=CHARGES, campaign=st.none() | CAMPAIGNS)
    def charge(self, name, charges, campaign):
        book, paid = self.books[name], [charge for charge in charges if charge[1]]
        total = sum(micros for _, micros in paid)
        expected = None
        if not total:
            pass
        elif campaign and book.held.get(campaign, 0) < total:
            expected = ReservationShort
        elif not campaign and book.available < total:
            expected = InsufficientBalance
        elif len(dict(paid)) < len(paid) or book.debits.keys() & dict(paid).keys():
            expected = IntegrityError
        ids = {"client_id": self.clients[name].pk}
        if self.attempt(debit_many, expected, None, **ids, charges=charges, reservation=campaign) and total:
            book.debits.update(paid)
            book.balance -= total
            if campaign:
                book.held[campaign] -= total

    @rule(name=CLIENTS, references=st.lists(REFERENCES, max_size=4), wrong=st.integers(0, 9).map(lambda n: n == 0))
    def refund(self, name, references, wrong):
        book = self.books[name]
        refunds = [(reference, book.debits.get(reference, 1) + wrong) for reference in references]
        bad = any(book.debits.get(reference) != micros for reference, micros in refunds)
        ids = {"client_id": self.clients[name].pk}
        if self.attempt(refund_many, RefundMismatch if bad else None, None, **ids, refunds=refunds):
            fresh = {ref: micros for ref, micros in refunds if ref not in book.refunds}
            assert self.result == fresh
            book.refunds.update(fresh)
            book.balance += sum(fresh.values())

    @rule(name=CLIENTS, campaign=CAMPAIGNS, micros=MICROS)
    def hold(self, name, campaign, micros):
        book = self.books[name]
        expected = IntegrityError if campaign in book.held else None
        expected = expected or (InsufficientBalance if micros > book.available else None)
        if self.attempt(reserve, expected, name, amount=from_micros(micros), reference=campaign):
            book.held[campaign] = micros

    @rule(name=CLIENTS, campaign=CAMPAIGNS)
    def release(self, name, campaign):
        book = self.books[name]
        released = release_reservation(client_id=self.clients[name].pk, reference=campaign)
        assert released == from_micros(book.held.get(campaign, 0))
        if campaign in book.held:
            book.held[campaign] = 0

    def attempt(self, act, expected, name, **arguments) -> bool:
        """Whether it happened; it must be refused exactly if the model says so, and then by that error."""
        if name:
            arguments["client"] = self.clients[name]
        try:
            with transaction.atomic():
                self.result = act(**arguments)
        except (IntegrityError, InsufficientBalance, RefundMismatch, ReservationShort) as error:
            happened = type(error)
        else:
            happened = None
        assert happened is expected
        return happened is None

    @invariant()
    def books_agree(self):
        if not hasattr(self, "clients"):
            return
        assert queries.check_wallets() == []  # M1
        assert queries.check_running_balances() == []
        assert queries.check_refunds() == []  # M6
        for name, client in self.clients.items():
            book, now = self.books[name], queries.balance_of(client.pk)
            assert now.balance == from_micros(book.balance) >= Decimal(0)
            assert now.reserved == from_micros(sum(book.held.values()))
            entries = LedgerEntry.objects.for_client(client).values_list("kind", "reference", "amount_micros")
            kept = {(kind, reference): micros for kind, reference, micros in entries}
            assert len(kept) == entries.count()  # M2: one entry per kind and cause
            assert kept == {
                **{("credit", ref): micros for ref, micros in book.credits.items()},
                **{("debit", ref): -micros for ref, micros in book.debits.items()},
                **{("refund", ref): micros for ref, micros in book.refunds.items()},
            }


class TestMoney(MoneyMachine.TestCase, TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
