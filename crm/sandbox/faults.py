"""The faults that can be dialled in, and the dice that decide when one happens.

A dial is a share of occasions ("share", 0 to 1) or the coming few ("next", a count that runs down), or both. Dials are
kept for everybody ("*") and, where set, for one username, which then ignores those for everybody.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crm.sandbox.networks import FAILED_DELIVERIES

EVERYBODY: Final = "*"


class WrongDial(ValueError):
    """A dial that does not exist, or a value outside its range."""


@dataclass(frozen=True)
class Dial:
    """One dial. `most` None: a share of occasions; otherwise a number of seconds from 0 to `most`."""

    name: str
    section: str
    label: str
    words: str
    most: float | None = None
    default: float = 0.0


BEFORE, AFTER, DELIVERY, REPORTS = "Before accepting", "After accepting", "Delivery", "Delivery reports"
MONEY = "M-Pesa"

DIALS: Final = (
    Dial("latency", BEFORE, "Latency", "Seconds before each answer.", most=120),
    Dial("throttle", BEFORE, "429 Too many requests", "Nothing is accepted."),
    Dial("error_before", BEFORE, "500 error", "Nothing is accepted."),
    Dial("error_after", AFTER, "502 error", "Accepted, but the answer says 502."),
    Dial("hang_after", AFTER, "Time-out", "Accepted, then no answer until the hang ends."),
    Dial("reset_after", AFTER, "Connection reset", "Accepted, then the connection is reset."),
    Dial("garbage_after", AFTER, "Garbage", "Accepted, but the answer is not JSON."),
    Dial("truncate_after", AFTER, "Half an answer", "Accepted, but the answer breaks off in the middle."),
    Dial("hang_seconds", AFTER, "Length of a hang", "Seconds.", most=600, default=60),
    Dial("failed_deliveries", DELIVERY, "Failed deliveries", "Accepted, but does not reach the phone."),
    Dial("report_delay", REPORTS, "Delay", "Seconds until the phone has it.", most=3600, default=1),
    Dial("intermediate_reports", REPORTS, "Sent first", "A report of Sent or Buffered comes before."),
    Dial("early_reports", REPORTS, "Before the answer", "The report comes before the answer to the request."),
    Dial("duplicate_reports", REPORTS, "Twice", "The final report comes twice."),
    Dial("out_of_order_reports", REPORTS, "Out of order", "The final report comes before Sent."),
    Dial("contradicting_reports", REPORTS, "Contradicting", "A second final report says the opposite."),
    Dial("missing_reports", REPORTS, "Missing", "No report comes at all."),
    Dial("forged_reports", REPORTS, "Forged", "One more report comes, for an id nobody knows."),
    Dial("late_reports", REPORTS, "Late", "The final report comes late."),
    Dial("late_seconds", REPORTS, "How late", "Seconds.", most=86400, default=10),
    Dial("prompt_seconds", MONEY, "Life of a prompt", "Seconds until a prompt that nobody answers ends.", 600, 60),
    Dial("busy_pushes", MONEY, "Push refused", "System is busy: no prompt is shown."),
    Dial("busy_queries", MONEY, "Query refused", "Spike arrest: the state is not told."),
    Dial("expired_tokens", MONEY, "Expired token", "The token in use no longer holds."),
    Dial("missing_callbacks", MONEY, "Missing callback", "Nobody is told how the payment ended."),
    Dial("late_callbacks", MONEY, "Late callback", "The callback comes late."),
    Dial("callback_seconds", MONEY, "How late", "Seconds.", most=86400, default=90),
    Dial("repeated_callbacks", MONEY, "Repeated callback", "The callback comes twenty times at once."),
    Dial("early_callbacks", MONEY, "Before the answer", "Paid, and told, before the push is answered."),
    Dial("forged_callbacks", MONEY, "Forged callback", "Somebody claims at once that the money was paid."),
    Dial("wrong_amounts", MONEY, "Wrong amount", "The callback names a shilling more than was asked."),
)
_BY_NAME: Final = {dial.name: dial for dial in DIALS}
_REASONS = {f"{status}:{reason}".rstrip(":"): (status, reason) for status, reason in FAILED_DELIVERIES}


class Faults:
    """One scope's dials. Not thread-safe: only the event loop rolls."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        """`values`: name to a number, or to {"share": 0.1, "next": 3}; what is missing is at its default.

        "reasons" is a list like ["Failed:UserDoesNotExist", "Expired"], drawn from at random; empty: all of them.
        Raises: WrongDial.
        """
        self._share: dict[str, float] = {dial.name: dial.default for dial in DIALS}
        self._next: dict[str, int] = {}
        self.reasons: list[str] = []
        for name, value in (values or {}).items():
            self._set(name, value)

    def _set(self, name: str, value: Any) -> None:
        if name == "reasons":
            if not isinstance(value, list) or not all(reason in _REASONS for reason in value):
                raise WrongDial(f"reasons is a list of: {', '.join(_REASONS)}.")
            self.reasons = value
            return
        dial = _BY_NAME.get(name)
        if dial is None:
            raise WrongDial(f"There is no dial {name!r}. There are: {', '.join(_BY_NAME)}, reasons.")
        if isinstance(value, dict) and dial.most is None and value.keys() <= {"share", "next"}:
            count, value = value.get("next", 0), value.get("share", 0)
            if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= 1_000_000:
                raise WrongDial(f"{name}: next is a whole number.")
            self._next[name] = count
        most = 1 if dial.most is None else dial.most
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise WrongDial(f"{name} is a number from 0 to {most:g}.")
        self._share[name] = value

    def happens(self, name: str) -> bool:
        """Roll the dice; a "next" is used up by happening."""
        if self._next.get(name):
            self._next[name] -= 1
            return True
        share = self._share[name]
        return share > 0 and random.random() < share

    def seconds(self, name: str) -> float:
        return self._share[name]

    def failure(self) -> tuple[str, str]:
        """The status and failureReason of a delivery that fails."""
        return _REASONS[random.choice(self.reasons or list(_REASONS))]

    def as_json(self) -> dict[str, Any]:
        """Every dial with its value, in the form that `Faults` takes."""
        shown: dict[str, Any] = {
            dial.name: self._share[dial.name]
            if dial.most is not None
            else {"share": self._share[dial.name], "next": self._next.get(dial.name, 0)}
            for dial in DIALS
        }
        return shown | {"reasons": self.reasons}

    def changed(self) -> list[Dial]:
        """The dials that are not at their default."""
        return [dial for dial in DIALS if self._share[dial.name] != dial.default or self._next.get(dial.name)]
