"""Back office: what an account would say to its provider, and how an answer would be read. Nothing leaves."""

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from crm.common.phones import InvalidPhone, read_phone
from messaging.models import ProviderAccount
from messaging.services.dry_run import read_answer, show_request


class DryRunForm(forms.Form):
    to = forms.CharField(label=_("Number"), max_length=30, initial="+254711000001", help_text=_("With country code"))
    sender = forms.CharField(label=_("Sender"), max_length=20, initial="ACME")
    text = forms.CharField(label=_("Text"), max_length=480, initial='Habari "Zoë" & rafiki: 50% {text}')
    status = forms.IntegerField(
        label=_("An answer's HTTP status"),
        required=False,
        min_value=100,
        max_value=599,
        help_text=_("Optional: how would this answer be read?"),
    )
    body = forms.CharField(
        label=_("Its body"),
        required=False,
        max_length=20_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 5, "autocomplete": "off"}),
    )

    def clean_to(self) -> str:
        try:
            return read_phone(self.cleaned_data["to"], None).e164
        except InvalidPhone as error:
            raise forms.ValidationError(str(error)) from None


def dry_run(request: HttpRequest, pk: int) -> HttpResponse:
    """The request of a sample message with its secrets hidden, and the reading of a pasted answer."""
    if not request.user.has_perm("messaging.view_provideraccount"):
        raise PermissionDenied
    account = get_object_or_404(ProviderAccount, pk=pk)
    form = DryRunForm(request.POST or None)
    context = {**admin.site.each_context(request), "title": _("Try it without sending"), "account": account}
    if form.is_valid():
        given = form.cleaned_data
        context["shown"] = show_request(account, to=given["to"], text=given["text"], sender=given["sender"])
        if given["status"] and not context["shown"].problem:
            context["outcome"] = read_answer(account, to=given["to"], status=given["status"], body=given["body"])
    status = 422 if form.is_bound and not form.is_valid() else 200
    name = "admin/messaging/provideraccount/dry_run.html"
    return TemplateResponse(request, name, context | {"form": form}, status=status)


page = admin.site.admin_view(dry_run)
