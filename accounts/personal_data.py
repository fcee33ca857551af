"""Where data about people lies. Each app registers its parts from ready(); accounts.services.privacy and .retention
go through all of them to export, erase and purge."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Person:
    """One person by all their addresses: numbers in E.164, email addresses in lower case. mark: what stands in the
    place of an address once it is erased; it starts with "#", which no address does."""

    phones: tuple[str, ...]
    emails: tuple[str, ...]
    mark: str = ""

    @property
    def addresses(self) -> list[str]:
        return [*self.phones, *self.emails]

    @property
    def needles(self) -> list[str]:
        """What to look for in texts: a number is written in many ways, which share its last nine digits."""
        return [phone[-9:] for phone in self.phones] + list(self.emails)

    def mentioned(self, *columns: str) -> Q:
        """Rows in which one of these text columns speaks of the person."""
        found = Q(pk=None)
        for column in columns:
            for needle in self.needles:
                found |= Q(**{f"{column}__icontains": needle})
        return found

    def is_in(self, text: str) -> bool:
        plain = text.lower()
        squeezed = "".join(character for character in plain if character.isalnum() or character == "@")
        return any(needle in plain or needle in squeezed for needle in self.needles)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is older goes. everything: the organisation is closed; its whole book and settings go as well."""

    texts: datetime
    numbers: datetime
    logs: datetime
    exports: datetime
    everything: bool = False


def _nothing_of(client_id: int) -> dict[str, QuerySet]:
    return {}


@dataclass(frozen=True, slots=True)
class Part:
    """One app's data about people.

    collect: what is known of a person, as (kind, facts). erase: removes it in chunks that commit by themselves, may run
    twice; returns how many rows changed, and whether all is done: not while something is on its way to the person.
    purge: removes what is older than the limits, about `most` rows at once; counts only where `dry_run`. It may keep
    its place in `cursors`. tables: everything of a client, by file name, for the export of an organisation.
    """

    name: str
    collect: Callable[[int, Person], Iterator[tuple[str, dict[str, Any]]]]
    erase: Callable[[int, Person], tuple[int, bool]]
    purge: Callable[[int, Limits, dict[str, Any], int, bool], int]
    tables: Callable[[int], dict[str, QuerySet]] = field(default=_nothing_of)


PARTS: dict[str, Part] = {}
# What belongs to no client in particular, such as callbacks: (before, most rows, dry_run) → rows removed.
INSTALLATION: list[Callable[[datetime, int, bool], int]] = []


def register(part: Part) -> None:
    """The same name again replaces the earlier one. Parts are gone through in the order of their registration."""
    PARTS[part.name] = part


def facts_of(row: Any, *names: str) -> dict[str, Any]:
    """Columns of a row as JSON holds them."""
    found = {}
    for name in names:
        value = getattr(row, name)
        found[name] = value.isoformat() if isinstance(value, datetime) else value
    return found


def delete_some(found: QuerySet, most: int, dry_run: bool = False) -> int:
    """Delete up to `most` rows in one short statement, or count them; returns how many."""
    ids = list(found.order_by("pk").values_list("pk", flat=True)[:most])
    if ids and not dry_run:
        rows = found.model._base_manager.filter(pk__in=ids)
        (rows.unscoped() if hasattr(rows, "unscoped") else rows).delete()
    return len(ids)
