"""The wake-ups of accounts: names of tasks in accounts/tasks.py."""

from crm.common.wake import nudge_after_commit, send_after_commit

DELIVER_WEBHOOKS = "accounts.deliver_webhooks"
SEND_NOTICES = "accounts.send_notices"
WRITE_EXPORT = "accounts.heavy.export"


def deliverer() -> None:
    nudge_after_commit(DELIVER_WEBHOOKS)


def notices() -> None:
    nudge_after_commit(SEND_NOTICES)


def export(export_id: int) -> None:
    send_after_commit(WRITE_EXPORT, export_id)
