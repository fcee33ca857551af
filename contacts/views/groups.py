"""Groups: list, create, rename, delete. Who is in one is the list of contacts, narrowed to it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from contacts import queries, services
from contacts.forms import GroupForm
from contacts.models import Group
from contacts.views.page_parts import render_page, require_write
from crm.common.access import page
from crm.common.errors import DomainError


@page("contacts.read")
@require_http_methods(["GET", "HEAD", "POST"])
def group_list(request: HttpRequest) -> HttpResponse:
    """/app/contacts/groups; POST creates one."""
    form = GroupForm(request.POST or None)
    if request.method == "POST":
        require_write(request)
        if form.is_valid():
            try:
                group = services.create_group(client=request.client, name=form.cleaned_data["name"])
            except DomainError as error:
                form.refuse(error)
            else:
                messages.success(request, _("The group “%(name)s” was created.") % {"name": group.name})
                return redirect("contacts:groups")
    context = {"groups": queries.groups_with_counts(request.client), "form": form}
    return render_page(request, "contacts/group_list.html", context, status=422 if form.errors else 200)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def group_rename(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/groups/{id}: rename."""
    group = get_object_or_404(Group.objects.for_client(request.client), pk=pk)
    name = group.name
    form = GroupForm(request.POST or None, initial={"name": name})
    if request.method == "POST" and form.is_valid():
        try:
            services.rename_group(group=group, name=form.cleaned_data["name"])
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("The group was renamed."))
            return redirect("contacts:groups")
    context = {"group": group, "name": name, "form": form}
    return render_page(request, "contacts/group_form.html", context, status=422 if form.errors else 200)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def group_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/groups/{id}/delete: asks, then deletes the group; its contacts stay."""
    group = get_object_or_404(queries.groups_with_counts(request.client), pk=pk)
    if request.method == "POST":
        services.delete_group(group=group)
        messages.success(request, _("The group “%(name)s” was deleted; its contacts stay.") % {"name": group.name})
        return redirect("contacts:groups")
    return render_page(request, "contacts/group_delete.html", {"group": group})
