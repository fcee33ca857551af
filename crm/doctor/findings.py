"""What the doctor says of one thing it looked at."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice`: one sentence with what to do, empty when it is in order.

    severity: "fault" (something cannot work now) unless said otherwise where there is advice; "warning": it works, and
    somebody should look at it.
    """

    subject: str
    words: str
    advice: str = ""
    grave: bool = True

    @property
    def severity(self) -> Severity:
        if not self.advice:
            return "ok"
        return "fault" if self.grave else "warning"
