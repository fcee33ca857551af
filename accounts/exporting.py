"""What can be exported: each app registers its kinds from ready(). accounts/services/exports.py writes files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.functional import Promise

from accounts.models import Client
from crm.common import replica
from crm.common.phones import mask_phone

BATCH = 2000
Rows = Iterator[Sequence[Any]]
Files = Iterator[tuple[str, Rows | str]]  # name within the ZIP, and its rows with a heading, or a finished text


@dataclass(frozen=True, slots=True)
class Job:
    """What a kind needs to write its rows. query: the filter of the page; masked: shorten people's numbers."""

    client: Client
    query: QueryDict
    masked: bool

    def address(self, text: str | None) -> str:
        """A number or email address as this file may show it."""
        if not text or not self.masked:
            return text or ""
        name, at, domain = text.partition("@")
        return f"{name[:1]}…@{domain}" if at else mask_phone(text)

    def moment(self, at: Any) -> str:
        """A time of the client's zone, `2026-11-28 14:05:09`; empty for None."""
        return at.astimezone(ZoneInfo(self.client.time_zone)).strftime("%Y-%m-%d %H:%M:%S") if at else ""


@dataclass(frozen=True, slots=True)
class Kind:
    """permission: who may ask for it and fetch it. rows: a heading first, then the rows; must not hold a query open
    while it yields (`in_batches`), since progress is written in between. count: how many rows follow the heading.
    files: a ZIP instead, of several files, each with its rows; such a kind is asked for by its own service alone.
    """

    name: str
    label: str | Promise
    permission: str
    count: Callable[[Job], int]
    rows: Callable[[Job], Rows]
    files: "Callable[[Job], Files] | None" = None


KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """The same name again replaces the earlier one."""
    KINDS[kind.name] = kind


def in_batches(found: QuerySet, size: int = BATCH) -> Iterator[list[Any]]:
    """All rows of a queryset, newest first, by key: memory for one batch, and no statement left open between two.

    What may be read from a replica is (crm/common/replica.py says which tables).
    """
    found, last = found.order_by("-pk"), None
    while True:
        batch = _batch(found if last is None else found.filter(pk__lt=last), size)
        if batch:
            yield batch
        if len(batch) < size:
            return
        last = batch[-1].pk


@replica.from_replica
def _batch(found: QuerySet, size: int) -> list[Any]:
    return list(found[:size])
