"""The strawman of tests/bench/ measured beside the product; left out where the tests are not installed."""

import asyncio
import subprocess
import tempfile
import time
from importlib.util import find_spec

from django.conf import settings
from django.db import connection

from crm.bench.arriving import CONNECTIONS, web
from crm.bench.load import measure_posts
from crm.bench.machine import Figure, database_cpu, end, environment, family_cpu, start
from crm.bench.world import Carrier

MODULE = "tests.bench.strawman"


def is_there() -> bool:
    return (settings.BASE_DIR / "tests" / "bench" / "strawman.py").exists() and find_spec("celery") is not None


def measure_strawman(count: int, seconds: float, broker: str) -> list[Figure]:
    """Accepting for `seconds`, then sending `count` messages at 0 and at 50 ms. broker: "" for files in a folder."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        more = {
            "STRAWMAN_DATABASE": environment()["DATABASE_URL"],
            "STRAWMAN_BROKER": broker or "filesystem://",
            "STRAWMAN_FOLDER": folder,
            "CELERY_BROKER_URL": broker or "filesystem://",  # Celery's command prefers it to what the program says
        }
        if "strawman_message" not in connection.introspection.table_names():
            _run("prepare", more)
        with web(f"{MODULE}:application", **more) as (url, pid):
            cpu, theirs = family_cpu(pid), database_cpu()
            tally = asyncio.run(
                measure_posts(f"{url}/send", CONNECTIONS, seconds, lambda n: {"recipient": f"07{n:08d}", "text": "Hi"})
            )
            figure = Figure("strawman: single accept, 16 connections", tally.statuses.get(201, 0), seconds)
            figure.cpu = family_cpu(pid) - cpu + database_cpu() - theirs
            figure.extra["p95 ms"] = tally.quantile(0.95)
            figures.append(figure)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM strawman_message")
        figures += [_campaign(count, latency, more) for latency in (0.0, 0.05)]
    return figures


def _campaign(count: int, latency: float, more: dict[str, str]) -> Figure:
    with Carrier(latency) as carrier:
        more |= {"STRAWMAN_CARRIER": carrier.url}
        _purge(more)
        worker = start(
            "-m", "celery", "-A", MODULE, "worker", "--concurrency", "4", "--loglevel", "CRITICAL",
            env=environment(**more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _run("queue 20", more)  # warm
            _until_none_left(20)
            cpu, theirs = family_cpu(worker.pid), database_cpu()
            began = _run(f"queue {count}", more)
            left = _until_none_left(60)
            figure = Figure(f"strawman: campaign, carrier at {latency * 1000:g} ms", count - left)
            figure.seconds = time.perf_counter() - began
            figure.cpu = family_cpu(worker.pid) - cpu + database_cpu() - theirs
        finally:
            end([worker])
        figure.remark = f"{carrier.counts()['messages'] - 20:,} arrived; one worker with four processes"
    return figure


def _purge(more: dict[str, str]) -> None:
    start(
        "-m", "celery", "-A", MODULE, "purge", "-f",
        env=environment(**more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ).wait(60)  # fmt: skip


def _run(words: str, more: dict[str, str]) -> float:
    """Returns when its work began, by our clock: to start Python is no part of it."""
    program = f"import sys; from {MODULE} import main; main(sys.argv[1:])"  # by its own name, as the worker knows it
    child = start("-c", program, *words.split(), env=environment(**more), stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    began = time.perf_counter()
    if child.wait(600):
        raise RuntimeError(f"the strawman ended with {child.returncode} at “{words}”")
    return began


def _until_none_left(seconds: float) -> int:
    until = time.monotonic() + seconds
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM strawman_message WHERE status = 'queued'")
            left = cursor.fetchone()[0]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.05)
