"""Nudges for the workers, by task name, once the transaction has committed."""

from crm.common.wake import send_after_commit


def run_import(import_id: int) -> None:
    send_after_commit("contacts.heavy.run_import", import_id)


def undo_import(import_id: int) -> None:
    send_after_commit("contacts.heavy.undo_import", import_id)


def run_bulk(bulk_id: int) -> None:
    send_after_commit("contacts.heavy.run_bulk", bulk_id)
