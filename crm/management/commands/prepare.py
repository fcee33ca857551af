"""`manage.py prepare`: bring the database to this release."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from crm.checks import PRODUCTION

_LOCK = 7_226_144_001  # any number that nobody else uses for pg_advisory_lock


class Command(BaseCommand):
    help = (
        "Apply the migrations of this release and make the cache's table where the cache is in the database. Does "
        "nothing where all is done; of several hosts that start at once one works and the others wait for it."
    )
    requires_system_checks = [PRODUCTION]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where something is to be done")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"]:
            call_command("migrate", check_unapplied=True, interactive=False, verbosity=1, stdout=self.stdout)
            self.stdout.write("The database is that of this release.")
            return
        with _alone():
            executor = MigrationExecutor(connection)
            pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if pending:
                call_command("migrate", interactive=False, verbosity=1, stdout=self.stdout)
            if not settings.CACHE_URL:
                call_command("createcachetable", verbosity=0)
        done = f"{len(pending)} migrations applied" if pending else "nothing to do"
        self.stdout.write(f"The database is that of this release ({done}).")


@contextmanager
def _alone() -> Iterator[None]:
    """At most one process at a time on PostgreSQL; SQLite has one writer anyway."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
