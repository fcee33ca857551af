"""Doors for the workers: each takes an id, calls one service, and may run twice or at once."""

from celery import shared_task

from contacts import search
from contacts.services import bin as contact_bin
from contacts.services import bulk, import_runs, import_undo


@shared_task(name="contacts.heavy.run_import", ignore_result=True)
def run_import(import_id: int) -> None:
    """Run an import that waits, or go on with one whose worker died. Does nothing if another worker holds it."""
    import_runs.run_import(import_id=import_id)


@shared_task(name="contacts.heavy.undo_import", ignore_result=True)
def undo_import(import_id: int) -> None:
    """Take an import back, or go on where a dead worker stopped."""
    import_undo.run_undo(import_id=import_id)


@shared_task(name="contacts.heavy.run_bulk", ignore_result=True)
def run_bulk(bulk_id: int) -> None:
    """Carry out a bulk change that waits, or go on where a dead worker stopped."""
    bulk.run_bulk(bulk_id=bulk_id)


@shared_task(name="contacts.sweep", ignore_result=True)
def sweep() -> None:
    """Wake what waits or whose worker died; remove uploads that nobody started and what is too old for the bin."""
    import_runs.sweep_imports()
    bulk.sweep_bulk()
    contact_bin.sweep_bin()
    search.index_contacts()
    search.forget_deleted()
