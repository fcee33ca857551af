"""`manage.py settings_reference`: docs/settings.md, made from crm/settings.py so that it cannot go stale unnoticed."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

PAGE = Path(settings.RESOURCES, "docs", "settings.md")
SOURCE = Path(settings.BASE_DIR, "crm", "settings.py")
KINDS = {
    "str": "text",
    "int": "number",
    "bool": "yes or no",
    "list": "list, by commas",
    "db_url": "URL",
    "email_url": "URL",
}

# What each variable means, in the order of the page. Names, kinds and defaults come from the code.
MEANINGS: dict[str, dict[str, str]] = {
    "Where it runs": {
        "PORT": "Port of the web server that `make run` starts.",
        "HOST": "Address it listens on. `0.0.0.0` opens it to the network; then name it in `ALLOWED_HOSTS` too.",
        "SANDBOX_PORT": "Port of the sandbox, on this machine only.",
        "SANDBOX_SMPP_PORT": "Port of the sandbox for SMPP; unset: 1000 above SANDBOX_PORT.",
        "SANDBOX_SMTP_PORT": "Port of the sandbox for mail; unset: 2000 above SANDBOX_PORT.",
        "PUBLIC_URL": "The address people and providers use. Callbacks and links are made from it; `https://` switches "
        "on secure cookies, HSTS and the redirect to HTTPS. Default: `http://127.0.0.1:` and `PORT`.",
        "ALLOWED_HOSTS": "Host names the server answers to. Empty: this machine and the host of `PUBLIC_URL`.",
        "BEHIND_PROXY": "A proxy in front ends TLS and sets `X-Forwarded-Proto`, overwriting what clients send.",
        "TRUSTED_PROXY_COUNT": "How many proxies append to `X-Forwarded-For`; decides which address is the caller's.",
        "SSL_REDIRECT": "With an `https://` public address: send plain HTTP there. `/api/health` is left alone.",
        "VAR_DIR": "Folder of everything an installation keeps in files: database, uploads, queue, made secrets. "
        "Default: `var` beside `manage.py`; of an installed package, in the folder where it is started.",
        "MEDIA_ROOT": "Folder of uploads and exports, which all hosts must see. Default: `media` in `VAR_DIR`.",
        "BRAND_NAME": "The name on every page.",
        "BRAND_DETAILS": "Who sells here, as the head of bills, receipts and statements prints it: address, tax "
        "number; `|` between the lines.",
        "BRAND_LOGO": "Path of a PNG or JPEG of at most 200 KB that stands there, and in the head of every page, "
        "instead of the name.",
        "BRAND_ACCENT": "Colour of buttons and links, such as `#7a1f5c`. It must read at 4.5:1 on light pages; for "
        "dark ones it is lightened until it does. Empty: petrol.",
        "SOURCE_URL": "Where the source code can be had; the front page then links to it.",
        "LANGUAGE_CODE": "`en`, `fr` or `sw`: for somebody who chose none and whose browser asks for none of them.",
    },
    "Secrets": {
        "SECRET_KEY": "Signs sessions and links; at least 50 characters. Empty: made once and kept under `VAR_DIR`.",
        "ENCRYPTION_KEY": "Encrypts provider credentials at rest: Fernet keys, newest first. To rotate, put a new "
        "one in front. Empty: made once and kept under `VAR_DIR`. **Without it a backup cannot be read.**",
    },
    "People": {
        "REGISTRATION": "`open`: anybody may register an organisation, which starts in trial; `closed`: the operator "
        "opens them. Default: open while `PUBLIC_URL` is plain HTTP, closed once it is HTTPS.",
        "DEFAULT_COUNTRY": "Country of phone numbers that a visitor writes without their country code.",
        "STAFF_SECOND_FACTOR": "Staff need a second step before the back office opens. Default: yes once "
        "`PUBLIC_URL` is HTTPS.",
    },
    "Servers": {
        "DATABASE_URL": "`postgres://user:…@host:5432/name`. Default: SQLite under `VAR_DIR`.",
        "DATABASE_REPLICA_URL": "A copy of the database that follows it by streaming. Histories, results, statistics "
        "and exports of messages are read there while it is there and at most ten seconds late. Empty: none.",
        "CELERY_BROKER_URL": "`redis://…` or `amqp://…`. Empty: files under `VAR_DIR`, for one host only.",
        "CACHE_URL": "`redis://…`. Empty: a table in the database.",
        "EMAIL_URL": "`smtp+tls://user:…@host:587`. Default: letters are printed to the log.",
        "DEFAULT_FROM_EMAIL": "Sender of the product's own letters.",
        "SYSTEM_CLIENT_ID": "Your own client here. Its default sender ID and its wallet send the product's own SMS, "
        "such as notices to members. `0`: no SMS of the product's own.",
    },
    "Limits": {
        "API_RATE_PER_MINUTE": "Calls a minute for each API key, where its client has no limit of its own.",
        "MAX_IMPORT_BYTES": "Largest contact file.",
        "MAX_IMPORT_ROWS": "Most rows of a contact file.",
        "IMPORT_HOLD_CONSECUTIVE": "So many numbers in a row make an import wait for staff, such as 250; 0: never.",
        "RECIPIENT_EQUAL_PER_HOUR": "Equal texts that a client may send to one number in an hour; 0: no limit. Each "
        "client may have limits of its own, set in the back office.",
        "RECIPIENT_ANY_PER_HOUR": "Messages that a client may send to one number in an hour; 0: no limit.",
        "RECIPIENT_ANY_PER_DAY": "Messages that a client may send to one number in 24 hours; 0: no limit.",
        "EVENT_MONTHS_KEPT": "Timelines of messages that are older go, a month at a time: 13 or more; 0: all are kept. "
        "The messages themselves stay, with what became of them.",
        "TRIAL_UNITS": "Free units that a new client begins with, at the price of an SMS to its own country.",
        "ADJUSTMENT_ALONE_UP_TO": "Largest adjustment of a balance that one member of staff makes alone, in any "
        "currency; above it a second one approves.",
        "TOPUP_MIN": "Least of one top-up, in whole shillings.",
        "TOPUP_MAX": "Most of one top-up; M-Pesa itself takes 250,000.",
        "SENDING_SLOTS": "Messages in flight for each provider account and worker process; also the most whose outcome "
        "can be unknown after a crash.",
    },
    "Outside": {
        "AFRICASTALKING_BASE_URL": "Address of Africa's Talking for accounts that name none, and for the account "
        "called Sandbox. Empty: the vendor's own.",
        "BEEM_BASE_URL": "Address of Beem Africa; empty: the vendor's own.",
        "TWILIO_BASE_URL": "Address of Twilio; empty: the vendor's own.",
        "INFOBIP_BASE_URL": "Address of Infobip (each account has an address of its own); empty: the vendor's own.",
        "CELCOM_BASE_URL": "Address of the Celcom, Advanta and TextSMS family; empty: the vendor's own.",
        "ONFON_BASE_URL": "Address of Onfon Media; empty: the vendor's own.",
        "WHATSAPP_BASE_URL": "Address of Meta's Graph API for WhatsApp; empty: the vendor's own.",
        "NATIVE_BASE_URL": "Address of another installation that this one sends through, for accounts that name none.",
        "MPESA_BASE_URL": "Address of M-Pesa's Daraja API for accounts that name none, and for the account called "
        "Sandbox. Empty: Safaricom's own.",
        "MPESA_SHORTCODE": "The paybill, or a till's head-office number. Set, it makes an account called Environment, "
        "which all top-ups are paid into.",
        "MPESA_KIND": "`paybill` or `till`.",
        "MPESA_TILL": "Till number, for a till.",
        "MPESA_PASSKEY": "Passkey of the shortcode for M-Pesa Express.",
        "MPESA_CONSUMER_KEY": "Consumer key of the Daraja app.",
        "MPESA_CONSUMER_SECRET": "Consumer secret of the Daraja app.",
        "MPESA_HAS_STATEMENT": "Pull Transactions is registered for the shortcode: it verifies payments to the paybill "
        "and finds lost receipts.",
        "WEBHOOK_ALLOWED_NETWORKS": "CIDR blocks that webhooks may reach besides public addresses.",
        "WEBHOOK_ALLOW_HTTP": "Let webhooks go to plain `http://` addresses.",
    },
    "Watching": {
        "METRICS_TOKEN": "Whoever sends `Authorization: Bearer` with it may read `/metrics`, for Prometheus.",
        "METRICS_NETWORKS": "CIDR blocks whose callers may read `/metrics` without a token. With neither, nobody may.",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "OpenTelemetry collector that takes traces by OTLP over HTTP, such as "
        "`http://collector:4318`; needs the extra `otel`. Its `OTEL_…` variables hold too. Empty: none.",
        "LOG_FORMAT": "`line`, or `json`: an object a line with the ids of request, client and task.",
        "LOG_LEVEL": "Level of the log on standard error.",
        "CELERY_LOG_LEVEL": "Level of Celery's own lines in it.",
        "DEBUG": "Django's debug pages. Never where strangers can reach them.",
    },
    "Tests": {
        "TEST_RUN": "A word that keeps the databases, queues and cache keys of simultaneous test runs apart.",
        "PYTEST_XDIST_WORKER": "The same for the processes of one run; set by pytest-xdist.",
    },
}
PREFACE = """# Settings

Every setting is an environment variable with a working default; with none set, Tarishi runs on one machine with
SQLite, a queue of files and the sandbox. This page is made from the code by `make settings-docs`.
"""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable as crm/settings.py reads it. default: Python source."""

    name: str
    kind: str
    default: str


class Command(BaseCommand):
    help = "Print docs/settings.md as the code has it; --write writes it, --check fails when it is stale."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true")
        parser.add_argument("--check", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        page = make_page(read_variables(SOURCE.read_text(encoding="utf-8")))
        if options["write"]:
            PAGE.write_text(page, encoding="utf-8")
        elif options["check"]:
            if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
                raise CommandError("docs/settings.md is stale: run make settings-docs")
        else:
            sys.stdout.write(page)


def read_variables(source: str) -> dict[str, Variable]:
    """Every `env.<kind>("NAME", default)` and `_secret("NAME", …)` of the settings, by name."""
    found: dict[str, Variable] = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        name = str(node.args[0].value)
        if isinstance(node.func, ast.Name) and node.func.id == "_secret":
            found[name] = Variable(name, "text", "''")
        elif isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "env":
            given = node.args[1:] + [keyword.value for keyword in node.keywords if keyword.arg == "default"]
            found[name] = Variable(name, KINDS[node.func.attr], ast.unparse(given[0]) if given else "''")
    return found


def make_page(variables: dict[str, Variable]) -> str:
    """The page. Raises: CommandError when the code and MEANINGS do not name the same variables."""
    described = {name for rows in MEANINGS.values() for name in rows}
    if described != set(variables):
        odd = ", ".join(sorted(described ^ set(variables)))
        raise CommandError(f"crm/settings.py and MEANINGS in {Path(__file__).name} differ in: {odd}")
    parts = [PREFACE]
    for title, rows in MEANINGS.items():
        parts.append(f"\n## {title}\n\n| variable | kind | default | meaning |\n|---|---|---|---|\n")
        for name, meaning in rows.items():
            variable = variables[name]
            parts.append(f"| `{name}` | {variable.kind} | {_shown(variable.default)} | {meaning} |\n")
    return "".join(parts)


def _shown(default: str) -> str:
    """A default as people write it in an environment; one computed from other settings is told in the meaning."""
    try:
        value = ast.literal_eval(default)
    except ValueError:
        pass
    else:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"`{value}`" if value not in ("", []) else "empty"
    if isinstance(tree := ast.parse(default, mode="eval").body, ast.BinOp) and isinstance(tree.op, ast.LShift):
        return f"`{ast.literal_eval(tree.left) << ast.literal_eval(tree.right)}`"
    return "see meaning"
