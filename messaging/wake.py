"""The wake-ups of messaging: names of tasks in messaging/tasks.py, sent after the commit, with ids only."""

from collections.abc import Iterable

from django.db import transaction

from crm.common.wake import nudge_after_commit, send_after_commit, send_now

DISPATCH = "messaging.dispatch"
SIMULATE = "messaging.simulate"
EXPAND = "messaging.heavy.expand_campaign"
START = "messaging.start_campaigns"
CALLBACKS = "messaging.process_callbacks"
LOOK_UP = "messaging.look_up"
BALANCE = "messaging.read_balance"
TEMPLATES = "messaging.read_templates"
QUOTE = "messaging.heavy.quote_campaign"


def senders(account_ids: Iterable[int | None]) -> None:
    """Wake the sending loop of each account; None stands for simulated messages."""
    for account_id in account_ids:
        if account_id is None:
            nudge_after_commit(SIMULATE)
        else:
            nudge_after_commit(DISPATCH, account_id)


def expansion(campaign_id: int) -> None:
    send_after_commit(EXPAND, campaign_id)


def expansion_now(campaign_id: int) -> None:
    send_now(EXPAND, campaign_id)


def quote(campaign_id: int) -> None:
    """Count what a draft to many people comes to."""
    send_after_commit(QUOTE, campaign_id)


def start_campaigns(*, after: float) -> None:
    """Look for campaigns that may begin, `after` seconds from the commit."""
    transaction.on_commit(lambda: send_now(START, countdown=after))


def lookups(account_ids: Iterable[int]) -> None:
    """Ask the providers of these accounts what became of messages."""
    for account_id in account_ids:
        nudge_after_commit(LOOK_UP, account_id)


def balances(account_ids: Iterable[int]) -> None:
    """Ask the providers of these accounts how much credit is left."""
    for account_id in account_ids:
        nudge_after_commit(BALANCE, account_id)


def templates(account_ids: Iterable[int]) -> None:
    """Ask WhatsApp what became of the templates of these accounts."""
    for account_id in account_ids:
        nudge_after_commit(TEMPLATES, account_id)


def callbacks() -> None:
    nudge_after_commit(CALLBACKS)
