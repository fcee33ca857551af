"""`manage.py web`: the web server of a production host; `serve` is the whole installation on one machine."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, connections

from crm.checks import PRODUCTION
from crm.static_files import collect_if_changed


class Command(BaseCommand):
    help = (
        "Serve pages and API until SIGTERM, which lets requests under way end. Collects static files when they have "
        "changed; refuses to start with unsafe settings. Run `prepare` once per release before it."
    )
    requires_system_checks = [PRODUCTION]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.HOST, help="address to listen on (default: HOST, %(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="(default: PORT, %(default)s)")
        parser.add_argument("--workers", type=int, default=2, help="processes, one for each core (default: 2)")
        parser.add_argument(
            "--threads", type=int, default=default_threads(), help="of each process (default here: %(default)s)"
        )
        parser.add_argument("--access-log", action="store_true", help="a line for each request on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        collect_if_changed()
        connections.close_all()
        argv = web_argv(
            host=options["host"], port=options["port"], workers=options["workers"], threads=options["threads"]
        )
        if options["access_log"]:
            argv.append("--access-log")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
        os.execv(argv[0], argv)  # noqa: S606 - our own command line; whoever watches us watches the server


def default_threads() -> int:
    """Threads of one web process: beyond these they only wait for SQLite's one writer, or for the interpreter. Sends
    that wait at the same moment share one transaction (crm/common/together.py), so that a few more pay."""
    return 2 if connection.vendor == "sqlite" else 8


def web_argv(*, host: str, port: int, workers: int, threads: int) -> list[str]:
    """The command line of the web server."""
    return [
        sys.executable, "-m", "crm.webserver",
        "--interface", "wsgi", "--http", "1", "--no-ws", "--log-level", "warning",
        "--host", host, "--port", str(port), "--workers", str(workers), "--blocking-threads", str(threads),
        "--respawn-failed-workers", "--respawn-interval", "0.5", "--workers-kill-timeout", "20",
        "crm.wsgi:application",
    ]  # fmt: skip
