"""`manage.py backup FOLDER`: database and uploads in one file, while everything runs."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crm.backups import BackupError, take_backup


class Command(BaseCommand):
    help = (
        "Write database and uploads as one file tarishi-<UTC time>.tar, readable by its owner alone, while everything "
        "runs. Keys are not in it: keep SECRET_KEY and ENCRYPTION_KEY (or VAR_DIR/secrets) elsewhere, since without "
        "them provider credentials in it cannot be read. Copy the file to another machine. Bring it back: restore."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="where to; made if it is not there")
        parser.add_argument("--keep", type=int, default=0, help="how many backups stay in the folder; 0 (default): all")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            path = take_backup(options["folder"], keep=options["keep"])
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{path} ({path.stat().st_size:,} bytes)")
