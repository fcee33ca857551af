"""Groups and tags: list, create, rename, delete, and the rules of groups. Who is in one is the list, narrowed to it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from contacts import queries, rules, services
from contacts.forms import GroupForm, RuleForm
from contacts.models import Group, GroupKind
from contacts.views.page_parts import render_page, require_write
from crm.common.access import page
from crm.common.errors import DomainError, WrongState


@page("contacts.read")
@require_http_methods(["GET", "HEAD", "POST"])
def group_list(request: HttpRequest) -> HttpResponse:
    """/app/contacts/groups; POST creates one."""
    form = GroupForm(request.POST or None)
    if request.method == "POST":
        require_write(request)
        if form.is_valid():
            try:
                make = services.create_tag if "tag" in request.POST else services.create_group
                group = make(client=request.client, name=form.cleaned_data["name"])
            except DomainError as error:
                form.refuse(error)
            else:
                words = _("The tag “%(name)s” was created.") if "tag" in request.POST else _(
                    "The group “%(name)s” was created."
                )  # fmt: skip
                messages.success(request, words % {"name": group.name})
                return redirect("contacts:groups")
    groups = list(queries.groups_with_counts(request.client))
    for group in groups:
        group.words = rules.describe(request.client, group.rule) if group.kind == GroupKind.RULE else []  # type: ignore[attr-defined]
    context = {"groups": groups, "tags": queries.tags_with_counts(request.client), "form": form}
    return render_page(request, "contacts/group_list.html", context, status=422 if form.errors else 200)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def rule_new(request: HttpRequest) -> HttpResponse:
    """/app/contacts/groups/rule: a group by rule; `look` counts who meets it, `more` gives rows, `save` keeps it."""
    return _rule(request, None)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def rule_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/groups/{id}/rule: the rule of a group."""
    return _rule(
        request, get_object_or_404(Group.objects.for_client(request.client).filter(kind=GroupKind.RULE), pk=pk)
    )


def _rule(request: HttpRequest, group: Group | None) -> HttpResponse:
    form = RuleForm(request.POST or None, client=request.client, group=group)
    count = None
    if request.method == "POST" and "more" not in request.POST and form.is_valid():
        given = {"match": form.cleaned_data["match"], "conditions": form.conditions()}
        try:
            if "look" in request.POST:
                rule = rules.read_rule(request.client, given["match"], given["conditions"])
                count = rules.matching(request.client, rule).count()
            elif group is None:
                group = services.create_rule_group(client=request.client, name=form.cleaned_data["name"], **given)
            else:
                services.change_rule(group=group, name=form.cleaned_data["name"], **given)
        except DomainError as error:
            form.refuse(error)
        else:
            if count is None:
                messages.success(request, _("The group “%(name)s” was saved.") % {"name": form.cleaned_data["name"]})
                return redirect("contacts:groups")
    status = 422 if "more" not in request.POST and form.errors else 200
    context = {"form": form, "group": group, "count": count, "hide_errors": "more" in request.POST}
    return render_page(request, "contacts/rule_form.html", context, status=status)


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
    sets = queries.tags_with_counts if Group.objects.for_client(request.client).filter(pk=pk, kind=GroupKind.TAG) else (
        queries.groups_with_counts
    )  # fmt: skip
    group = get_object_or_404(sets(request.client), pk=pk)
    if request.method == "POST":
        try:
            services.delete_group(group=group)
        except WrongState as error:
            messages.warning(request, str(error))
        else:
            messages.success(request, _("“%(name)s” was deleted; its contacts stay.") % {"name": group.name})
        return redirect("contacts:groups")
    return render_page(request, "contacts/group_delete.html", {"group": group})
