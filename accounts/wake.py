"""The wake-ups of accounts: names of tasks in accounts/tasks.py."""

from crm.common.wake import nudge_after_commit, send_after_commit

DELIVER_WEBHOOKS = "accounts.deliver_webhooks"
SEND_NOTICES = "accounts.send_notices"
WRITE_EXPORT = "accounts.heavy.export"
ERASE_PERSON = "accounts.heavy.erase_person"
PURGE = "accounts.heavy.purge"


def deliverer() -> None:
    nudge_after_commit(DELIVER_WEBHOOKS)


def notices() -> None:
    nudge_after_commit(SEND_NOTICES)


def export(export_id: int) -> None:
    send_after_commit(WRITE_EXPORT, export_id)


def erase_person(request_id: int) -> None:
    send_after_commit(ERASE_PERSON, request_id)


def purge() -> None:
    send_after_commit(PURGE)
