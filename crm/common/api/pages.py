"""Pages of long lists: the rows of page 10,000 without carrying every row before them."""

from typing import Any

from django.db.models import QuerySet

from crm.common.api.params import Page
from crm.common.spans import newest_first

_NEAR = 1000  # rows from the top, which are looked for among the newest


def rows_of_page(found: QuerySet, page: Page, total: int) -> list[Any]:
    """The rows of one page of `found`, which is ordered by -pk and holds `total` rows.

    Only keys are passed over, from the nearer end of the list and by index alone; then the page's rows are read by
    their keys.
    """
    if page.start >= total:
        return []
    keys = found.values_list("pk", flat=True)
    if page.stop <= _NEAR:
        wanted = newest_first(keys, page.stop)[page.start :]
    elif page.start <= total // 2:
        wanted = list(keys[page.start : page.stop])
    else:
        wanted = list(keys.order_by("pk")[max(total - page.stop, 0) : total - page.start])[::-1]
    rows = found.order_by().filter(pk__in=wanted) if wanted else []
    return sorted(rows, key=lambda row: -row.pk)
