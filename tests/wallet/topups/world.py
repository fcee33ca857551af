"""What tests of top-ups share: an account, a client, and a worker that can be run step by step."""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from accounts.models import Client
from crm.common.sql import database_now
from tests.factories import make_client
from tests.sandbox_process import Sandbox
from wallet import queries
from wallet.models import LedgerEntry, MpesaEvent, PaybillPayment, PaymentAccount, TopUp
from wallet.topups.paybill import settle_payment
from wallet.topups.settling import settle_top_up
from wallet.topups.starting import ask_for_prompt, start_top_up

PHONE = "+254712345678"
CREDENTIALS = {
    "kind": "paybill",
    "shortcode": "174379",
    "passkey": "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919",
    "consumer_key": "key",
    "consumer_secret": "a-secret-nobody-prints",
}


def make_account(*, base_url: str, **fields) -> PaymentAccount:
    return PaymentAccount.objects.create(name="Paybill", base_url=base_url, credentials=CREDENTIALS, **fields)


@dataclass
class World:
    sandbox: Sandbox
    account: PaymentAccount
    acme: Client = field(default_factory=make_client)

    def phone(self, *, number: str = "*", act: str | None = "pay", after: float = 0.05, **facts) -> None:
        """What the owner of a phone does by itself."""
        self.sandbox.call("PUT", "handsets", number=number, act=act, after=after, **facts)

    def start(self, amount: int = 500, phone: str = PHONE, **fields) -> TopUp:
        return ask_for_prompt(started=start_top_up(client=self.acme, amount=amount, phone=phone, **fields))

    def settle(self, top_up: TopUp, *, until: str = "", seconds: float = 8) -> TopUp:
        """Work as a worker would, at once instead of at the times that are due, until the state is reached."""
        deadline = time.monotonic() + seconds
        while True:
            self.skip_waits(top_up)
            settle_top_up(top_up_id=top_up.pk)
            for payment in PaybillPayment.objects.filter(state="new"):
                settle_payment(payment_id=payment.pk)
            top_up.refresh_from_db()
            if top_up.state == until or time.monotonic() > deadline:
                assert not until or top_up.state == until, (
                    top_up.state,
                    top_up.result_code,
                    list(top_up.events.values_list("kind", "verdict", "note", "result_code")),
                )
                return top_up
            time.sleep(0.05)

    @staticmethod
    def skip_waits(top_up: TopUp) -> None:
        """Time passes: what is due later is due now, and an earlier query lies far enough back."""
        before = database_now() - timedelta(seconds=30)
        rows = TopUp.objects.unscoped().filter(pk=top_up.pk)
        rows.exclude(next_check_at=None).update(next_check_at=before)
        rows.exclude(queried_at=None).update(queried_at=before)

    def balance(self) -> Decimal:
        return queries.balance_of(self.acme.pk).balance

    def credits(self) -> int:
        return LedgerEntry.objects.for_client(self.acme).filter(kind="credit").count()

    def calls(self, path: str) -> int:
        """How often the sandbox's M-Pesa was called there."""
        return sum(call["call"].endswith(path) for call in self.sandbox.call("GET", "calls"))

    def events(self, kind: str) -> list[MpesaEvent]:
        return list(MpesaEvent.objects.filter(kind=kind))

    def wait_for_events(self, count: int, kind: str = "callback", seconds: float = 8) -> None:
        deadline = time.monotonic() + seconds
        while MpesaEvent.objects.filter(kind=kind).count() < count:
            assert time.monotonic() < deadline, f"{MpesaEvent.objects.filter(kind=kind).count()} of {count} {kind}s"
            time.sleep(0.05)
