"""The prompt that comes by itself: once a morning, to clients who wanted it, while their balance is low (UX.md §10)."""

from zoneinfo import ZoneInfo

from django.db.models import F

from accounts.models import Client, User
from accounts.services.access import needs
from crm.common.errors import DomainError
from crm.common.sql import database_now
from wallet.models import MorningPrompt
from wallet.topups.starting import ask_for_prompt, check_order, start_top_up

HOUR = 8  # of the client's own clock; whoever was missed is asked within the hour
MOST_AT_ONCE = 20


@needs("wallet.topup")
def set_morning_prompt(*, client: Client, amount: int, phone: str, by: User | None) -> MorningPrompt:
    """Ask for `amount` (whole shillings) on `phone` each morning while the balance is low. Raises: InvalidInput,
    TopUpsClosed."""
    number = check_order(client=client, amount=amount, phone=phone)
    facts = {"amount": amount, "phone": number, "chosen_by": by, "problem": ""}
    return MorningPrompt.objects.update_or_create(client=client, defaults=facts)[0]


@needs("wallet.topup")
def drop_morning_prompt(*, client: Client) -> None:
    MorningPrompt.objects.for_client(client).delete()


def morning_prompt_of(client: Client) -> MorningPrompt | None:
    return MorningPrompt.objects.for_client(client).first()


def ask_in_the_morning() -> int:
    """Ask those whose morning it is; returns how many prompts were sent. For the sweep; no transaction is open."""
    low = MorningPrompt.objects.unscoped().filter(
        client__state="active",
        client__simulation=False,
        client__wallet__balance_micros__lt=F("client__low_balance_micros"),
    )
    asked = 0
    for chosen in low.select_related("client", "chosen_by").order_by("pk"):
        local = database_now().astimezone(ZoneInfo(chosen.client.time_zone))
        if local.hour != HOUR or chosen.last_day == local.date() or asked >= MOST_AT_ONCE:
            continue
        mine = MorningPrompt.objects.for_client(chosen.client).exclude(last_day=local.date())
        if mine.update(last_day=local.date(), problem=""):  # ours: another sweep leaves it alone
            asked += _ask(chosen)
    return asked


def _ask(chosen: MorningPrompt) -> bool:
    try:
        started = start_top_up(
            client=chosen.client, amount=chosen.amount, phone=chosen.phone, started_by=chosen.chosen_by
        )
    except DomainError as error:
        MorningPrompt.objects.for_client(chosen.client).update(problem=str(error)[:200])
        return False
    ask_for_prompt(started=started)
    return True
