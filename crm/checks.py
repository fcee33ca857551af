"""Settings with which an installation must not serve: each a sentence that says what is wrong and what to set.

They hold as soon as PUBLIC_URL is not this machine. `web`, `worker`, `beat`, `prepare` and `serve` refuse to start with
an error; `check` and `doctor` show warnings too.
"""

import ipaddress
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from crm.common import replica, tracing

PRODUCTION = "production"
_PRIVATE_ENDINGS = (".local", ".lan", ".internal", ".test", ".home.arpa", ".localhost")
_LEAST_DIFFERENT = 12  # characters of a secret; random ones of 43 have about 30


@register(PRODUCTION)
def check_production(**kwargs: Any) -> list[CheckMessage]:
    """Every reason not to serve the public like this."""
    found = [*_secrets(), *_traces()]
    if _is_here(settings.PUBLIC_URL):
        return found
    return [*found, *_web(), *_servers(), *_mail()]


def _is_here(url: str) -> bool:
    """Whether an address means this machine alone."""
    host = urlsplit(url).hostname or "localhost"
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_private(url: str) -> bool:
    """Whether an address can only be reached from inside a house: a private one, or a name without a public ending."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_ENDINGS)


def _secrets() -> Iterator[CheckMessage]:
    for name, value in (("SECRET_KEY", settings.SECRET_KEY), ("ENCRYPTION_KEY", "".join(settings.ENCRYPTION_KEYS))):
        if len(set(value)) < _LEAST_DIFFERENT or value.lower().startswith(("django-insecure", "changeme", "change-me")):
            yield Error(
                f"{name} can be guessed.", hint="Set it to random characters, or leave it empty to have one made.",
                id="tarishi.E001",
            )  # fmt: skip
    for key in settings.ENCRYPTION_KEYS:
        try:
            Fernet(key)
        except ValueError:
            yield Error(
                "ENCRYPTION_KEY is not a Fernet key.",
                hint="It is 44 characters that `openssl rand -base64 32 | tr +/ -_` prints, or leave it empty.",
                id="tarishi.E002",
            )
            return


def _traces() -> Iterator[CheckMessage]:
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT and not tracing.is_on():
        yield Error(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: no traces would be sent.",
            hint="In the folder of the source: pip install '.[otel]'. Or unset the endpoint.", id="tarishi.E014",
        )  # fmt: skip


def _web() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield Error(
            "DEBUG is on: its pages show code and settings to strangers.", hint="Unset DEBUG.", id="tarishi.E003"
        )
    if not settings.HTTPS:
        words = "PUBLIC_URL is plain http://: passwords, API keys and messages would travel readable."
        hint = "Put a proxy with TLS in front (deploy/ has one) and set PUBLIC_URL to https://…"
        yield (
            Warning(words, hint=hint, id="tarishi.W004")
            if _is_private(settings.PUBLIC_URL)
            else Error(words, hint=hint, id="tarishi.E004")
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS is *: links in letters could be made to lead anywhere.",
            hint="List the names of this installation, or leave it empty for the one of PUBLIC_URL.",
            id="tarishi.E005",
        )
    if settings.HTTPS and settings.SECURE_SSL_REDIRECT and settings.SECURE_PROXY_SSL_HEADER is None:
        yield Warning(
            "PUBLIC_URL is https:// and no proxy is trusted to say so: every request would be sent to HTTPS for ever.",
            hint="Set BEHIND_PROXY=1 and TRUSTED_PROXY_COUNT=1 behind a proxy that ends TLS.",
            id="tarishi.W006",
        )
    if settings.SECURE_PROXY_SSL_HEADER and not settings.TRUSTED_PROXY_COUNT:
        yield Warning(
            "BEHIND_PROXY is on and TRUSTED_PROXY_COUNT is 0: all callers look like the proxy, also to the limits.",
            hint="Set TRUSTED_PROXY_COUNT to the number of proxies in front, mostly 1.",
            id="tarishi.W007",
        )
    if settings.HTTPS and not settings.STAFF_SECOND_FACTOR:
        yield Warning(
            "STAFF_SECOND_FACTOR is off: a password alone opens the back office.", hint="Unset it.", id="tarishi.W008"
        )


def _servers() -> Iterator[CheckMessage]:
    sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    shared = [
        name
        for name, url in (("CELERY_BROKER_URL", settings.CELERY_BROKER_URL), ("CACHE_URL", settings.CACHE_URL))
        if url and not url.startswith("safefs") and not _is_here(url)
    ]
    if sqlite and shared:
        yield Error(
            f"The database is a file of this host, and {shared[0]} is a server for several: each host would have "
            "messages and money of its own.",
            hint="Set DATABASE_URL to a PostgreSQL server.",
            id="tarishi.E009",
        )
    if sqlite and replica.is_configured():
        yield Error(
            "DATABASE_REPLICA_URL is set, and the database is SQLite, which nothing can follow.",
            hint="Unset it, or set DATABASE_URL to a PostgreSQL server.", id="tarishi.E015",
        )  # fmt: skip
    far = not sqlite and not _is_local_database(settings.DATABASES["default"])
    if far and settings.CELERY_BROKER_URL.startswith("safefs"):
        yield Warning(
            "The database is on another host and the queue is files of this one: other hosts are never woken.",
            hint="Set CELERY_BROKER_URL to a Redis or RabbitMQ server.",
            id="tarishi.W010",
        )
    for name in ("SECRET_KEY", "ENCRYPTION_KEY"):
        if far and not os.environ.get(name):
            yield Error(
                f"{name} is a file of this host and the database is not: hosts would not read what others wrote.",
                hint=f"Set {name} to one value on every host; that of this one is in "
                f"{settings.VAR_DIR}/secrets/{name.lower()}.",
                id="tarishi.E011",
            )


def _is_local_database(database: dict[str, Any]) -> bool:
    host = str(database.get("HOST") or "")
    return not host or host.startswith("/") or _is_here(f"//{host}")


def _mail() -> Iterator[CheckMessage]:
    if settings.EMAIL_BACKEND.endswith("console.EmailBackend") and not os.environ.get("EMAIL_URL"):
        yield Error(
            "EMAIL_URL is not set: sign-in codes, invitations and notices would end in the log.",
            hint="Set it to a mail server, smtp+tls://user:…@host:587, or to consolemail:// if that is what you want.",
            id="tarishi.E012",
        )
    if settings.DEFAULT_FROM_EMAIL.endswith("@localhost") and os.environ.get("EMAIL_URL", "").startswith("smtp"):
        yield Warning(
            "DEFAULT_FROM_EMAIL is an address at localhost, which mail servers refuse.",
            hint="Set it to an address of your domain.",
            id="tarishi.W013",
        )
