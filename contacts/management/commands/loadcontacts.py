"""Load a file of contacts from the command line, by the same engine as the import page."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models.functions import Lower

from accounts.models import Client
from contacts import queries
from contacts.importing import checking, reading
from contacts.importing.rows import RowReader
from contacts.models import ContactImport, Duplicates, Group, ImportState
from contacts.services import begin_import, configure_import, create_group, discard_import, run_import, start_import
from contacts.services.imports import draft_import
from crm.common.errors import DomainError

_SHOWN = 20


class Command(BaseCommand):
    # They load every page and API of the product, 40 MB that this command has no use for; `manage.py check` runs them.
    requires_system_checks: list[str] = []
    help = "Load contacts from an XLSX, CSV, TSV or TXT file into a client's book and print what was taken and refused."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--client", type=int, required=True, help="id of the client")
        parser.add_argument("--group", default="", help="put them into this group, which is made if need be")
        parser.add_argument("--duplicates", choices=Duplicates.values, default=Duplicates.FILL)
        parser.add_argument(
            "--dry-run", action="store_true", help="read the whole file, say what would happen, write nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client.objects.filter(pk=options["client"]).first()
        if client is None:
            raise CommandError(f"There is no client {options['client']}.")
        if not options["file"].is_file():
            raise CommandError(f"There is no file {options['file']}.")
        try:
            if options["dry_run"]:
                self._check(client, options)
            else:
                self._load(client, options)
        except DomainError as error:
            raise CommandError(str(error)) from None

    def _check(self, client: Client, options: dict[str, Any]) -> None:
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "file"  # a workbook is replaced by its sheet
            shutil.copyfile(options["file"], copy)
            self._check_copy(client, options, copy)

    def _check_copy(self, client: Client, options: dict[str, Any], path: Path) -> None:
        table, _ = reading.prepare(
            path, options["file"].name, max_bytes=settings.MAX_IMPORT_BYTES, max_rows=settings.MAX_IMPORT_ROWS
        )
        draft = draft_import(table, region=client.country)
        check = checking.check_file(
            client_id=client.pk,
            table=table,
            reader=RowReader(draft.mapping, client.country),
            start=draft.first_row,
            policy=options["duplicates"],
            limit=settings.MAX_IMPORT_ROWS,
        )
        self.stdout.write(
            f"{check.rows} rows: {check.new} new, {check.updated} to update, {check.unchanged} left as they are, "
            f"{check.duplicates} duplicates in the file, {check.rejected} to reject. Nothing was written."
        )
        for problem in check.problems.values():
            rows = ", ".join(str(row) for row, _ in problem.examples)
            self.stdout.write(f"  {problem.count} x {problem.sentence} (rows {rows}{' …' * (problem.count > 3)})")

    def _load(self, client: Client, options: dict[str, Any]) -> None:
        with options["file"].open("rb") as file:
            batch = start_import(client=client, by=None, upload=File(file, name=options["file"].name))
        try:
            group = self._group(client, options["group"])
            configure_import(contact_import=batch, duplicates=options["duplicates"], group=group)
            begin_import(contact_import=batch, background=False, screen=False)
        except DomainError:
            discard_import(contact_import=batch)
            raise
        run_import(import_id=batch.pk)
        batch = ContactImport.objects.for_client(client).get(pk=batch.pk)
        if not batch.is_over:
            self.stdout.write(f"Import {batch.pk} waits for another file of this client, or a worker runs it.")
            return
        self._report(client, batch)
        if batch.state != ImportState.DONE:
            raise CommandError(batch.error or "The import was stopped.")

    def _group(self, client: Client, name: str) -> Group | None:
        name = name.strip()
        if not name:
            return None
        found = queries.groups_for(client).annotate(lower=Lower("name")).filter(lower=name.lower()).first()
        return found or create_group(client=client, name=name)

    def _report(self, client: Client, batch: ContactImport) -> None:
        self.stdout.write(
            f"{batch.rows_total} rows: {batch.imported} new, {batch.updated} updated, {batch.skipped} as they were, "
            f"{batch.duplicate_rows} duplicates in the file, {batch.failed} rejected."
        )
        rejects = batch.rejects.filter(client=client)
        for reject in rejects[:_SHOWN]:
            self.stdout.write(f"  row {reject.row}: {reject.sentence}")
        if (more := rejects.count() - _SHOWN) > 0:
            self.stdout.write(f"  … and {more} more rows: see the import's page.")
