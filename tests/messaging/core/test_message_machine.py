"""M1, M2, M6, D2, D5, D10, T2 after any order of what can happen to messages (Hypothesis state machine)."""

import contextlib
from collections.abc import Sequence

from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contacts import queries as contacts
from contacts.services import record_opt_out
from crm.common.errors import InvalidInput, WrongState
from messaging.models import Campaign, Message, MessageEvent
from messaging.providers.base import Outbound
from messaging.sending import claims
from messaging.sending.loop import Loop
from messaging.sending.recording import record_outcomes
from messaging.sending.sweep import sweep
from messaging.services.accept import Draft, accept_messages
from messaging.services.campaigns import cancel_campaign, finish_campaigns, pause_campaign, resume_campaign
from messaging.services.expansion import campaigns_to_expand, expand_campaign
from messaging.services.reports import process_callbacks
from tests.messaging.core import world
from wallet.errors import InsufficientBalance
from wallet.models import LedgerEntry

CLIENTS = st.sampled_from(["Acme", "Zuri Traders"])
PICK = st.integers(0, 1000)
KINDS = st.sampled_from(["accepted", "rejected", "retry", "ambiguous"])
WORDS = st.sampled_from(["Success", "Failed", "Buffered", "Expired"])
FINAL = {"delivered", "failed", "cancelled"}
NIGHTLY = settings.get_current_profile_name() == "nightly"


class Line:
    """Stands where the requests would fly: keeps what was written to the provider."""

    def __init__(self) -> None:
        self.written: list[int] = []

    def start(self, batch: Sequence[Outbound]) -> None:
        self.written += [message.id for message in batch]

    def close(self) -> None:
        """Nothing flies here."""


class MessageMachine(RuleBasedStateMachine):
    @initialize()
    def open(self):
        # Each run begins with an empty database: Hypothesis runs them all inside one test.
        self.open_things = contextlib.ExitStack()
        self.open_things.enter_context(transaction.atomic())
        self.open_things.callback(transaction.set_rollback, True)
        self.clients = {
            "Acme": world.make_sender(credit=14, sender="SHOP"),
            "Zuri Traders": world.make_sender("Zuri Traders", credit=14, sender="SHOP"),
        }
        self.road = world.make_road(batch_size=3)
        self.people = {name: world.make_contacts(client, 4) for name, client in self.clients.items()}
        self.groups = {name: world.make_group(self.clients[name], ids) for name, ids in self.people.items()}
        self.flying: set[int] = set()  # written, no answer yet
        self.lost: set[int] = set()  # written, and given up as unknown
        self.unknown: set[int] = set()  # ever recorded as unknown
        self.final: dict[int, str] = {}
        self.reports = 0

    def teardown(self):
        if hasattr(self, "open_things"):
            self.open_things.close()

    # --- what clients do

    @rule(name=CLIENTS, count=st.integers(1, 4), first=st.integers(0, 2))
    def accept(self, name, count, first):
        drafts = [Draft(world.number(first + n), "Habari") for n in range(count)]
        before = world.balance(self.clients[name])
        try:
            results = accept_messages(client=self.clients[name], drafts=drafts)
        except InsufficientBalance:
            assert world.balance(self.clients[name]) == before
        else:
            cost = sum(getattr(result, "cost_micros", 0) for result in results)
            assert before - world.balance(self.clients[name]) == cost

    @rule(name=CLIENTS)
    def confirm(self, name):
        client = self.clients[name]
        try:
            world.confirm(world.make_draft(client, self.groups[name]))
        except (InsufficientBalance, InvalidInput):
            """Too little money, or everybody opted out; the invariants say whether it moved nothing."""

    @rule(pick=PICK, step=st.sampled_from([pause_campaign, resume_campaign, cancel_campaign]))
    def steer(self, pick, step):
        campaign = self.one_of(list(Campaign.objects.unscoped().exclude(state="draft")), pick)
        if campaign:
            with contextlib.suppress(WrongState):
                step(client=campaign.client, campaign_id=campaign.pk)

    @rule(name=CLIENTS, index=st.integers(0, 4))
    def opt_out(self, name, index):
        record_opt_out(
            client_id=self.clients[name].pk, channel="sms", address=world.number(index), sender="SHOP", source="stop"
        )

    # --- what workers do

    @rule()
    def expand(self):
        for campaign_id in campaigns_to_expand():
            expand_campaign(campaign_id=campaign_id)

    @rule(limit=st.integers(1, 6))
    def claim_and_die(self, limit):
        claims.claim(account_id=self.road.pk, owner=claims.new_owner(), limit=limit)

    @rule(limit=st.integers(1, 6))
    def submit(self, limit):
        loop = Loop(self.road, stop=lambda: False)
        loop._session.close()
        loop._session = line = Line()
        loop._submit(claims.claim(account_id=self.road.pk, owner=loop.owner, limit=limit))
        loop._start_marked()
        rows = list(Message.objects.unscoped().filter(pk__in=line.written).select_related("campaign"))
        asked = [(row.client_id, row.recipient, row.sender) for row in rows]
        assert contacts.opted_out_among("sms", asked) == set()  # D10
        assert all(row.campaign is None or row.campaign.state == "sending" for row in rows)
        assert len(set(line.written)) == len(line.written) == len(rows)
        assert not set(line.written) & (self.unknown | self.flying | self.final.keys())  # D5
        self.flying |= set(line.written)

    @precondition(lambda self: self.flying)
    @rule(pick=PICK, kind=KINDS, count=st.integers(1, 3))
    def answer(self, pick, kind, count):
        chosen = sorted(self.flying)[pick % len(self.flying) :][:count]
        record_outcomes([world.outcome(pk, kind, f"AT{pk}" if kind == "accepted" else "") for pk in chosen])
        self.flying -= set(chosen)
        if kind == "ambiguous":
            self.unknown |= set(chosen)
            self.lost |= set(chosen)

    @rule()
    def crash(self):
        """Every sender is dead and its leases have run out."""
        world.age_leases()
        sweep()
        self.unknown |= self.flying
        self.lost |= self.flying
        self.flying = set()

    @precondition(lambda self: self.lost)
    @rule(pick=PICK, kind=KINDS)
    def late_answer(self, pick, kind):
        pk = sorted(self.lost)[pick % len(self.lost)]
        record_outcomes([world.outcome(pk, kind, f"AT{pk}" if kind == "accepted" else "")])

    @rule()
    def clock_jumps(self):
        world.make_due()
        sweep()
        finish_campaigns()

    # --- what the provider posts

    @rule(pick=PICK, words=st.lists(WORDS, min_size=1, max_size=3))
    def receipts(self, pick, words):
        row = self.one_of(list(Message.objects.unscoped().filter(attempts__gt=0)), pick)
        if row:
            for word in words:
                world.report(self.road, f"AT{row.pk}", word, row.recipient)
            self.read_reports()

    @rule(index=st.integers(0, 4), word=WORDS)
    def receipt_by_number(self, index, word):
        self.reports += 1
        world.report(self.road, f"AX{self.reports}", word, world.number(index), age=6)
        self.read_reports()

    def read_reports(self):
        world.make_due()
        while process_callbacks():
            pass

    def one_of(self, rows, pick):
        return rows[pick % len(rows)] if rows else None

    @invariant()
    def promises_hold(self):
        if not hasattr(self, "clients"):
            return
        world.check_books()  # M1, M2, M6
        queued = Message.objects.unscoped().filter(status="queued")
        assert set(world.leases()) <= set(queued.values_list("pk", flat=True))  # D4
        owners = {}
        for pk, client_id, status, cost in Message.objects.unscoped().values_list(
            "pk", "client_id", "status", "cost_micros"
        ):
            owners[pk] = client_id
            assert self.final.get(pk, status) == status  # D2
            if status in FINAL:
                self.final[pk] = status
            assert cost == world.ONE
        for wallet_id, kind, reference in LedgerEntry.objects.unscoped().values_list("wallet_id", "kind", "reference"):
            if kind in ("debit", "refund"):
                pk = int(reference.removeprefix("message:"))
                assert owners[pk] == wallet_id  # T2
                assert kind == "debit" or self.final[pk] in ("failed", "cancelled")
        lines = MessageEvent.objects.unscoped().values_list("message_id", "client_id")
        assert all(owners[pk] == client_id for pk, client_id in lines)


class TestMessages(MessageMachine.TestCase, TestCase):  # type: ignore[name-defined,misc]
    settings = settings(
        max_examples=settings().max_examples if NIGHTLY else 40,
        stateful_step_count=60 if NIGHTLY else 30,
        deadline=None,
    )
