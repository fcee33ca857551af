"""/staff/approvals: one queue, and for each thing its facts and papers beside the answer."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from crm.common.errors import DomainError, InvalidInput
from crm.office.queue import KINDS, Decision, Item, Kind, waiting
from messaging.models import NetworkState, SenderId
from messaging.services.going_live import steps_of
from messaging.services.sender_names import look_alikes
from messaging.services.sender_requests import networks_asked, papers_of, pass_on, usual_wait


class AnswerForm(forms.Form):
    """Why something is given back: one of the usual reasons, or one's own words."""

    usual = forms.ChoiceField(label=gettext_lazy("Usual reasons"), required=False)
    reason = forms.CharField(label=gettext_lazy("Or in your own words"), required=False, max_length=300)
    fix = forms.CharField(label=gettext_lazy("What to mend"), required=False, max_length=300)
    networks = forms.MultipleChoiceField(
        label=gettext_lazy("Networks"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, kind: Kind, networks: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reasons = [(str(reason), reason) for reason in kind.reasons]
        self.fields["usual"].choices = [("", "–"), *reasons]  # type: ignore[attr-defined]
        if kind.name == "sender":
            self.fields["networks"].choices = [(name, name) for name in networks]  # type: ignore[attr-defined]
            self.fields["networks"].initial = networks
        else:
            del self.fields["networks"], self.fields["fix"]

    def decision(self) -> Decision:
        given = self.cleaned_data
        reason = given["reason"].strip() or given["usual"]
        return Decision(reason, given.get("fix", "").strip(), tuple(given.get("networks", ())))


def _queue(request: HttpRequest) -> list[Item]:
    return waiting(request.user.has_perm)


@require_safe
def approvals(request: HttpRequest) -> HttpResponse:
    """The queue, the oldest first."""
    rows = [(item, KINDS[item.kind].label) for item in _queue(request)]
    context = {**admin.site.each_context(request), "title": _("Approvals"), "rows": rows}
    return TemplateResponse(request, "admin/office/approvals.html", context)


@require_http_methods(["GET", "POST"])
def approval(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """One thing of the queue. POST with `do`: approve, back or, of a sender ID, pass (with the networks now)."""
    about = KINDS.get(kind)
    if about is None or pk >= 2**63:
        raise Http404
    if not request.user.has_perm(about.permission):
        raise PermissionDenied
    thing = about.load(pk)
    if thing is None:
        messages.warning(request, _("This was decided already."))
        return redirect("approvals")
    networks = _open_networks(thing)
    form = AnswerForm(request.POST or None, kind=about, networks=networks)
    if request.method == "POST" and form.is_valid() and _decide(request, about, thing, form):
        rest = [item for item in _queue(request) if (item.kind, item.pk) != (kind, pk)]
        return redirect("approval", rest[0].kind, rest[0].pk) if rest else redirect("approvals")
    before, following = _beside(_queue(request), kind, pk)
    context = {
        **admin.site.each_context(request),
        "title": f"{about.label}: {thing}",
        "kind": about,
        "thing": thing,
        "client": thing.client,
        "form": form,
        "before": before,
        "following": following,
        **_facts(thing),
    }
    status = 422 if form.is_bound else 200
    return TemplateResponse(request, "admin/office/approval.html", context, status=status)


def _beside(queue: list[Item], kind: str, pk: int) -> tuple[Item | None, Item | None]:
    """The items before and after this one, None at either end."""
    at = next((n for n, item in enumerate(queue) if (item.kind, item.pk) == (kind, pk)), -1)
    return queue[at - 1] if at > 0 else None, queue[at + 1] if at + 1 < len(queue) else None


def _open_networks(thing: Any) -> list[str]:
    if not isinstance(thing, SenderId):
        return []
    rows = networks_asked(thing).filter(state__in=[NetworkState.CHECKING, NetworkState.NETWORK])
    return list(rows.values_list("network", flat=True))


def _facts(thing: Any) -> dict[str, Any]:
    """What a sender ID or a trial is judged by, beside its own columns."""
    if isinstance(thing, SenderId):
        return {
            "papers": list(papers_of(thing)),
            "networks": [(row, usual_wait(row.network)) for row in networks_asked(thing)],
            "alike": look_alikes(thing),
        }
    return {"steps": steps_of(thing.client)}


def _decide(request: HttpRequest, kind: Kind, thing: Any, form: AnswerForm) -> bool:
    said, by = form.decision(), request.user
    try:
        match request.POST.get("do"):
            case "approve":
                kind.approve(thing, by, said)  # type: ignore[arg-type]
                messages.success(request, _("Approved: %(thing)s.") % {"thing": thing})
            case "back":
                kind.give_back(thing, by, said)  # type: ignore[arg-type]
                messages.success(request, _("Given back: %(thing)s.") % {"thing": thing})
            case "pass" if isinstance(thing, SenderId):
                pass_on(sender=thing, networks=said.networks)
                messages.success(request, _("%(thing)s is with the networks.") % {"thing": thing})
            case _:
                form.add_error(None, _("Approve it, or give it back."))
                return False
    except InvalidInput as error:
        for name, sentences in error.errors.items():
            form.add_error(name if name in form.fields else None, sentences)
        return False
    except DomainError as error:
        form.add_error(None, str(error))
        return False
    return True
