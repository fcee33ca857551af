"""Doors for the workers: each takes an id, calls one service, and may run twice or at once."""

from celery import shared_task

from contacts.services import import_undo, imports


@shared_task(name="contacts.heavy.run_import", ignore_result=True)
def run_import(import_id: int) -> None:
    """Run an import that waits, or go on with one whose worker died. Does nothing if another worker holds it."""
    imports.run_import(import_id=import_id)


@shared_task(name="contacts.heavy.undo_import", ignore_result=True)
def undo_import(import_id: int) -> None:
    """Take an import back, or go on where a dead worker stopped."""
    import_undo.run_undo(import_id=import_id)


@shared_task(name="contacts.sweep", ignore_result=True)
def sweep() -> None:
    """Wake imports that wait or whose worker died; remove uploads that nobody started."""
    imports.sweep_imports()
