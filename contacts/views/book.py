"""The book: list, one contact, and what is done to several at once."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from contacts import queries, services
from contacts.forms import ContactForm
from contacts.models import Contact, ContactField, Group
from contacts.views.page_parts import may_write, page_of, read_id, render_page, render_part, require_write
from crm.common.access import page
from crm.common.errors import DomainError, InvalidInput

_MOST_SELECTED = 500


@page("contacts.read")
@require_safe
def contact_list(request: HttpRequest) -> HttpResponse:
    """/app/contacts: `?q=` searches the whole book, `?group=` and `?import=` narrow it, `?page=` goes on."""
    q = request.GET.get("q", "").strip()
    groups = list(queries.groups_for(request.client))
    group = next((g for g in groups if str(g.pk) == request.GET.get("group")), None)
    batch = queries.imports_for(request.client).filter(pk=read_id(request.GET.get("import", "")) or 0).first()
    rows = queries.contacts_for(request.client, search=q, group=group and group.pk, contact_import=batch and batch.pk)
    found = page_of(request, rows)
    queries.decorate(request.client, found.object_list)
    context = {
        "page": found,
        "q": q,
        "groups": groups,
        "group": group,
        "batch": batch,
        "is_filtered": bool(q or group or batch),
        "here": request.get_full_path(),
    }
    return render_part(request, "contacts/contact_list.html", "contacts/_contact_table.html", context)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def contact_new(request: HttpRequest) -> HttpResponse:
    """/app/contacts/new."""
    form = ContactForm(request.POST or None, client=request.client)
    if request.method == "POST" and form.is_valid():
        try:
            contact = services.create_contact(client=request.client, **form.changes())
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(contact)s is in your book.") % {"contact": contact})
            return redirect("contacts:detail", pk=contact.pk)
    return render_page(request, "contacts/contact_form.html", {"form": form}, status=422 if form.errors else 200)


@page("contacts.read")
@require_http_methods(["GET", "HEAD", "POST"])
def contact_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/{id}: what is known, groups, opt-outs; POST saves the fields (`save`) or the groups (`groups`)."""
    contact = _contact(request, pk)
    form = ContactForm(request.POST if "save" in request.POST else None, client=request.client, contact=contact)
    if request.method == "POST":
        require_write(request)
        if "groups" in request.POST:
            _save_groups(request, contact)
            messages.success(request, _("The groups were saved."))
            return redirect("contacts:detail", pk=pk)
        if form.is_valid():
            try:
                services.update_contact(contact=contact, **form.changes())
            except DomainError as error:
                form.refuse(error)
                contact = _contact(request, pk)
            else:
                messages.success(request, _("The contact was saved."))
                return redirect("contacts:detail", pk=pk)
    context = {
        "contact": contact,
        "form": form,
        "groups": queries.groups_for(request.client),
        "member_of": set(contact.memberships.filter(client=request.client).values_list("group_id", flat=True)),
        "opt_outs": queries.opt_outs_of(contact),
        "opt_out_history": queries.opt_out_history_of(contact),
        "attributes": _further(request, contact),
    }
    return render_page(request, "contacts/contact_detail.html", context, status=422 if form.errors else 200)


def _further(request: HttpRequest, contact: Contact) -> list[tuple[str, str]]:
    """What the contact has besides what the form shows, which has the client's fields for whoever may write."""
    shown = set()
    if may_write(request):
        shown = set(ContactField.objects.for_client(request.client).values_list("key", flat=True))
    return sorted((key, value) for key, value in contact.attributes.items() if key not in shown)


def _contact(request: HttpRequest, pk: int) -> Contact:
    return get_object_or_404(Contact.objects.for_client(request.client).select_related("client", "consent"), pk=pk)


def _save_groups(request: HttpRequest, contact: Contact) -> None:
    wanted = set(request.POST.getlist("group"))
    member_of = set(contact.memberships.filter(client=request.client).values_list("group_id", flat=True))
    for group in queries.groups_for(request.client):
        if str(group.pk) in wanted and group.pk not in member_of:
            services.add_to_group(group=group, contact_ids=[contact.pk])
        elif str(group.pk) not in wanted and group.pk in member_of:
            services.remove_from_group(group=group, contact_ids=[contact.pk])


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def contact_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/{id}/delete: asks, then deletes."""
    contact = _contact(request, pk)
    if request.method == "POST":
        services.delete_contacts(client=request.client, contact_ids=[contact.pk])
        messages.success(request, _("%(contact)s was deleted.") % {"contact": contact})
        return redirect("contacts:list")
    return render_page(request, "contacts/contact_delete.html", {"contacts": [contact], "contact": contact})


@page("contacts.write")
@require_POST
def selected(request: HttpRequest) -> HttpResponse:
    """/app/contacts/selected: `do` is add, remove (with `group`) or delete, for every `contact`; delete asks first."""
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = reverse("contacts:list")
    ids = [pk for text in request.POST.getlist("contact")[:_MOST_SELECTED] if (pk := read_id(text))]
    do = request.POST.get("do", "")
    chosen = list(Contact.objects.for_client(request.client).filter(pk__in=ids))
    if not chosen:
        messages.warning(request, _("Tick the contacts first; nothing was changed."))
    elif do == "delete" and "sure" not in request.POST:
        return render_page(request, "contacts/contact_delete.html", {"contacts": chosen, "next": back})
    elif do == "delete":
        gone = services.delete_contacts(client=request.client, contact_ids=ids)
        messages.success(
            request, ngettext("%(n)s contact was deleted.", "%(n)s contacts were deleted.", gone) % {"n": gone}
        )
    elif do in ("add", "remove"):
        _change_group(request, do, [contact.pk for contact in chosen])
    return redirect(back)


def _change_group(request: HttpRequest, do: str, ids: list[int]) -> None:
    try:
        group = _group_of(request)
    except DomainError as error:
        messages.warning(request, str(error))
        return
    if do == "add":
        count = services.add_to_group(group=group, contact_ids=ids)
        words = ngettext("%(n)s contact was added to %(group)s.", "%(n)s contacts were added to %(group)s.", count)
    else:
        count = services.remove_from_group(group=group, contact_ids=ids)
        words = ngettext("%(n)s contact left %(group)s.", "%(n)s contacts left %(group)s.", count)
    messages.success(request, words % {"n": count, "group": group.name})


def _group_of(request: HttpRequest) -> Group:
    group = queries.groups_for(request.client).filter(pk=read_id(request.POST.get("group", "")) or 0).first()
    if group is None:
        raise InvalidInput({"group": [_("Choose a group first; nothing was changed.")]})
    return group
