"""Words kept for answering: saved replies, and what goes back by itself to STOP, START and HELP."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from crm.common.access import page
from crm.common.errors import InvalidInput, NotFound
from messaging import conversations
from messaging.inbox_forms import AutoRepliesForm, SavedReplyForm
from messaging.models import SavedReply
from messaging.services import auto_replies, threads


@page("campaigns.write")
@require_http_methods(["GET", "POST"])
def replies(request: HttpRequest) -> HttpResponse:
    """/app/inbox/replies: saved replies with a form for a new one, or `?edit=`; the automatic answers below."""
    saved_form, auto_form = None, None
    if request.method == "POST" and request.POST.get("form") == "auto":
        auto_form = AutoRepliesForm(request.POST)
        if auto_form.is_valid() and _save_auto(request, auto_form):
            messages.success(request, _("Saved. It holds from the next message on."))
            return redirect("inbox_replies")
    elif request.method == "POST":
        saved_form = SavedReplyForm(request.POST)
        if saved_form.is_valid() and _save_reply(request, saved_form):
            messages.success(request, _("Saved reply kept."))
            return redirect("inbox_replies")
    edited = _edited(request)
    initial = {"name": edited.name, "text": edited.text, "reply": edited.pk} if edited else {}
    kept = auto_replies.auto_replies_of(request.client)
    context = {
        "saved": conversations.saved_replies_for(request.client),
        "edited": edited,
        "form": saved_form or SavedReplyForm(initial=initial),
        "auto_form": auto_form
        or AutoRepliesForm(initial={f"{word}_{language}": text for (word, language), text in kept.items()}),
    }
    failed = (saved_form and saved_form.errors) or (auto_form and auto_form.errors)
    return render(request, "messaging/inbox_replies.html", context, status=422 if failed else 200)


@page("campaigns.write")
@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    if not threads.delete_reply(client=request.client, reply_id=pk):
        raise Http404("There is no such saved reply.")
    messages.success(request, _("Saved reply deleted."))
    return redirect("inbox_replies")


def _edited(request: HttpRequest) -> SavedReply | None:
    typed = request.GET.get("edit", "") or request.POST.get("reply", "")
    if not typed.isascii() or not typed.isdigit() or len(typed) > 18:
        return None
    return SavedReply.objects.for_client(request.client).filter(pk=int(typed)).first()


def _save_reply(request: HttpRequest, form: SavedReplyForm) -> bool:
    fields = form.cleaned_data
    try:
        threads.save_reply(
            client=request.client, name=fields["name"], text=fields["text"], reply_id=fields["reply"] or None
        )
    except InvalidInput as error:
        for name, sentences in error.errors.items():
            form.add_error(name, sentences)
        return False
    except NotFound:
        form.add_error(None, _("A colleague deleted this saved reply meanwhile. Nothing was kept."))
        return False
    return True


def _save_auto(request: HttpRequest, form: AutoRepliesForm) -> bool:
    try:
        auto_replies.save_auto_replies(client=request.client, texts=form.texts())
    except InvalidInput as error:
        for name, sentences in error.errors.items():
            form.add_error(name if name in form.fields else None, sentences)
        return False
    return True
