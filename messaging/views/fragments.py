"""One URL, two renderings: the page, or the fragment that the page includes (UX.md §3)."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers

from crm.common.access import wants_fragment


def render_part(
    request: HttpRequest, page: str, fragment: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """The template `fragment` for htmx, else `page`, which includes it. `is_fragment` tells the template which."""
    swap = wants_fragment(request)
    response = render(request, fragment if swap else page, context | {"is_fragment": swap}, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-History-Restore-Request"])
    if swap:
        response["Cache-Control"] = "no-store"
    return response


def go(request: HttpRequest, url: str) -> HttpResponse:
    """To another page. htmx would put a redirect's target into the region it swaps, so it is told to load it."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return redirect(url)
