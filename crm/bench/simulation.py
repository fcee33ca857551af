"""A path past one machine, on paper: what binds at a demanded rate, by simulating the queue with measured costs.

    python -m crm.bench.simulation

Time passes in steps of 10 ms. Messages arrive at random, wait for the accepting processes, then for the senders; every
step takes its CPU of the process and of the one database, which also writes its log to disk. The sender's cost was
measured on a quiet core; the database's shares and its log are estimates. Put in their place what `manage.py bench`
tells of your machine.
"""

import math
import random
import sys
from collections import deque
from dataclasses import dataclass

STEP = 0.01


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one message. CPU in milliseconds; log: bytes written ahead, of all its states; kept: bytes in tables."""

    accept_cpu: float = 0.1  # in calls of many; a single send costs 4
    accept_database: float = 0.1
    send_cpu: float = 0.25
    send_database: float = 0.25
    report_database: float = 0.1
    log: int = 6000
    kept: int = 2200

    @property
    def database(self) -> float:
        return self.accept_database + self.send_database + self.report_database


@dataclass(frozen=True, slots=True)
class Installation:
    """senders: processes with a core each. databases: PostgreSQL servers that share the clients among them."""

    senders: int
    databases: int = 1
    database_cores: int = 16
    log_mb: float = 400.0  # a second that a good NVMe disk takes of small synchronous writes


@dataclass(frozen=True, slots=True)
class Outcome:
    """per_second: that left. wait: seconds, the 95th of a hundred messages waited in the queue. busy: share of each."""

    per_second: float
    wait: float
    busy: dict[str, float]

    @property
    def binds(self) -> str:
        name, share = max(self.busy.items(), key=lambda item: item[1])
        return name if share > 0.95 else "nothing"


def simulate(rate: float, home: Installation, costs: Costs | None = None, *, seconds: float = 20.0) -> Outcome:
    """`rate` messages a second ask to leave, at random moments, for so long."""
    costs = costs or Costs()
    randomly = random.Random(7)  # the same each time
    send_room = home.senders * 1000 * STEP / costs.send_cpu
    database_room = home.databases * home.database_cores * 1000 * STEP / costs.database
    log_room = home.databases * home.log_mb * 1e6 * STEP / costs.log
    waiting: deque[tuple[int, float]] = deque()  # (since which step, how many)
    waits: list[tuple[float, float]] = []
    left = used = 0.0
    steps = int(seconds / STEP)
    for step in range(steps):
        mean = rate * STEP
        arrived = max(0.0, randomly.gauss(mean, math.sqrt(mean)))
        waiting.append((step, arrived))
        room = min(send_room, database_room, log_room)
        while room > 0 and waiting:
            since, count = waiting.popleft()
            taken = min(count, room)
            waits.append(((step - since) * STEP, taken))
            room -= taken
            left += taken
            if taken < count:
                waiting.appendleft((since, count - taken))
        used = left
    waits += [((steps - since) * STEP, count) for since, count in waiting]
    total, seen, late = sum(count for _, count in waits), 0.0, 0.0
    for wait, count in sorted(waits):
        seen, late = seen + count, wait
        if seen >= 0.95 * total:
            break
    busy = {
        "senders": used / (send_room * steps),
        "database CPU": used / (database_room * steps),
        "database log": used / (log_room * steps),
    }
    return Outcome(left / seconds, late, busy)


CASES = (
    (1_000, Installation(senders=1, database_cores=2)),
    (10_000, Installation(senders=1, database_cores=2)),
    (10_000, Installation(senders=4, database_cores=2)),
    (10_000, Installation(senders=4, database_cores=8)),
    (100_000, Installation(senders=32, database_cores=16)),
    (100_000, Installation(senders=32, databases=2, database_cores=32)),
    (100_000, Installation(senders=32, databases=4, database_cores=16)),
)


COLUMNS = (
    "asked a second", "senders", "databases × cores", "leaves a second", "p95 wait, s", "senders busy", "CPU busy",
    "log busy", "tables a full day", "binds",
)  # fmt: skip


def main() -> None:
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---:|" * (len(COLUMNS) - 1) + "---|"]
    for rate, home in CASES:
        found = simulate(rate, home)
        cells = [f"{rate:,}", str(home.senders), f"{home.databases} × {home.database_cores}"]
        cells += [f"{found.per_second:,.0f}", f"{found.wait:.2f}", *(f"{share:.0%}" for share in found.busy.values())]
        cells += [f"{found.per_second * Costs().kept * 86_400 / 1e9:,.0f} GB", found.binds]
        lines.append(f"| {' | '.join(cells)} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
