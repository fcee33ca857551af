"""What ends an organisation's messages, and which of its campaigns a second person approves."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from crm.common.access import page
from crm.common.errors import InvalidInput
from crm.common.money import from_micros, to_micros
from messaging.forms import SendingPolicyForm
from messaging.services import rules as service


@page("campaigns.policy")
@require_http_methods(["GET", "POST"])
def sending_policy(request: HttpRequest) -> HttpResponse:
    """/app/settings/sending: the form, and the limits that the operator set, to read."""
    rules = service.rules_of(request.client)
    if request.method == "POST":
        form = SendingPolicyForm(request.POST)
        if form.is_valid() and _save(request, form):
            messages.success(request, _("Saved. It holds from the next message on."))
            return redirect("sending_policy")
    else:
        money = rules.approve_above_micros
        form = SendingPolicyForm(
            initial={
                "signature": rules.signature,
                "opt_out_text": rules.opt_out_text,
                "above_people": rules.approve_above_people,
                "above_money": None if money is None else from_micros(money),
            }
        )
    context = {"form": form, "rules": rules}
    return render(request, "messaging/sending_policy.html", context, status=422 if form.errors else 200)


def _save(request: HttpRequest, form: SendingPolicyForm) -> bool:
    fields = form.cleaned_data
    money = fields["above_money"]
    try:
        service.set_policy(
            client=request.client,
            signature=fields["signature"],
            opt_out_text=fields["opt_out_text"],
            above_people=fields["above_people"],
            above_micros=None if money is None else to_micros(money),
        )
    except InvalidInput as error:
        for name, sentences in error.errors.items():
            form.add_error(name if name in form.fields else "above_money", sentences)
        return False
    return True
