"""A whole installation as the children of one process, which loads the code once and forks what serves and works.

So they share what it takes in memory, which each would need for itself otherwise. Where forking is no matter of course,
and where traces are sent, each part is a program of its own.
"""

import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings

from crm import demo, loading
from crm.management.commands.web import default_threads, web_argv
from crm.supervisor import Program, Supervisor
from crm.webserver import serve

RECIPIENT = "254712345678"  # of the printed curl line; the demo client has it as a contact too
REPORT_EVERY = 15.0  # seconds between two lines about what is still awaited


class Greeting:
    """Asks the installation for its health until it answers 200, then prints how to use it."""

    def __init__(self, say: Callable[[str], None], *, sandbox: bool) -> None:
        self.say = say
        self.sandbox = sandbox
        self.told_sandbox = not sandbox

    def run(self) -> None:
        next_report = time.monotonic() + REPORT_EVERY
        while missing := self.find_missing():
            if time.monotonic() > next_report:
                next_report = time.monotonic() + REPORT_EVERY
                self.say(f"Not ready yet: {missing}.")
            time.sleep(0.5)
        self.say(announcement(sandbox=self.sandbox))

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


def run(*, sandbox: bool, say: Callable[[str], None]) -> None:
    """Keep all parts running until SIGTERM, SIGINT or SIGHUP.

    This process itself never speaks to the database: SQLite's locks do not survive that a process forks which has, or
    had in another thread, a connection.
    """
    shared = loading.is_shared()
    if shared:
        loading.load(workers=True)
    found = programs(sandbox=sandbox, shared=shared)
    Supervisor(found, folder=str(settings.BASE_DIR), environment=os.environ, say=say).run()
    say("Stopped.")


def programs(*, sandbox: bool, shared: bool) -> list[Program]:
    """The child processes, in the order they are started; `shared` forks them. Pages and API share two web processes:
    more of them only queue for SQLite's one writer."""
    web = web_argv(host=settings.HOST, port=settings.PORT, workers=2, threads=default_threads())
    web[web.index("--workers-kill-timeout") + 1] = "2"
    found = [
        Program("web", web, main=partial(serve, web[3:]) if shared else None),
        _worker("worker", "main", shared=shared),
        _worker("heavy", "heavy", shared=shared),
        _greeting(sandbox=sandbox, shared=shared),
    ]
    if sandbox:
        data = str(settings.VAR_DIR / "sandbox.sqlite3")
        argv = [sys.executable, "-m", "crm.sandbox", "--port", str(settings.SANDBOX_PORT), "--data", data]
        argv += ["--smpp-port", str(settings.SANDBOX_SMPP_PORT), "--smtp-port", str(settings.SANDBOX_SMTP_PORT)]
        found.insert(0, Program("sandbox", argv, is_ready=_sandbox_answers))  # asked by the first round of the schedule
    return found


def _greeting(*, sandbox: bool, shared: bool) -> Program:
    argv = [sys.executable, "-m", "crm", "serve", "--greet", *([] if sandbox else ["--no-sandbox"])]
    return Program("greeting", argv, main=partial(greet, sandbox=sandbox) if shared else None, once=True)


def greet(*, sandbox: bool) -> None:
    """Say how to use the installation once it is ready."""
    Greeting(partial(print, flush=True), sandbox=sandbox).run()


def _sandbox_answers() -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", settings.SANDBOX_PORT)) == 0


def _worker(name: str, queue: str, *, shared: bool) -> Program:
    argv = [sys.executable, "-m", "crm", "worker", "--queue", queue]
    return Program(name, argv, main=partial(_work, queue) if shared else None)


def _work(queue: str) -> None:
    from crm.worker import run_worker  # with Celery, which only workers need

    sys.exit(run_worker(queue, schedule=queue == "main"))


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
