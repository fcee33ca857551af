"""What is done to several contacts at once: to those ticked, or to all that match the filters."""

from urllib.parse import parse_qs

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from contacts import queries, services
from contacts.filters import ContactFilters
from contacts.models import BulkAct, BulkChange, BulkState, Contact, Group
from contacts.views.page_parts import page_of, read_id, render_page, render_part
from crm.common.access import page
from crm.common.errors import DomainError, InvalidInput, WrongState
from crm.common.figures import figure

_MOST_SELECTED = 500
_ASKED_FIRST = (BulkAct.DELETE, BulkAct.OPT_OUT)


@page("contacts.write")
@require_POST
def selected(request: HttpRequest) -> HttpResponse:
    """/app/contacts/selected: `do` is a BulkAct or "merge", for every `contact`, or with `everyone` for all `filters`.

    What cannot be taken back with one press, and whatever is done to everyone, is asked first (`sure`).
    """
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = reverse("contacts:list")
    do, everyone = request.POST.get("do", ""), "everyone" in request.POST
    ids = [pk for text in request.POST.getlist("contact")[:_MOST_SELECTED] if (pk := read_id(text))]
    if do == "merge":
        if len(ids) != 2 or everyone:
            messages.warning(request, _("Tick exactly two contacts to make one of them."))
            return redirect(back)
        return redirect(f"{reverse('contacts:merge', args=[ids[0]])}?with={ids[1]}")
    filters = _filters(request)
    rows = filters.rows(request.client)
    chosen = rows if everyone else Contact.objects.for_client(request.client).filter(pk__in=ids)
    if do not in BulkAct.values or not chosen.exists():
        messages.warning(request, _("Tick the contacts first; nothing was changed."))
        return redirect(back)
    try:
        group = _group_of(request) if do in (BulkAct.ADD, BulkAct.REMOVE) else None
        if "sure" not in request.POST and (everyone or do in _ASKED_FIRST):
            return _ask(request, do, chosen, everyone=everyone, filters=filters, group=group, back=back)
        if everyone:
            change = services.start_bulk(
                client=request.client, by=request.user, act=do, filters=filters, group=group,
                note=request.POST.get("note", ""),
            )  # fmt: skip
            return redirect("contacts:bulk", pk=change.pk)
        changed = services.change_contacts(
            client=request.client, act=do, contact_ids=list(chosen.values_list("pk", flat=True)), group=group,
            by=request.user, note=request.POST.get("note", ""),
        )  # fmt: skip
    except InvalidInput as error:
        messages.warning(request, " ".join(sentence for each in error.errors.values() for sentence in each))
    except DomainError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, words_of(do, changed, group.name if group else ""))
    return redirect(back)


def _filters(request: HttpRequest) -> ContactFilters:
    """Of the list from which the form was posted."""
    posted = parse_qs(request.POST.get("filters", "").lstrip("?")[:2000])
    return ContactFilters.read({name: values[-1] for name, values in posted.items()})


def _group_of(request: HttpRequest) -> Group:
    """The group or tag that was chosen, or the tag that was typed. Raises: InvalidInput."""
    if typed := request.POST.get("new_tag", "").strip():
        return services.ensure_tags(client=request.client, names=[typed])[0]
    pk = read_id(request.POST.get("group", "")) or 0
    sets = queries.fixed_groups_for(request.client) | queries.tags_for(request.client)
    group = sets.filter(pk=pk).first()
    if group is None:
        raise InvalidInput({"group": [_("Choose a group or a tag first; nothing was changed.")]})
    return group


def _ask(
    request: HttpRequest,
    do: str,
    chosen: QuerySet[Contact],
    *,
    everyone: bool,
    filters: ContactFilters,
    group: Group | None,
    back: str,
) -> HttpResponse:
    context = {
        "do": do,
        "contacts": list(chosen[:10]),
        "ids": [] if everyone else list(chosen.values_list("pk", flat=True)),
        "n": chosen.count(),
        "everyone": everyone,
        "filters": filters,
        "chips": filters.chips(request.client) if everyone else [],
        "group": group,
        "next": back,
    }
    return render_page(request, "contacts/several_confirm.html", context)


def words_of(act: str, n: int, group: str) -> str:
    """What was done, in words."""
    words = {
        BulkAct.ADD: ngettext("%(n)s contact was added to %(group)s.", "%(n)s contacts were added to %(group)s.", n),
        BulkAct.REMOVE: ngettext("%(n)s contact left %(group)s.", "%(n)s contacts left %(group)s.", n),
        BulkAct.DELETE: ngettext(
            "%(n)s contact is in the bin for 30 days.", "%(n)s contacts are in the bin for 30 days.", n
        ),
        BulkAct.OPT_OUT: ngettext(
            "%(n)s contact gets no more SMS.", "%(n)s contacts get no more SMS.", n
        ),
    }  # fmt: skip
    return words[BulkAct(act)] % {"n": figure(n), "group": group}


@page("contacts.read")
@require_safe
def bulk_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/bulk/{id}: how far a bulk change has come."""
    change = _bulk(request, pk)
    filters = ContactFilters.read(change.filters)
    context = {
        "change": change,
        "words": words_of(change.act, change.changed, change.group_name) if change.is_over else "",
        "failed": change.state == BulkState.FAILED,
        "chips": filters.chips(request.client),
        "list_query": filters.query(),
    }
    return render_part(request, "contacts/bulk_detail.html", "contacts/_bulk_progress.html", context)


@page("contacts.write")
@require_POST
def bulk_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop after the contacts being changed; what was done stays."""
    try:
        services.stop_bulk(change=_bulk(request, pk))
    except WrongState as error:
        messages.warning(request, str(error))
    return redirect("contacts:bulk", pk=pk)


def _bulk(request: HttpRequest, pk: int) -> BulkChange:
    return get_object_or_404(BulkChange.objects.for_client(request.client), pk=pk)


@page("contacts.read")
@require_safe
def bin_list(request: HttpRequest) -> HttpResponse:
    """/app/contacts/bin: what was deleted in the last 30 days; `?q=` searches it."""
    q = request.GET.get("q", "").strip()
    context = {"page": page_of(request, queries.bin_for(request.client, search=q)), "q": q}
    return render_part(request, "contacts/bin.html", "contacts/_bin_table.html", context)


@page("contacts.write")
@require_POST
def bin_selected(request: HttpRequest) -> HttpResponse:
    """Restores the ticked (`do` restore), or all that `q` finds with `everyone`; forgets them for good (`do` empty)."""
    binned = queries.bin_for(request.client, search=request.POST.get("q", ""))
    if "everyone" not in request.POST:
        binned = binned.filter(pk__in=[pk for text in request.POST.getlist("binned") if (pk := read_id(text))])
    ids = list(binned.values_list("pk", flat=True))
    do = request.POST.get("do")
    if not ids:
        messages.warning(request, _("Tick the contacts first; nothing was changed."))
    elif do == "restore":
        n = services.restore_contacts(client=request.client, binned_ids=ids)
        words = ngettext("%(n)s contact is back in your book.", "%(n)s contacts are back in your book.", n)
        messages.success(request, words % {"n": figure(n)})
    elif do == "empty" and "sure" not in request.POST:
        everyone = "everyone" in request.POST
        context = {"ids": [] if everyone else ids, "n": len(ids), "q": request.POST.get("q", ""), "everyone": everyone}
        return render_page(request, "contacts/bin_confirm.html", context)
    elif do == "empty":
        n = services.empty_bin(client=request.client, binned_ids=ids)
        words = ngettext("%(n)s contact is gone for good.", "%(n)s contacts are gone for good.", n)
        messages.success(request, words % {"n": figure(n)})
    return redirect("contacts:bin")
