"""Charts drawn on the server: columns of stacked parts in hundredths of the box that the page gives them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

KINDS = ("delivered", "waiting", "failed", "queued")  # the colours of the stylesheet, from the axis upwards
FEWEST = 6  # columns are at most as wide as if there were this many
GAP = 0.2  # share of a column that stays empty


@dataclass(frozen=True, slots=True)
class Part:
    """kind: one of KINDS. y, height: in hundredths of the chart."""

    kind: str
    count: int
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Column:
    """What happened on the day, or from the moment, `at`. x, width: in hundredths of the chart."""

    at: date | datetime
    parts: tuple[Part, ...]
    x: str
    width: str

    @property
    def total(self) -> int:
        return sum(part.count for part in self.parts)

    def count(self, kind: str) -> int:
        return next((part.count for part in self.parts if part.kind == kind), 0)


def stacked(rows: Sequence[tuple[date | datetime, Sequence[tuple[str, int]]]]) -> list[Column]:
    """A column for each row of (at, [(kind, count), …]), as high as its share of the highest; in the given order."""
    most = max((sum(count for _, count in parts) for _, parts in rows), default=0) or 1
    width = 100 / max(len(rows), FEWEST)
    columns = []
    for index, (at, parts) in enumerate(rows):
        top, drawn = 100.0, []
        for kind, count in parts:
            if kind not in KINDS:
                raise ValueError(f"unknown part {kind!r}")
            height = 100 * count / most
            top -= height
            drawn.append(Part(kind, count, f"{top:.2f}", f"{height:.2f}"))
        x = index * width + width * GAP / 2
        columns.append(Column(at, tuple(drawn), f"{x:.2f}", f"{width * (1 - GAP):.2f}"))
    return columns
