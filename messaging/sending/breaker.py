"""When an account should rest: what one sending loop sees of its answers, and the rule it judges by (D8).

Errors in a row, a share of errors over the last minute, or slowness. Slowness rests an account only where another road
is there: slow is better than not at all. After its rest one message tries it (half-open); each rest in a row is longer.
"""

import statistics
import time
from collections import deque
from collections.abc import Iterable

from messaging import reasons
from messaging.providers.base import Outcome

IN_A_ROW = 10
WINDOW_SECONDS = 60.0
ENOUGH = 20  # answers in the window, before shares and medians say anything
BAD_SHARE = 0.5
SLOW_FACTOR = 4.0  # times the usual median
SLOW_SECONDS = 3.0  # what nobody calls slow, whatever is usual
HANGING_SECONDS = 10.0  # a request without an answer for so long, or for SLOW_FACTOR times the usual
KEPT = 400  # answers remembered at most


class Breaker:
    """Of one loop. `usual`: the account's median seconds to answer in good days; None before they are known."""

    def __init__(self, usual: float | None = None) -> None:
        self.usual = usual
        self.in_a_row = 0
        self.last_problem = ""
        self._answers: deque[tuple[float, bool, float]] = deque(maxlen=KEPT)  # when, good, seconds
        self._bad = 0

    def note(self, outcomes: Iterable[Outcome], seconds: float, now: float | None = None) -> bool:
        """Take one request's end in. It is good where the provider took or refused a message with an answer of its own.

        One request counts once, however many messages it carried. Returns whether it was good.
        """
        outcomes = list(outcomes)
        good = any(outcome.kind in ("accepted", "rejected") for outcome in outcomes)
        if not good:
            self.last_problem = next((o.error_message for o in outcomes if o.error_message), reasons.NO_CLEAR_ANSWERS)
        self.in_a_row = 0 if good else self.in_a_row + 1
        if len(self._answers) == KEPT:
            self._bad -= not self._answers[0][1]
        self._answers.append((time.monotonic() if now is None else now, good, seconds))
        self._bad += not good
        return good

    def errors(self, now: float | None = None) -> str:
        """Why the account should rest whatever other roads there are; "" while it need not."""
        if self.in_a_row >= IN_A_ROW:
            return self.last_problem
        self._forget(time.monotonic() if now is None else now)
        total = len(self._answers)
        if total >= ENOUGH and self._bad >= total * BAD_SHARE:
            return reasons.MANY_FAILED % {"failed": self._bad, "total": total, "problem": self.last_problem}
        return ""

    def slowness(self, *, hanging: int = 0, slots: int = 0, now: float | None = None) -> str:
        """Why it should rest if another road is there; hanging: requests in flight for longer than `patience`."""
        if hanging >= max(IN_A_ROW, slots // 2):
            return reasons.NO_ANSWER % {"requests": hanging, "seconds": f"{self.patience:.0f}"}
        self._forget(time.monotonic() if now is None else now)
        median = self.median()
        if median is not None and median > self.slow_from:
            return reasons.SLOW % {"median": f"{median:.1f}", "usual": f"{self.usual or 0:.1f}"}
        return ""

    @property
    def patience(self) -> float:
        """Seconds after which a request in flight counts as hanging."""
        return max(HANGING_SECONDS, self.slow_from)

    @property
    def slow_from(self) -> float:
        """The median above which an account is slow; before its usual one is known, what nobody finds quick."""
        return HANGING_SECONDS if self.usual is None else max(SLOW_SECONDS, SLOW_FACTOR * self.usual)

    def median(self) -> float | None:
        """Of the good answers in the window; None while they are few."""
        times = [seconds for _, good, seconds in self._answers if good]
        return statistics.median(times) if len(times) >= ENOUGH else None

    def _forget(self, now: float) -> None:
        while self._answers and self._answers[0][0] < now - WINDOW_SECONDS:
            self._bad -= not self._answers.popleft()[1]
