"""Who wants no messages: the list, entry by hand or from a file, taking back, and the public page behind a link."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from contacts import queries, services
from contacts.forms import OptInForm, OptOutForm
from contacts.models import Channel, OptOut, OptOutSource
from contacts.views.page_parts import page_of, render_page, render_part, require_write
from crm.common.access import page, public_page
from crm.common.errors import DomainError
from crm.common.phones import mask_phone


@page("contacts.read")
@require_http_methods(["GET", "HEAD", "POST"])
def opt_out_list(request: HttpRequest) -> HttpResponse:
    """/app/contacts/opt-outs: who wants no messages; POST adds numbers."""
    q = request.GET.get("q", "").strip()
    form = OptOutForm()
    if request.method == "POST":
        require_write(request)
        form = OptOutForm(request.POST, request.FILES)
        if form.is_valid() and _record(request, form):
            return redirect("contacts:opt_outs")
    found = page_of(request, queries.opt_outs_for(request.client, search=q))
    context = {"page": found, "q": q, "form": form, "is_filtered": bool(q)}
    status = 422 if form.errors else 200
    return render_part(request, "contacts/opt_out_list.html", "contacts/_opt_out_table.html", context, status=status)


def _record(request: HttpRequest, form: OptOutForm) -> bool:
    fields = form.cleaned_data
    try:
        texts = fields["numbers"].splitlines()
        if fields["file"]:
            texts += services.read_numbers(client=request.client, upload=fields["file"])
        listed = services.record_listed_opt_outs(
            client=request.client, texts=texts, proof=fields["proof"], by=request.user
        )
    except DomainError as error:
        form.refuse(error)
        return False
    words = ngettext("No SMS goes to %(n)s number any more.", "No SMS goes to %(n)s numbers any more.", listed.news)
    sentences = [words % {"n": listed.news}] if listed.news else []
    if listed.known:
        words = ngettext("%(n)s had opted out already.", "%(n)s had opted out already.", listed.known)
        sentences.append(words % {"n": listed.known})
    messages.success(request, " ".join(sentences))
    for text, sentence in listed.unreadable:
        messages.warning(request, f"“{text}”: {sentence}")
    return True


@page("contacts.write")
@require_http_methods(["GET", "HEAD", "POST"])
def opt_out_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """/app/contacts/opt-outs/{id}/remove: write to the address again, with a reason that is kept."""
    opt_out = get_object_or_404(OptOut.objects.for_client(request.client), pk=pk)
    form = OptInForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.remove_opt_out(
                client_id=request.client.pk, channel=opt_out.channel, address=opt_out.address, sender=opt_out.sender,
                source=OptOutSource.STAFF, reason=form.cleaned_data["reason"], by=request.user,
            )  # fmt: skip
        except DomainError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Messages may go there again."))
            return redirect("contacts:opt_outs")
    context = {"opt_out": opt_out, "form": form}
    return render_page(request, "contacts/opt_out_remove.html", context, status=422 if form.errors else 200)


@public_page
@csrf_exempt  # the token is what entitles; a phone's browser that keeps no cookies must be able to say STOP too
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def opt_out_page(request: HttpRequest, token: str) -> HttpResponse:
    """/o/{token}: shows who writes to whom; only POST changes anything, since programs open links to preview them."""
    try:
        link = services.find_opt_out_link(token)
    except DomainError:
        raise Http404 from None
    if request.method == "POST":
        services.follow_opt_out_link(link=link, wants_messages=request.POST.get("do") == "start")
        return redirect("contacts:opt_out_page", token=token)
    address = link.address if link.channel == Channel.EMAIL else mask_phone(link.address)
    context = {"link": link, "token": token, "address": address, "is_out": services.is_opted_out(link)}
    response = render(request, "contacts/opt_out_page.html", context)
    response["X-Robots-Tag"] = "noindex"
    response["Referrer-Policy"] = "no-referrer"
    return response
