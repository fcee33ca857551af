"""manage.py purge: remove now what clients do not keep any longer."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from accounts.models import Client
from accounts.services.retention import purge_client, purge_installation


class Command(BaseCommand):
    help = (
        "Remove texts, numbers, logs and lists of exports that are older than each client keeps them; the worker for "
        "long jobs does the same every hour. Messages stay as rows without text and number, ledgers stay whole, no "
        "total changes. --dry-run counts what would go and changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count only")
        parser.add_argument("--client", type=int, help="of this client id alone")

    def handle(self, *args: Any, dry_run: bool, client: int | None, **options: Any) -> None:
        chosen = Client.objects.filter(pk=client) if client else Client.objects.order_by("pk")
        verb = "would change" if dry_run else "changed"
        for each in chosen:
            rows = purge_client(client=each, most_steps=1_000_000, dry_run=dry_run)
            if rows or client:
                self.stdout.write(f"client {each.pk}: {rows} rows {verb}")
        if client is None:
            self.stdout.write(f"callbacks of providers: {purge_installation(dry_run=dry_run)} rows {verb}")
