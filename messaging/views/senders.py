"""/app/settings/senders: sender IDs, how far they are, and asking for one in three steps; and asking to go live."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from crm.common.access import page, wants_fragment
from crm.common.errors import DomainError, InvalidInput, NotFound
from messaging.models import DocumentKind, GoLiveRequest, SenderDocument, SenderId, SenderNetwork, SenderState
from messaging.sender_forms import GoLiveForm, PaperForm, SamplesForm, SenderForm
from messaging.services import going_live, sender_papers
from messaging.services import sender_requests as service
from messaging.services.rules import rules_of
from messaging.services.sender_names import name_problem
from messaging.views.paper_files import paper_file


def _sender_or_404(request: HttpRequest, pk: int) -> SenderId:
    try:
        return service.get_sender(client=request.client, sender_id=pk)
    except NotFound:
        raise Http404 from None


def _take(form: Any, error: InvalidInput) -> None:
    for name, sentences in error.errors.items():
        form.add_error(name if name in form.fields else None, sentences)


@page("organisation.read")
@require_safe
def sender_list(request: HttpRequest) -> HttpResponse:
    """Every sender ID with its state on each network."""
    found = SenderId.objects.for_client(request.client).prefetch_related(
        Prefetch("networks", SenderNetwork.objects.for_client(request.client))
    )
    may_write = request.membership.may("senders.write")
    return render(request, "messaging/sender_list.html", {"senders": found, "may_write": may_write})


@page("organisation.read")
@require_safe
@never_cache
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    sender = _sender_or_404(request, pk)
    networks = [(row, service.usual_wait(row.network)) for row in service.networks_asked(sender)]
    may_write = request.membership.may("senders.write")
    context = {
        "sender": sender,
        "networks": networks,
        "papers": list(service.papers_of(sender)) if may_write else [],
        "may_write": may_write,
        "is_open": sender.state in (SenderState.DRAFT, SenderState.REJECTED) and bool(networks),
    }
    return render(request, "messaging/sender_detail.html", context)


@page("senders.write")
@require_safe
@never_cache
def check(request: HttpRequest) -> HttpResponse:
    """The live answer below the name: whether it can be asked for. It is a part of the form, and no page by itself."""
    if not wants_fragment(request):
        return redirect("sender_new")
    name = request.GET.get("name", "").strip()[:40]
    context = {"name": name, "problem": name_problem(request.client, name) if name else ""}
    return render(request, "messaging/_sender_check.html", context)


@page("senders.write")
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    return _step_one(request, None)


@page("senders.write")
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    return _step_one(request, _sender_or_404(request, pk))


def _step_one(request: HttpRequest, sender: SenderId | None) -> HttpResponse:
    initial: dict[str, Any] = {"message_class": "information"}
    if sender:
        chosen = list(service.networks_asked(sender).values_list("network", flat=True))
        initial = {"name": sender.name, "message_class": sender.message_class, "networks": chosen}
    form = SenderForm(request.POST or None, client=request.client, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            saved = service.save_request(
                client=request.client, by=request.user, sender_id=sender.pk if sender else None, **form.cleaned_data
            )
            return redirect("sender_papers", saved.pk)
        except InvalidInput as error:
            _take(form, error)
        except DomainError as error:
            form.add_error(None, str(error))
    context = {"form": form, "sender": sender}
    return render(request, "messaging/sender_form.html", context, status=422 if form.errors else 200)


@page("senders.write")
@require_http_methods(["GET", "POST"])
@never_cache
def papers(request: HttpRequest, pk: int) -> HttpResponse:
    """Step 2: the papers the country asks for, one file each."""
    sender = _sender_or_404(request, pk)
    bound = PaperForm(request.POST, request.FILES) if request.method == "POST" else None
    if bound is not None and bound.is_valid():
        try:
            sender_papers.attach_paper(
                client=request.client,
                by=request.user,
                sender_id=pk,
                kind=bound.cleaned_data["kind"],
                upload=bound.cleaned_data["file"],
            )
            messages.success(request, _("Kept."))
            return redirect("sender_papers", pk)
        except InvalidInput as error:
            _take(bound, error)
        except DomainError as error:
            bound.add_error(None, str(error))
    have = {paper.kind: paper for paper in SenderDocument.objects.for_client(request.client).filter(sender=sender)}
    asked = bound["kind"].value() if bound is not None else ""
    kinds = service.papers_needed(sender)
    rows = [
        (kind, have.get(kind), bound if kind == asked else PaperForm(initial={"kind": kind}, auto_id=f"id_{kind}_%s"))
        for kind in kinds
    ]
    context = {"sender": sender, "rows": rows, "form": bound, "letter": DocumentKind.LETTER in kinds}
    return render(request, "messaging/sender_papers.html", context, status=422 if bound is not None else 200)


@page("senders.write")
@require_safe
@never_cache
def letter(request: HttpRequest, pk: int) -> HttpResponse:
    """The letter to sign, filled in."""
    from messaging.sender_letter import letter_pdf  # with what makes PDFs: large, and few processes ever print

    sender = _sender_or_404(request, pk)
    answer = HttpResponse(letter_pdf(sender), content_type="application/pdf")
    answer["Content-Disposition"] = f'attachment; filename="letter-{sender.pk}.pdf"'
    return answer


@page("senders.write")
@require_safe
@never_cache
def paper(request: HttpRequest, pk: int, paper: int) -> HttpResponseBase:
    """One of the client's own papers, for those who may ask for sender IDs."""
    rows = SenderDocument.objects.for_client(request.client).filter(sender_id=_sender_or_404(request, pk).pk)
    return paper_file(rows.filter(pk=paper).first() if paper < 2**63 else None)


@page("senders.write")
@require_http_methods(["GET", "POST"])
@never_cache
def samples(request: HttpRequest, pk: int) -> HttpResponse:
    """Step 3: what will be sent, and handing it in."""
    sender = _sender_or_404(request, pk)
    form = SamplesForm(request.POST or None, initial={"samples": sender.samples})
    if request.method == "POST" and form.is_valid():
        try:
            service.submit_request(client=request.client, by=request.user, sender_id=pk, **form.cleaned_data)
            messages.success(request, _("Handed in. We tell you what the networks answer."))
            return redirect("sender", pk)
        except InvalidInput as error:
            _take(form, error)
        except DomainError as error:
            form.add_error(None, str(error))
    context = {"form": form, "sender": sender, "missing": service.papers_missing(sender)}
    return render(request, "messaging/sender_samples.html", context, status=422 if form.errors else 200)


@page("senders.write")
@require_http_methods(["GET", "POST"])
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks; POST takes the request back."""
    sender = _sender_or_404(request, pk)
    if request.method == "GET":
        return render(request, "messaging/sender_withdraw.html", {"sender": sender})
    try:
        service.withdraw_request(client=request.client, sender_id=pk)
    except DomainError as error:
        messages.warning(request, str(error))
        return redirect("sender", pk)
    messages.success(request, _("The request for %(name)s was withdrawn.") % {"name": sender.name})
    return redirect("senders")


@page("senders.write")
@require_POST
def make_default(request: HttpRequest, pk: int) -> HttpResponse:
    sender = _sender_or_404(request, pk)
    try:
        service.choose_default(client=request.client, sender_id=pk)
        messages.success(request, _("%(name)s is used where you choose none.") % {"name": sender.name})
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("senders")


@page("organisation.read")
@require_http_methods(["GET", "POST"])
@never_cache
def go_live(request: HttpRequest) -> HttpResponse:
    """/app/go-live: the steps, and the request to staff."""
    may_write = request.membership.may("senders.write")
    form = GoLiveForm(request.POST or None)
    if request.method == "POST":
        if not may_write:
            raise PermissionDenied("senders.write")
        if form.is_valid():
            try:
                going_live.ask_to_go_live(client=request.client, by=request.user, **form.cleaned_data)
                messages.success(request, _("Asked. We look at it and tell you here."))
                return redirect("go_live")
            except InvalidInput as error:
                _take(form, error)
            except DomainError as error:
                form.add_error(None, str(error))
    steps, asked = going_live.steps_of(request.client), going_live.request_of(request.client)
    context = {
        "form": form,
        "steps": steps,
        "done": sum(step.done for step in steps),
        "asked": asked,
        "waits": bool(asked and asked.state == GoLiveRequest.State.WAITING),
        "is_trial": rules_of(request.client).trial,
        "may_write": may_write,
    }
    return render(request, "messaging/go_live.html", context, status=422 if form.errors else 200)
