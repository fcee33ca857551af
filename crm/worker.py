"""One Celery worker process: `main` sends messages and may keep the schedule, `heavy` takes long jobs such as imports.

The pool is threads: the sending loop keeps hundreds of requests in flight by itself, and a process killed with -9
leaves no children. The schedule is a thread too, for the same reason (`celery worker -B` would leave a process).

Of all processes that could keep the schedule (main workers, `manage.py beat`) one does, by a lease (crm/leases.py).

The broker only wakes. While it is away, whoever keeps the schedule runs what it would have sent there in its own
process, so that queued messages still leave (GUARANTEES.md D3); so does a main worker with its own jobs.
"""

import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from celery import signals as celery_signals
from celery.beat import ScheduleEntry, Scheduler, Service
from celery.exceptions import SecurityWarning
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections

from crm import leases
from crm.celery import app
from crm.common import heartbeat, stopping, tracing, wake
from crm.common.garbage import keep_what_is_loaded
from messaging.sending import runner
from messaging.sending.lines import Lines
from messaging.services.network_ranges import keep_network_ranges

log = logging.getLogger(__name__)

THREADS = {"main": 4, "heavy": 2}
QUEUE_NAMES = {
    "main": settings.CELERY_TASK_DEFAULT_QUEUE,
    "heavy": f"{settings.CELERY_TASK_DEFAULT_QUEUE}-heavy",
}
GRACE_SECONDS = 4.0  # for what is running when the worker is asked to end; the rows of the rest are taken up later


def load() -> None:
    """All that tasks and Celery's worker need; before the first of them, or before workers are forked."""
    app.loader.import_default_modules()
    for name in ("apps.worker", "concurrency.thread", "worker.autoscale", "worker.components", "worker.consumer"):
        import_module(f"celery.{name}")


def run_worker(queue: str, *, schedule: bool) -> int:
    """Work on `queue` ("main" or "heavy") until SIGTERM or SIGINT. Returns the exit code."""
    # Celery warns root because its messages could once be pickles; these are JSON.
    warnings.simplefilter("ignore", SecurityWarning)
    threading.Thread(target=_beat_until_stopped, args=(queue,), name="heartbeat", daemon=True).start()
    keep_network_ranges()
    load()
    keep_what_is_loaded()
    if schedule:
        service = _schedule_service()
        threading.Thread(target=service.start, name="schedule", daemon=True).start()
    if queue == "main":
        threading.Thread(target=Lines().keep, name="lines", daemon=True).start()
    os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # `worker` made ours; Celery's would load every page
    celery_signals.setup_logging.connect(_keep_logging, weak=False)
    celery_signals.worker_shutting_down.connect(_stop_in_time, weak=False)
    if queue == "main":
        celery_signals.worker_ready.connect(_look_for_work, weak=False)
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


def run_beat() -> int:
    """Keep the schedule, and nothing else, until SIGTERM or SIGINT. Returns the exit code."""
    service = _schedule_service()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.request_stop())
    threading.Thread(target=service.start, name="schedule", daemon=True).start()
    while not stopping.pause(60):
        pass
    if wake.when_broker_is_away:
        runner.stop_all()  # what it sends in the broker's place
    service.scheduler.hand_over()
    time.sleep(0.1)  # for a round that had begun
    return 0


def _schedule_service() -> Service:
    load()  # before the first round, which may have to run tasks here
    wake.when_broker_is_away = StandIn().run
    return Service(app, max_interval=1, scheduler_cls=LeasedSchedule)


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


class LeasedSchedule(EagerStart):
    """The schedule of that one process which holds the lease; the others look every two seconds whether it is free.

    Whoever takes it over begins with every entry due: nobody knows which round its predecessor missed.
    """

    DUTY = "schedule"
    RENEW_SECONDS = 3.0
    WAIT_SECONDS = 2.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.owner = leases.new_owner()
        self._asked_at = float("-inf")
        self._holds = False
        self._report: Callable[..., None] = log.warning
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if stopping.stop_requested():
            self.hand_over()
            return 1.0
        if time.monotonic() - self._asked_at >= self.RENEW_SECONDS or not self._holds:
            self._ask()
        return super().tick(*args, **kwargs) if self._holds else self.WAIT_SECONDS

    def hand_over(self) -> None:
        """Let another process keep the schedule from now on."""
        if self._holds:
            self._holds = False
            try:
                leases.release(self.DUTY, self.owner)
            except DatabaseError as error:  # then it runs out by itself
                log.warning("the schedule could not be handed over (%s)", error)
            connections.close_all()

    def _ask(self) -> None:
        held_before, self._asked_at = self._holds, time.monotonic()
        try:
            self._holds = leases.hold(self.DUTY, self.owner)
            self._report = log.warning
        except DatabaseError as error:  # nothing that is scheduled could be done without it either
            self._holds = False
            self._report("the schedule waits for the database (%s)", error)
            self._report = log.debug
        close_old_connections()
        if self._holds and not held_before:
            log.info("this process keeps the schedule")
            for entry in self.schedule.values():
                entry.last_run_at = entry.last_run_at.replace(year=2000)
            self._heap = None


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
            with tracing.span(f"task {name}", kind="consumer"):
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


def _look_for_work(**kwargs: Any) -> None:
    """Go on with what a killed worker left: the lease of the schedule, which it may have kept, is its own for 15 s."""
    wake.send_now("messaging.sweep", expires=9)


def _stop_in_time(**kwargs: Any) -> None:
    stopping.request_stop()
    runner.stop_all()
    timer = threading.Timer(GRACE_SECONDS, os._exit, args=(0,))
    timer.daemon = True
    timer.start()


def _keep_logging(**kwargs: Any) -> None:
    """Having a receiver tells celery to leave Django's logging as it is."""
