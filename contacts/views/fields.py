"""Fields of the client's own: list, create, change, delete."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from contacts import services
from contacts.forms import FieldForm
from contacts.models import ContactField
from contacts.views.page_parts import render_page, require_write
from crm.common.access import page
from crm.common.errors import DomainError


@page("contacts.read")
@require_http_methods(["GET", "HEAD", "POST"])
def field_list(request: HttpRequest) -> HttpResponse:
    """/app/contacts/fields; POST creates one."""
    form = FieldForm(request.POST or None)
    if request.method == "POST":
        require_write(request)
        if form.is_valid():
            fields = form.cleaned_data
            try:
                services.create_field(
                    client=request.client, key=fields["key"], kind=fields["kind"],
                    choices=fields["choices"].splitlines(),
                )  # fmt: skip
            except DomainError as error:
                form.refuse(error)
            else:
                messages.success(request, _("The field was created."))
                return redirect("contacts:fields")
    context = {"fields": ContactField.objects.for_client(request.client), "form": form}
    return render_page(request, "contacts/field_list.html", context, status=422 if form.errors else 200)


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def field_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/fields/{id}: change its kind and list; POST with `delete` removes a field that nobody uses."""
    field = get_object_or_404(ContactField.objects.for_client(request.client), pk=pk)
    form = FieldForm(
        request.POST if "save" in request.POST else None,
        initial={"kind": field.kind, "choices": "\n".join(field.choices)},
    )
    del form.fields["key"]
    try:
        if "delete" in request.POST:
            services.delete_field(field=field)
            messages.success(request, _("The field was deleted."))
            return redirect("contacts:fields")
        if request.method == "POST" and form.is_valid():
            choices = form.cleaned_data["choices"].splitlines()
            services.change_field(field=field, kind=form.cleaned_data["kind"], choices=choices)
            messages.success(request, _("The field was saved."))
            return redirect("contacts:fields")
    except DomainError as error:
        if "delete" in request.POST:
            messages.warning(request, str(error))
            return redirect("contacts:field", pk=pk)
        form.refuse(error)
    context = {"field_": field, "form": form}
    return render_page(request, "contacts/field_form.html", context, status=422 if form.errors else 200)
