"""`manage.py worker`: one worker process, as `serve` starts two of and production as many as wanted."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from crm.checks import PRODUCTION
from crm.common.heartbeat import QUEUES
from crm.worker import run_worker


class Command(BaseCommand):
    help = "Work on one queue until SIGTERM: main (sending, schedule) or heavy (imports, expanding campaigns)."
    requires_system_checks = [PRODUCTION]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", choices=QUEUES, default="main", help="which jobs to take (default: main)")
        parser.add_argument(
            "--no-schedule",
            action="store_true",
            help="leave the schedule to `beat` or other main workers; of all that offer, one keeps it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(run_worker(options["queue"], schedule=options["queue"] == "main" and not options["no_schedule"]))
