"""The wake-ups of accounts: names of tasks in accounts/tasks.py."""

from crm.common.wake import nudge_after_commit

DELIVER_WEBHOOKS = "accounts.deliver_webhooks"
SEND_NOTICES = "accounts.send_notices"


def deliverer() -> None:
    nudge_after_commit(DELIVER_WEBHOOKS)


def notices() -> None:
    nudge_after_commit(SEND_NOTICES)
