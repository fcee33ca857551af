"""Whether this installation can serve: no key, cheap, and an answer in JSON whatever is away.

`/api/health` speaks of the whole installation. For balancers and orchestrators, of the one process that answers:
`/api/health/live` (restart it when this fails) and `/api/health/ready` (send it no requests while this fails). A web
process without a broker or workers still takes messages, so these do not make it unready.
"""

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from crm import __version__
from crm.common import heartbeat
from crm.common.access import public_page
from crm.common.api.errors import http_failure
from crm.common.sql import database_now

log = logging.getLogger(__name__)
BROKER_SECONDS = 2.0


class Unhealthy(Exception):
    """A check failed; its text is one or two plain words for the answer."""


@csrf_exempt  # so that a POST is told 405 in JSON like any other program's mistake
@never_cache
@public_page
def health(request: HttpRequest) -> JsonResponse:
    """200 when the database, the broker and both kinds of worker are there, else 503 and what is not."""
    return _answer(request, run_checks)


@csrf_exempt
@never_cache
@public_page
def live(request: HttpRequest) -> JsonResponse:
    """200 while this process answers at all."""
    return _answer(request, dict)


@csrf_exempt
@never_cache
@public_page
def ready(request: HttpRequest) -> JsonResponse:
    """200 while this process can do its work: the database answers and has the tables of this release."""
    return _answer(request, lambda: {name: _word(name, check) for name, check in READY_CHECKS.items()})


def _answer(request: HttpRequest, look: Callable[[], dict[str, str]]) -> JsonResponse:
    if request.method not in ("GET", "HEAD"):
        return JsonResponse(http_failure(405), status=405, headers={"Allow": "GET, HEAD"})
    checks = look()
    healthy = all(word == "ok" for word in checks.values())
    body = {
        "status": "ok" if healthy else "error",
        "version": __version__,
        "checks": checks,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    response = JsonResponse(body, status=200 if healthy else 503)
    response._has_been_logged = True  # type: ignore[attr-defined]  # `_word` logs changes; not every answer of 503
    return response


def run_checks() -> dict[str, str]:
    """ "ok" or what is wrong, for each of `database`, `broker` and `worker`."""
    return {name: _word(name, check) for name, check in CHECKS.items()}


def check_database() -> None:
    database_now()


def check_broker() -> None:
    """Whether it takes connections, or for the broker of files whether its folder can be written."""
    if settings.CELERY_BROKER_URL.startswith("safefs"):
        folder = str(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"])
        if os.path.isdir(folder) and not os.access(folder, os.W_OK):
            raise Unhealthy("not writable")
        return
    with current_app.connection_for_write(connect_timeout=BROKER_SECONDS) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)


def check_workers() -> None:
    try:
        now = database_now()
    except DatabaseError:
        raise Unhealthy("unknown") from None
    silent = [queue for queue in heartbeat.QUEUES if not heartbeat.is_alive(queue, now)]
    if silent:
        raise Unhealthy(f"no sign of {' and '.join(silent)}")


_migrated = False  # once it was, it stays so for the code of this process


def check_migrations() -> None:
    """Whether every migration of this code was applied; asked for until it was."""
    global _migrated
    if _migrated:
        return
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        raise Unhealthy("unknown") from None
    if pending:
        raise Unhealthy(f"{len(pending)} not applied")
    _migrated = True


CHECKS: dict[str, Callable[[], None]] = {
    "database": check_database,
    "broker": check_broker,
    "worker": check_workers,
}
READY_CHECKS: dict[str, Callable[[], None]] = {"database": check_database, "migrations": check_migrations}


_last_words: dict[str, str] = {}  # of this process, so that an outage is logged once and not at every probe


def _word(name: str, check: Callable[[], None]) -> str:
    problem: object = ""
    try:
        check()
        word = "ok"
    except Unhealthy as reason:
        word = str(reason)
    except Exception as error:  # whatever a driver raises when its server is away
        word, problem = "unavailable", error
    if word != _last_words.get(name, "ok"):
        log.log(logging.INFO if word == "ok" else logging.WARNING, "%s: %s %s", name, word, problem)
    _last_words[name] = word
    return word
