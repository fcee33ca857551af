"""`manage.py restore FILE`: bring a backup back, without sending anything a second time."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crm.backups import BackupError, restore_backup


class Command(BaseCommand):
    help = (
        "Bring back what `backup` wrote, into an empty database. Stop web, workers and beat before. The world has gone "
        "on since the backup: what waited in it may have been sent. So every provider account is paused; look at what "
        "waits, then resume them in the back office. What waits four hours for a paused account fails and is refunded."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--replace", action="store_true", help="throw away what the present database holds")
        parser.add_argument(
            "--as-it-was",
            action="store_true",
            help="pause nothing: for a move to another machine, where nothing was sent since the backup",
        )
        parser.add_argument(
            "--forget-waiting",
            action="store_true",
            help="what waited counts as maybe sent: it is never sent by itself, and shows as unconfirmed",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = restore_backup(
                options["file"],
                replace=options["replace"],
                as_it_was=options["as_it_was"],
                forget=options["forget_waiting"],
            )
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Restored what was there at {done.taken:%Y-%m-%d %H:%M:%S} UTC.")
        if done.unknown:
            self.stdout.write(f"{done.unknown} messages that waited count as maybe sent.")
        elif done.waiting:
            self.stdout.write(f"{done.waiting} messages waited then, and wait now.")
        if done.paused:
            self.stdout.write(f"{done.paused} provider accounts are paused. Resume them under Provider accounts.")
        self.stdout.write("Now run: manage.py reconcile")
