"""Making one contact of two: choose the values, see the result, do it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from contacts import queries, services
from contacts.models import Contact
from contacts.services.merging import FIELDS
from contacts.views.page_parts import read_id, render_page
from crm.common.access import page
from crm.common.errors import DomainError
from crm.common.phones import display_phone


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def merge(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/{id}/merge?with={other}: without `with` it finds the other; POST shows the result, `sure` does it.

    The fields named take_FIELD with the value "other" come from the other contact.
    """
    book = Contact.objects.for_client(request.client).select_related("client")
    keep = get_object_or_404(book, pk=pk)
    other_id = read_id(request.POST.get("with", "") or request.GET.get("with", ""))
    other = book.filter(pk=other_id).exclude(pk=pk).first() if other_id else None
    if other is None:
        q = request.GET.get("q", "").strip() or keep.name
        found = queries.contacts_for(request.client, search=q).exclude(pk=pk)[:20] if q else []
        return render_page(request, "contacts/merge_find.html", {"keep": keep, "q": q, "found": found})
    take = {name.removeprefix("take_"): True for name, value in request.POST.items() if value == "other"}
    try:
        if request.method == "POST" and "sure" in request.POST:
            merged = services.merge_contacts(keep=keep, other=other, take=take)
            messages.success(request, _("%(contact)s is one contact now.") % {"contact": merged})
            return redirect("contacts:detail", pk=merged.pk)
        plan = services.plan_merge(keep=keep, other=other, take=take)
    except DomainError as error:
        messages.warning(request, str(error))
        return redirect("contacts:detail", pk=pk)
    context = {
        "keep": keep,
        "other": other,
        "rows": _rows(keep, other, take),
        "plan": plan,
        "shows_result": request.method == "POST",
        "taken": sorted(take),
    }
    return render_page(request, "contacts/merge.html", context)


def _rows(keep: Contact, other: Contact, take: dict) -> list[dict]:
    """The values in which the two differ, with which of them is chosen."""
    titles = {"name": _("Name"), "phone": _("Phone"), "email": _("Email"), "department": _("Department")}
    pairs = [(name, titles[name], getattr(keep, name) or "", getattr(other, name) or "") for name in FIELDS]
    pairs += [
        (f"attributes.{key}", key, keep.attributes.get(key, ""), other.attributes.get(key, ""))
        for key in sorted({**keep.attributes, **other.attributes})
    ]
    return [
        {
            "name": name,
            "title": title,
            "own": display_phone(own) if name == "phone" else own,
            "theirs": display_phone(theirs) if name == "phone" else theirs,
            "other": name in take or not own,
        }
        for name, title, own, theirs in pairs
        if own != theirs
    ]
