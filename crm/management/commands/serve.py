"""`manage.py serve`, what `make run` starts: everything of an installation on one machine, from one terminal.

It prepares the database and then becomes itself anew, without what migrations leave in memory (crm/serving.py).
"""

import argparse
import fcntl
import os
import socket
import sys
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from crm import demo, serving
from crm.checks import PRODUCTION
from crm.static_files import collect_if_changed

PLAY_UNITS = 5  # free units of who registers where all money is play, unless TRIAL_UNITS says how many


class Command(BaseCommand):
    help = "Prepare the database and start web, workers, schedule and sandbox here; SIGTERM or Ctrl-C stops all."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="make no demo client on the first start")
        parser.add_argument("--no-sandbox", action="store_true", help="start no sandbox (implies --no-demo)")
        parser.add_argument("--prepared", action="store_true", help=argparse.SUPPRESS)  # what it becomes
        parser.add_argument("--greet", action="store_true", help=argparse.SUPPRESS)  # a part of that

    def handle(self, *args: Any, **options: Any) -> None:
        sandbox = not options["no_sandbox"]
        if options["prepared"]:
            return serving.run(sandbox=sandbox, say=self.say)
        if options["greet"]:
            return serving.greet(sandbox=sandbox)
        self.check(tags=[PRODUCTION])
        lock = take_lock(settings.VAR_DIR / "serve.lock")
        check_port(settings.HOST, settings.PORT, "PORT")
        if sandbox:
            for name in ("SANDBOX_PORT", "SANDBOX_SMPP_PORT", "SANDBOX_SMTP_PORT"):
                check_port("127.0.0.1", getattr(settings, name), name)
        try:
            self.prepare(sandbox=sandbox, with_demo=sandbox and not options["no_demo"])
        except OperationalError as error:
            raise CommandError(f"The database cannot be reached or used: {error}") from None
        finally:
            connections.close_all()
        os.set_inheritable(lock.fileno(), True)  # held on until what we become ends
        os.chdir(settings.BASE_DIR)
        argv = [sys.executable, "-m", "crm", "serve", "--prepared", *([] if sandbox else ["--no-sandbox"])]
        os.execve(argv[0], argv, self.environment(sandbox=sandbox))  # noqa: S606 - our own command line

    def environment(self, *, sandbox: bool) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "crm.settings",
            "PYTHONUNBUFFERED": "1",
            "VAR_DIR": str(settings.VAR_DIR),
            "TRIAL_UNITS": str(settings.TRIAL_UNITS or (PLAY_UNITS if sandbox else 0)),
            "SYSTEM_CLIENT_ID": str(settings.SYSTEM_CLIENT_ID or demo.operator_id()),
        }

    def prepare(self, *, sandbox: bool, with_demo: bool) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.say("Preparing the database …")
            call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)
        if collect_if_changed():
            self.say("Static files collected.")
        if sandbox:
            demo.connect_sandbox()
            demo.connect_sandbox_wires()
            demo.connect_mpesa()
        if with_demo and demo.seed_if_empty():
            self.say("Made a demo client.")

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def check_port(host: str, port: int, name: str) -> None:
    """Raises CommandError where `port` cannot be listened on, with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port only just left is free
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} on {host} cannot be used ({error.strerror}). Stop what uses it or choose another, "
                f"for example: {name}={port + 10} make run"
            ) from None


def take_lock(path: Path) -> IO[str]:
    """Hold `path` for as long as this process lives: one supervisor for each data folder."""
    handle = open(path, "a+")  # noqa: SIM115 - kept open on purpose
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        raise CommandError(
            f"Tarishi already runs from {path.parent} (process {handle.read().strip()}). Stop it first, or give this "
            "one a folder of its own by VAR_DIR."
        ) from None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle
