"""The book: the list with its filters and views, and one contact."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.queries import saved_views_for, view_query
from contacts import queries, services
from contacts.filters import CONSENTS, SORTS, STATUSES, ContactFilters
from contacts.forms import ConsentForm, ContactForm
from contacts.models import Contact, ContactField
from contacts.views.page_parts import may_write, page_of, render_page, render_part, require_write
from crm.common.access import page
from crm.common.errors import DomainError, InvalidInput
from crm.common.networks import likely_network

_EDITABLE = ("name", "phone", "email", "department")


@page("contacts.read")
@require_safe
def contact_list(request: HttpRequest) -> HttpResponse:
    """/app/contacts: narrowed by contacts/filters.py, `?page=` goes on."""
    filters = ContactFilters.read(request.GET)
    found = page_of(request, filters.rows(request.client))
    queries.decorate(request.client, found.object_list)
    context = {
        "page": found,
        "filters": filters,
        "chips": filters.chips(request.client),
        "groups": queries.groups_for(request.client),
        "fixed_groups": queries.fixed_groups_for(request.client),
        "tags": queries.tags_for(request.client),
        "statuses": STATUSES,
        "consents": CONSENTS,
        "sorts": SORTS,
        "saved_views": saved_views_for(request.client, request.user, "contacts"),
        "view_query": view_query(filters.query()),
        "here": request.get_full_path(),
    }
    return render_part(request, "contacts/contact_list.html", "contacts/_contact_table.html", context)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def contact_new(request: HttpRequest) -> HttpResponse:
    """/app/contacts/new; `?phone=` fills the number in."""
    initial = {"phone": request.GET.get("phone", "").replace("\x00", "")[:32]}
    form = ContactForm(request.POST or None, client=request.client, initial=initial)
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
    """/app/contacts/{id}: what is known; `?edit=FIELD` opens one value, `?edit=all` the whole form.

    POST saves the form (`save`), one value (`set`), the groups (`groups`) or a tag (`tag_add`, `tag_remove`).
    """
    contact = _contact(request, pk)
    edit = request.GET.get("edit", "") if may_write(request) else ""
    form = ContactForm(request.POST if "save" in request.POST else None, client=request.client, contact=contact)
    error = ""
    if request.method == "POST":
        require_write(request)
        try:
            words = _change(request, contact, form)
        except DomainError as refusal:
            error, edit = _sentence(refusal), request.POST.get("set", "")
            if "save" in request.POST:
                form.refuse(refusal)
                edit = "all"
            contact = _contact(request, pk)
        else:
            if words:
                messages.success(request, words)
                return redirect("contacts:detail", pk=pk)
            edit = "all"
    refused = bool(error or form.errors)
    context = _detail_context(request, contact) | {"form": form, "edit": edit, "error": error}
    if refused:
        context["typed"] = request.POST.get("value", "")
    status = 422 if refused else 200
    return render_part(request, "contacts/contact_detail.html", "contacts/_contact_facts.html", context, status=status)


def _sentence(refusal: DomainError) -> str:
    if isinstance(refusal, InvalidInput):
        return " ".join(sentence for each in refusal.errors.values() for sentence in each)
    return str(refusal)


def _change(request: HttpRequest, contact: Contact, form: ContactForm) -> str:
    """Do what was posted; returns what to say, "" where the form does not fit. Raises: DomainError."""
    asked = request.POST
    if "groups" in asked:
        _save_groups(request, contact)
        return _("The groups were saved.")
    if "tag_add" in asked:
        for tag in services.ensure_tags(client=request.client, names=[asked["tag_add"]]):
            services.add_to_group(group=tag, contact_ids=[contact.pk])
        return _("The tag was added.")
    if "tag_remove" in asked:
        tag = get_object_or_404(queries.tags_for(request.client), name=asked["tag_remove"])
        services.remove_from_group(group=tag, contact_ids=[contact.pk])
        return _("The tag was removed.")
    if "consent" in asked:
        source, statement = asked.get("source", ""), asked.get("statement", "")
        services.set_consent(contact=contact, source=source, statement=statement, by=request.user)
        return _("The consent was recorded.")
    if asked.get("set") in _EDITABLE:
        services.update_contact(contact=contact, **{asked["set"]: asked.get("value", "")})
        return _("The contact was saved.")
    if form.is_valid():
        services.update_contact(contact=contact, **form.changes())
        return _("The contact was saved.")
    return ""


def _detail_context(request: HttpRequest, contact: Contact) -> dict:
    queries.decorate(request.client, [contact])
    may_read_messages = request.membership.may("messages.read")
    known = contact.consent
    return {
        "contact": contact,
        "consent": ConsentForm(initial={"source": known.source, "statement": known.statement} if known else {}),
        "may_erase": request.membership.may("privacy.write"),
        "network": likely_network(contact.phone or ""),
        "facts": [
            ("name", _("Name"), contact.name),
            ("phone", _("Phone"), contact.phone or ""),
            ("email", _("Email"), contact.email),
            ("department", _("Department"), contact.department),
        ],
        "groups": queries.fixed_groups_for(request.client),
        "member_of": set(contact.memberships.filter(client=request.client).values_list("group_id", flat=True)),
        "by_rule": queries.rule_groups_of(contact),
        "tags": queries.tags_for(request.client),
        "opt_outs": queries.opt_outs_of(contact),
        "opt_out_history": queries.opt_out_history_of(contact),
        "attributes": sorted(contact.attributes.items()),
        "own_fields": ContactField.objects.for_client(request.client).exists(),
        "timeline": queries.messages_of(contact) if may_read_messages else [],
        "may_read_messages": may_read_messages,
    }


def _contact(request: HttpRequest, pk: int) -> Contact:
    return get_object_or_404(Contact.objects.for_client(request.client).select_related("client", "consent"), pk=pk)


def _save_groups(request: HttpRequest, contact: Contact) -> None:
    wanted = set(request.POST.getlist("group"))
    member_of = set(contact.memberships.filter(client=request.client).values_list("group_id", flat=True))
    for group in queries.fixed_groups_for(request.client):
        if str(group.pk) in wanted and group.pk not in member_of:
            services.add_to_group(group=group, contact_ids=[contact.pk])
        elif str(group.pk) not in wanted and group.pk in member_of:
            services.remove_from_group(group=group, contact_ids=[contact.pk])


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def contact_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/{id}/delete: asks, then puts the contact into the bin."""
    contact = _contact(request, pk)
    if request.method == "POST":
        services.delete_contacts(client=request.client, contact_ids=[contact.pk], by=request.user)
        messages.success(request, _("%(contact)s is in the bin for 30 days.") % {"contact": contact})
        return redirect("contacts:list")
    return render_page(request, "contacts/contact_delete.html", {"contact": contact})
