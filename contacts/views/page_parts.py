"""What the pages of contacts share: one URL with two renderings, page numbers, and the rows of the client who looks."""

from hashlib import sha256
from typing import Any

from django.core.cache import cache
from django.core.exceptions import EmptyResultSet, PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from crm.common.access import wants_fragment
from crm.common.figures import figure

PAGE_SIZE = 50
LARGE = 20_000
KEEP_COUNT_SECONDS = 20
_LARGEST_ID = 2**63 - 1


def render_part(
    request: HttpRequest, page: str, fragment: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """`fragment` for htmx, else `page`, which includes it. `may_write` says whether the member may change the book."""
    swap = wants_fragment(request)
    context = {"may_write": may_write(request), "is_fragment": swap} | context
    response = render(request, fragment if swap else page, context, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-History-Restore-Request"])
    if swap:
        response["Cache-Control"] = "no-store"
    return response


def render_page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return render(request, template, {"may_write": may_write(request)} | context, status=status)


def may_write(request: HttpRequest) -> bool:
    return request.membership.may("contacts.write")


def require_write(request: HttpRequest) -> None:
    """For pages that all may read and some may change. Raises PermissionDenied."""
    if not may_write(request):
        raise PermissionDenied("contacts.write")


class BookPaginator(Paginator):
    """For lists of a million. The rows are a queryset in an order.

    Takes the word of rows that say they are `more_than` so many, instead of counting them: queries.contacts_for. What
    is LARGE is counted once in a while, and its pages beyond the middle are read from the other end.
    """

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if more := getattr(rows, "more_than", 0):
            return more
        try:
            key = "contacts.count." + sha256(repr(rows.query.sql_with_params()).encode()).hexdigest()  # type: ignore[union-attr]
        except EmptyResultSet:
            return 0
        known = cache.get(key)
        if known is None:
            known = rows.count()  # type: ignore[call-arg]
            if known >= LARGE:
                cache.set(key, known, KEEP_COUNT_SECONDS)
        return known

    def page(self, number: Any) -> Page:
        number = self.validate_number(number)
        bottom, top = (number - 1) * self.per_page, min(number * self.per_page, self.count)
        if bottom < max(self.count // 2, LARGE // 2):
            return super().page(number)
        rows = list(self.object_list.reverse()[self.count - top : self.count - bottom])  # type: ignore[union-attr]
        return self._get_page(rows[::-1], number, self)

    @property
    def words(self) -> str:
        """The count to be read, "more than 10,000" where nobody counted further."""
        if more := getattr(self.object_list, "more_than", 0):
            return _("more than %(n)s") % {"n": figure(more)}
        return figure(self.count)


def page_of(request: HttpRequest, rows: QuerySet, size: int = PAGE_SIZE) -> Page:
    """The page that ?page= asks for, the nearest one there is for any other value."""
    return BookPaginator(rows, size).get_page(request.GET.get("page"))


def read_id(text: str) -> int | None:
    """A row's id from a query string or form; None for anything that cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and int(text[:20]) <= _LARGEST_ID and len(text) < 20 else None
