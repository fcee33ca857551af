"""One Celery worker process: `main` sends messages and keeps the schedule, `heavy` takes long jobs such as imports.

The pool is threads: the sending loop keeps hundreds of requests in flight by itself, and a process killed with -9
leaves no children. The schedule is a thread too, for the same reason (`celery worker -B` would leave a process).

The broker only wakes. While it is away, the main worker runs what the schedule and its own jobs would have sent
there, in this process, so that queued messages still leave (GUARANTEES.md D3).
"""

import logging
import os
import socket
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery import signals
from celery.beat import ScheduleEntry, Scheduler, Service
from celery.exceptions import SecurityWarning
from django.conf import settings
from django.db import close_old_connections, connections

from crm.celery import app
from crm.common import heartbeat, stopping, wake
from messaging.sending import runner
from messaging.sending.lines import Lines

log = logging.getLogger(__name__)

THREADS = {"main": 4, "heavy": 2}
QUEUE_NAMES = {
    "main": settings.CELERY_TASK_DEFAULT_QUEUE,
    "heavy": f"{settings.CELERY_TASK_DEFAULT_QUEUE}-heavy",
}
GRACE_SECONDS = 4.0  # for what is running when the worker is asked to end; the rows of the rest are taken up later


def run_worker(queue: str, *, schedule: bool) -> int:
    """Work on `queue` ("main" or "heavy") until SIGTERM or SIGINT. Returns the exit code."""
    # Celery warns root because its messages could once be pickles; these are JSON.
    warnings.simplefilter("ignore", SecurityWarning)
    threading.Thread(target=_beat_until_stopped, args=(queue,), name="heartbeat", daemon=True).start()
    if schedule:
        app.loader.import_default_modules()  # before the first round, which may have to run tasks here
        stand_in = StandIn()
        wake.when_broker_is_away = stand_in.run
        service = Service(app, max_interval=1, scheduler_cls=EagerStart)
        threading.Thread(target=service.start, name="schedule", daemon=True).start()
    if queue == "main":
        threading.Thread(target=Lines().keep, name="lines", daemon=True).start()
    signals.setup_logging.connect(_keep_logging, weak=False)
    signals.worker_shutting_down.connect(_stop_in_time, weak=False)
    worker = app.Worker(
        hostname=f"{queue}@{socket.gethostname()}",
        queues=[QUEUE_NAMES[queue]],
        pool="threads",
        concurrency=THREADS[queue],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    return worker.exitcode or 0


class EagerStart(Scheduler):
    """A schedule in memory whose entries are all due at the start: what a killed worker left waits for no interval.

    Entries go through `wake`, which survives a broker that is away; celery's own way would wait for it.
    """

    def setup_schedule(self) -> None:
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = entry.last_run_at.replace(year=2000)

    @property
    def producer(self) -> None:
        """None: `wake` takes one from the application's pool when it needs it."""

    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any) -> None:
        wake.send_now(entry.task, *(entry.args or ()), **entry.options)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        return 1.0 if stopping.stop_requested() else super().tick(*args, **kwargs)


class StandIn:
    """Runs tasks in this process while the broker is away, each (name, arguments) at most once at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=THREADS["main"], thread_name_prefix="stand-in")
        self._running: set[tuple] = set()
        self._lock = threading.Lock()

    def run(self, task: str, args: tuple) -> bool:
        """Take the job; False where this process does not know the task or is ending."""
        if task not in app.tasks or stopping.stop_requested():
            return False
        job = (task, *args)
        with self._lock:
            if job in self._running:
                return True
            self._running.add(job)
        self._pool.submit(self._run, job)
        return True

    def _run(self, job: tuple) -> None:
        name, *args = job
        try:
            app.tasks[name](*args)
        except Exception:
            log.exception("%s failed", name)
        finally:
            with self._lock:
                self._running.discard(job)
            connections.close_all()


def _beat_until_stopped(queue: str) -> None:
    report: Callable[..., None] = log.warning
    while True:
        try:
            heartbeat.beat(queue)
            report = log.warning
        except Exception as error:  # the database or the cache is away: said once, and health says so too
            report("the %s worker cannot leave a sign of life (%s)", queue, error)
            report = log.debug
        close_old_connections()
        if stopping.pause(heartbeat.EVERY_SECONDS):
            return


def _stop_in_time(**kwargs: Any) -> None:
    stopping.request_stop()
    runner.stop_all()
    timer = threading.Timer(GRACE_SECONDS, os._exit, args=(0,))
    timer.daemon = True
    timer.start()


def _keep_logging(**kwargs: Any) -> None:
    """Having a receiver tells celery to leave Django's logging as it is."""
