"""What the pages of contacts share: one URL with two renderings, page numbers, and the rows of the client who looks."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from crm.common.access import wants_fragment

PAGE_SIZE = 50
MOST_COUNTED = 100_000
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
    """Counts no further than MOST_COUNTED: in a book of a million the rest is not worth the wait."""

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[: MOST_COUNTED + 1].count()  # type: ignore[union-attr]

    @property
    def words(self) -> str:
        """The count to be read, "more than 100,000" where it goes on."""
        if self.count > MOST_COUNTED:
            return _("more than %(n)s") % {"n": f"{MOST_COUNTED:,}"}
        return f"{self.count:,}"


def page_of(request: HttpRequest, rows: QuerySet, size: int = PAGE_SIZE) -> Page:
    """The page that ?page= asks for, the nearest one there is for any other value."""
    return BookPaginator(rows, size).get_page(request.GET.get("page"))


def read_id(text: str) -> int | None:
    """A row's id from a query string or form; None for anything that cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and int(text[:20]) <= _LARGEST_ID and len(text) < 20 else None
