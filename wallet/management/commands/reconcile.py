"""manage.py reconcile: do the books agree? Prints every difference; repairs only with --fix."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from wallet import reconciliation


class Command(BaseCommand):
    help = (
        "Compare balances with their ledgers, and whatever else the apps registered. "
        "Exits 1 while any difference remains; --fix repairs cached sums, never ledger entries."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fix", action="store_true", help="repair what can be repaired")

    def handle(self, *args: Any, fix: bool, **options: Any) -> None:
        remaining = 0
        for check in reconciliation.CHECKS:
            differences = check.find()
            self.stdout.write(f"{check.name}: {len(differences) or 'no'} difference{'s' * (len(differences) != 1)}")
            for difference in differences:
                repaired = fix and check.repair(difference)
                remaining += not repaired
                self.stdout.write(f"  {difference.text}{': repaired' if repaired else ''}")
            if check.advice and differences and not fix:
                self.stdout.write(f"  What to do: {check.advice}")
        if remaining:
            raise CommandError(f"{remaining} difference{'s' * (remaining != 1)} remain", returncode=1)
