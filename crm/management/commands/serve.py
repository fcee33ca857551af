"""`manage.py serve`, what `make run` starts: everything of an installation on one machine, from one terminal."""

import fcntl
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from crm import demo
from crm.checks import PRODUCTION
from crm.management.commands.web import default_threads, web_argv
from crm.static_files import collect_if_changed
from crm.supervisor import Program, Supervisor

PLAY_UNITS = 5  # free units of who registers where all money is play, unless TRIAL_UNITS says how many
RECIPIENT = "254712345678"  # of the printed curl line; the demo client has it as a contact too
REPORT_EVERY = 15.0  # seconds between two lines about what is still awaited


class Command(BaseCommand):
    help = "Prepare the database and start web, workers, schedule and sandbox here; SIGTERM or Ctrl-C stops all."
    requires_system_checks = [PRODUCTION]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="make no demo client on the first start")
        parser.add_argument("--no-sandbox", action="store_true", help="start no sandbox (implies --no-demo)")

    def handle(self, *args: Any, **options: Any) -> None:
        sandbox = not options["no_sandbox"]
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
        ready = Readiness(self.say, sandbox=sandbox)
        Supervisor(
            programs(sandbox=sandbox),
            folder=str(settings.BASE_DIR),
            environment={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "crm.settings",
                "PYTHONUNBUFFERED": "1",
                "VAR_DIR": str(settings.VAR_DIR),
                "TRIAL_UNITS": str(settings.TRIAL_UNITS or (PLAY_UNITS if sandbox else 0)),
                "SYSTEM_CLIENT_ID": str(settings.SYSTEM_CLIENT_ID or demo.operator_id()),
            },
            say=self.say,
            tick=ready.look,
        ).run()
        self.say("Stopped.")
        lock.close()

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


class Readiness:
    """Asks the installation for its health until it answers 200, then prints how to use it, once."""

    def __init__(self, say: Any, *, sandbox: bool) -> None:
        self.say = say
        self.sandbox = sandbox
        self.told_sandbox = not sandbox
        self.done = False
        self.next_look = 0.0
        self.next_report = time.monotonic() + REPORT_EVERY

    def look(self) -> None:
        now = time.monotonic()
        if self.done or now < self.next_look:
            return
        self.next_look = now + 0.5
        missing = self.find_missing()
        if not missing:
            self.done = True
            self.say(announcement(sandbox=self.sandbox))
        elif now > self.next_report:
            self.next_report = now + REPORT_EVERY
            self.say(f"Not ready yet: {missing}.")

    def find_missing(self) -> str:
        """What is not there yet, in words; empty when all is."""
        try:
            if not self.told_sandbox:
                demo.tell_sandbox()
                demo.register_sandbox_paybill()
                self.told_sandbox = True
        except OSError as error:
            return f"the sandbox does not answer ({error})"
        try:
            read(health_request())
        except urllib.error.HTTPError as error:
            return f"health says {error.code}: {error.read(2000).decode('utf-8', 'replace')}"
        except OSError as error:
            return f"the web server does not answer ({error})"
        return ""


def programs(*, sandbox: bool) -> list[Program]:
    """The child processes, in the order they are started. Pages and API share two web processes: more of them only
    queue for SQLite's one writer."""
    python = sys.executable
    web = web_argv(host=settings.HOST, port=settings.PORT, workers=2, threads=default_threads())
    web[web.index("--workers-kill-timeout") + 1] = "2"
    manage = [python, "-m", "crm"]
    found = [
        Program("web", web),
        Program("worker", [*manage, "worker", "--queue", "main"]),
        Program("heavy", [*manage, "worker", "--queue", "heavy"]),
    ]
    if sandbox:
        data = str(settings.VAR_DIR / "sandbox.sqlite3")
        argv = [python, "-m", "crm.sandbox", "--port", str(settings.SANDBOX_PORT), "--data", data]
        argv += ["--smpp-port", str(settings.SANDBOX_SMPP_PORT), "--smtp-port", str(settings.SANDBOX_SMTP_PORT)]
        found.insert(0, Program("sandbox", argv))
    return found


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


def local_url() -> str:
    """Where the web server is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.HOST, settings.HOST)  # noqa: S104
    return f"http://{host}:{settings.PORT}"


def health_request() -> urllib.request.Request:
    # The public name, since ALLOWED_HOSTS may list nothing else.
    return urllib.request.Request(f"{local_url()}/api/health", headers={"Host": urlsplit(settings.PUBLIC_URL).netloc})  # noqa: S310


def read(request: urllib.request.Request) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by the environment's proxy
    with opener.open(request, timeout=2) as answer:
        return answer.read(65536)


def announcement(*, sandbox: bool) -> str:
    """What a newcomer needs, in one block."""
    lines = ["", f"{settings.BRAND_NAME} is ready.", "", f"  Dashboard      {settings.PUBLIC_URL}/"]
    access = demo.load_access()
    if access:
        lines += [
            f"  Sign in        {access.email}",
            f"  Password       {access.password}",
            f"  Client id      {access.client_id}",
            f"  API key        {access.api_key}",
        ]
    else:
        lines.append("  Sign in        with your own account (python manage.py createclient makes one)")
    if sandbox:
        lines.append(f"  Handset        {settings.SANDBOX_URL}/handset/+{RECIPIENT}  (any number has one)")
    if access:
        body = {
            "channel": "sms",
            "recipient": RECIPIENT,
            "sender": access.sender_id,
            "body": "Hello from Tarishi",
        }
        lines += ["", "Send a message:", "", f"  {curl_line(access, body)}"]
    return "\n".join([*lines, "", f"Ctrl-C stops everything. The data is kept in {settings.VAR_DIR}.", ""])


def curl_line(access: demo.Access, body: dict[str, str]) -> str:
    return (
        f"curl -X POST {settings.PUBLIC_URL}/api/{access.client_id}/messages/send -H 'X-API-KEY: {access.api_key}' "
        f"-H 'Content-Type: application/json' -d '{json.dumps(body)}'"
    )
