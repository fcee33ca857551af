"""Queries of tenant-owned rows that cannot forget their tenant (GUARANTEES.md T2).

A model that belongs to a client declares `objects = TenantManager()`. Its querysets refuse to touch the database until
they are bound: by `.for_client(client)`, by a filter on `client` or `client_id`, or by `.unscoped()`, which is for work
that spans all clients (sweeps, admin, delivery reports) and stands out in review.
"""

from typing import Any, Self

from django.db import models


class UnboundQuery(RuntimeError):
    """A tenant-owned table was read or written without saying whose rows are meant."""


class TenantQuerySet(models.QuerySet):
    """A queryset that raises UnboundQuery when it is run before it is bound to a client."""

    _bound = False

    def for_client(self, client: Any) -> Self:
        """Rows of `client`: an accounts.Client or its id."""
        return self.filter(client_id=getattr(client, "pk", client))

    def unscoped(self) -> Self:
        """Rows of every client. Only for code that acts for the whole installation."""
        bound = self._chain()  # type: ignore[attr-defined]
        bound._bound = True
        return bound

    def _clone(self) -> Self:
        clone = super()._clone()  # type: ignore[misc]
        clone._bound = self._bound
        return clone

    def _filter_or_exclude(self, negate: bool, args: Any, kwargs: Any) -> Self:
        result = super()._filter_or_exclude(negate, args, kwargs)  # type: ignore[misc]
        if not negate and ("client" in kwargs or "client_id" in kwargs):
            result._bound = True
        return result

    def _next_is_sticky(self) -> Self:
        """Called by Django's many-to-many managers alone: they start from a row whose tenant is known."""
        self._bound = True
        return super()._next_is_sticky()  # type: ignore[misc]

    def __or__(self, other: models.QuerySet) -> Self:
        return self._joined(super().__or__(other), other)

    def union(self, *others: models.QuerySet, all: bool = False) -> Self:
        return self._joined(super().union(*others, all=all), *others)

    def _joined(self, result: Self, *others: Any) -> Self:
        """Rows of either side: bound only where every side is."""
        result._bound = self._bound and all(getattr(other, "_bound", True) for other in others)
        return result

    def _check(self) -> None:
        if not self._bound:
            raise UnboundQuery(f"{self.model.__name__} was queried without a client; use for_client() or unscoped()")

    def _fetch_all(self) -> None:
        if self._result_cache is None:
            self._check()
        super()._fetch_all()

    def iterator(self, *args: Any, **kwargs: Any) -> Any:
        self._check()
        return super().iterator(*args, **kwargs)

    def count(self) -> int:
        if self._result_cache is None:
            self._check()
        return super().count()

    def exists(self) -> bool:
        if self._result_cache is None:
            self._check()
        return super().exists()

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self._check()
        return super().aggregate(*args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        self._check()
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._check()
        return super().delete()


TenantManager = models.Manager.from_queryset(TenantQuerySet, class_name="TenantManager")
