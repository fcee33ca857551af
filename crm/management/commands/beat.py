"""`manage.py beat`: the schedule in a process of its own."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from crm.checks import PRODUCTION
from crm.worker import run_beat


class Command(BaseCommand):
    help = (
        "Keep the schedule until SIGTERM, and work in the broker's place while that is away. Several of these, and "
        "main workers without --no-schedule, may run at once on any hosts: one of them keeps it, the others wait."
    )
    requires_system_checks = [PRODUCTION]

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(run_beat())
