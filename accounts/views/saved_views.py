"""Keeping and forgetting views of lists; the lists themselves print partials/_saved_views.html."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts import queries
from accounts.services.saved_views import delete_view, save_view
from crm.common.access import page
from crm.common.errors import InvalidInput

# Which list a view is of → its address. Another list with views is a line here.
LISTS = {"contacts": "/app/contacts", "messages": "/app/messages"}


def _list_of(name: str) -> str:
    if name not in LISTS:
        raise Http404
    return LISTS[name]


@page("home")
@require_POST
def keep(request: HttpRequest, name: str) -> HttpResponse:
    """/app/views/{list}: keeps `query` as `name`, for all colleagues where `shared` is ticked."""
    back = _list_of(name)
    query = request.POST.get("query", "").lstrip("?")
    try:
        view = save_view(
            client=request.client, owner=request.user, page=name, name=request.POST.get("name", ""), query=query,
            shared="shared" in request.POST,
        )  # fmt: skip
    except InvalidInput as error:
        messages.warning(request, " ".join(sentence for each in error.errors.values() for sentence in each))
        return redirect(f"{back}?{query}")
    messages.success(request, _("The view “%(name)s” was kept.") % {"name": view.name})
    return redirect(f"{back}?{view.query}")


@page("home")
@require_POST
def forget(request: HttpRequest, name: str, view_id: int) -> HttpResponse:
    """/app/views/{list}/{id}/delete: forgets one of the member's own views."""
    own = queries.saved_views_for(request.client, request.user, name).filter(owner=request.user)
    delete_view(view=get_object_or_404(own, pk=view_id))
    messages.success(request, _("The view was deleted."))
    return redirect(_list_of(name))
