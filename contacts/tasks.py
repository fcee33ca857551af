"""Doors for the workers: each takes an id, calls one service, and may run twice or at once."""

from celery import shared_task

from contacts.services import imports


@shared_task(name="contacts.heavy.run_import", ignore_result=True)
def run_import(import_id: int) -> None:
    """Run an import that waits, or go on with one whose worker died. Does nothing if another worker holds it."""
    imports.run_import(import_id=import_id)


@shared_task(name="contacts.sweep", ignore_result=True)
def sweep() -> None:
    """Wake imports that wait or whose worker died; remove uploads that nobody started."""
    imports.sweep_imports()
