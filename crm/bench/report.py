"""The figures as a document: beside their goals, with a plot. Written by `manage.py bench --write`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from crm.bench.machine import Figure
from crm.bench.plot import bars

HEAD = """# Benchmarks

Written by `manage.py bench --write`; `--quick` is the same with small numbers, for a look. Each figure is the median of
its runs. CPU is of our processes and, on PostgreSQL on the same host, of the database's processes that serve them, per
1,000; “statements” likewise. The carrier is `crm/bench/sink.py`, an asyncio program that answers at once and takes a
share of the same cores. The strawman is `tests/bench/strawman.py`: Django REST framework, one insert, one Celery task
and one `requests.post` a message. On a shared machine compare figures within one table only.
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """Of the figures whose name begins with `what`: words for the reader and whether it holds."""

    what: str
    words: str
    holds: Callable[[Figure, dict[str, Figure]], bool]


def _against(other: str, times: float, floor: float) -> Callable[[Figure, dict[str, Figure]], bool]:
    def holds(figure: Figure, all_of_them: dict[str, Figure]) -> bool:
        straw = all_of_them.get(other)
        return figure.per_second >= floor and (straw is None or figure.per_second >= times * straw.per_second)

    return holds


def _fast(floor: float) -> Callable[[Figure, dict[str, Figure]], bool]:
    return lambda figure, _: figure.per_second >= floor


STRAW_0, STRAW_50 = "strawman: campaign, carrier at 0 ms", "strawman: campaign, carrier at 50 ms"
STRAW_ACCEPT = "strawman: single accept, 16 connections"

_STRAWMAN_OF = {
    "campaign of 0 ms": STRAW_0,
    "campaign of 50 ms": STRAW_50,
    "campaign of": STRAW_0,
    "single send": STRAW_ACCEPT,
}


def goals(vendor: str) -> list[Goal]:
    """What issue 11 asks for, on this database."""
    if vendor == "sqlite":
        return [
            Goal("campaign of", "1,000/s", _fast(1000)),
            Goal("single send", "100/s, p95 200 ms", lambda f, _: f.per_second >= 100 and f.extra["p95 ms"] <= 200),
        ]
    slots = settings.SENDING_SLOTS

    def single(figure: Figure, every: dict[str, Figure]) -> bool:
        return _against(STRAW_ACCEPT, 5, 550)(figure, every) and figure.extra["p95 ms"] <= 60

    return [
        Goal("campaign of 0 ms", "3,000/s, 20 strawmen, 0.3 CPU s per 1,000",
             lambda f, every: _against(STRAW_0, 20, 3000)(f, every) and f.cpu_per_1000 <= 0.3),
        Goal("campaign of 50 ms", f"{0.5 * slots / 0.05:,.0f}/s (half of {slots} in flight ÷ 50 ms), 40 strawmen",
             _against(STRAW_50, 40, 0.5 * slots / 0.05)),
        Goal("single send", "550/s, 5 strawmen, p95 60 ms", single),
        Goal("bulk send", "10,000/s", _fast(10_000)),
        Goal("start, priced", "answers in 200 ms", lambda f, _: max(f.extra.values()) <= 200),
        Goal("start, all of it", "1,000,000 in 30 s", _fast(1_000_000 / 30)),
        Goal("CSV import", "20,000/s, 150 MiB", lambda f, _: f.per_second >= 20_000 and f.peak_mib <= 150),
        Goal("history", "p95 25 ms", lambda f, _: f.extra["p95 ms"] <= 25),
        Goal("the same as an API page", "p95 80 ms", lambda f, _: f.extra["p95 ms"] <= 80),
        Goal("contact search", "p95 100 ms", lambda f, _: f.extra["p95 ms"] <= 100),
        Goal("memory", "200 MiB", lambda f, _: f.peak_mib <= 200),
        Goal("delivery reports", "3,000/s", _fast(3000)),
        Goal("email over SMTP", "2,000/s", _fast(2000)),
        Goal("another's single message", "2 s", lambda f, _: f.extra["longest ms"] < 2000),
    ]  # fmt: skip


def _goal_of(figure: Figure, wanted: Sequence[Goal]) -> Goal | None:
    if not figure.count:
        return None  # left out
    if figure.what.startswith("campaign of"):
        if ", " in figure.what.partition("ms")[2] or "its first" in figure.what:
            return None  # with several senders, or out of a long queue: part of the growth
        kind = "50 ms" if "50 ms" in figure.what else "0 ms"
        return next((goal for goal in wanted if goal.what in (f"campaign of {kind}", "campaign of")), None)
    return next((goal for goal in wanted if figure.what.startswith(goal.what)), None)


def table(figures: Sequence[Figure], vendor: str) -> str:
    every = {figure.what: figure for figure in figures}
    wanted = goals(vendor)
    lines = [
        "| what | count | per second | CPU s per 1,000 | statements per 1,000 | peak MiB | goal | remark |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for figure in figures:
        goal = _goal_of(figure, wanted)
        held = "" if goal is None else f"{goal.words}: {'holds' if goal.holds(figure, every) else 'falls short'}"
        extra = [
            f"{name} {value:,.0f}" if value >= 10 else f"{name} {value:.1f}" for name, value in figure.extra.items()
        ]
        statements = "" if figure.queries is None else f"{1000 * figure.queries / max(figure.count, 1):,.1f}"
        peak = f"{figure.peak_mib:.0f}" if figure.peak_mib else ""
        straw = every.get(_STRAWMAN_OF.get(goal.what, "")) if goal else None
        if straw and straw.per_second:
            extra.append(f"{figure.per_second / straw.per_second:.1f} times the strawman")
        remark = "; ".join(part for part in (figure.remark, *extra) if part)
        lines.append(
            f"| {figure.what} | {figure.count:,} | {figure.per_second:,.0f} | {figure.cpu_per_1000:.3f} | {statements} "
            f"| {peak} | {held} | {remark} |"
        )
    return "\n".join(lines)


def write(vendor: str, words: str, figures: Sequence[Figure]) -> Path:
    """Replace this database's part of docs/benchmarks.md and its plot."""
    folder = Path(settings.BASE_DIR) / "docs"
    plot = folder / f"benchmarks-{vendor}.svg"
    rows = [(figure.what, figure.per_second) for figure in figures]
    plot.write_text(bars(f"A second, on {vendor}", rows, unit="/s"))
    path = folder / "benchmarks.md"
    parts = dict(part.split("\n", 1) for part in path.read_text().split("\n## ")[1:]) if path.exists() else {}
    parts[vendor] = f"\n{words}\n\n![Figures on {vendor}]({plot.name})\n"
    body = "".join(f"\n## {name}\n\n{text.strip()}\n" for name, text in sorted(parts.items()))
    path.write_text(HEAD + body)
    return path
