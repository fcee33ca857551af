"""The public documentation: guides, the reference made from the schema, error pages, search; and the schema itself."""

from dataclasses import dataclass
from functools import cache
from html import unescape
from typing import Any

from csp.decorators import csp_update
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import strip_tags
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts import queries as accounts
from accounts.events import EVENTS
from crm.common.access import page, public_page, wants_fragment
from crm.docs import running
from crm.docs.document import schema
from crm.docs.errors import BY_CODE
from crm.docs.moving import MOVES
from crm.docs.reference import Endpoint, endpoints, error_pages, groups
from crm.docs.samples import KEY_VARIABLE, Caller, body_text, samples_of
from messaging import queries as messaging
from messaging.dialects.guides import OURS
from wallet.queries import balance_of

# Guides: address → title. Their text is templates/docs/texts/<address>.html.
GUIDES = {
    "quick-start": "Quick start",
    "authentication": "Authentication",
    "conventions": "Answers, lists and limits",
    "prices": "Prices and units",
    "webhooks": "Receiving webhooks",
    "two-way": "Receiving messages",
    "testing": "Before you go live",
    "problems": "Common problems",
}
_FOUND_AT_MOST = 30


@public_page
@require_safe
def guide(request: HttpRequest, slug: str = "quick-start") -> HttpResponse:
    """A page of prose; without an address, the quick start."""
    if slug not in GUIDES:
        raise Http404
    context = _context(request, here=slug) | {"title": GUIDES[slug], "text": f"docs/texts/{slug}.html"}
    if slug == "webhooks":
        context["webhook_events"] = webhook_events(context["caller"].client_id)
    if slug == "quick-start":
        first = next(one for one in endpoints() if one.short_path == "messages/send")
        context |= {"first": first, "samples": samples_of(first, context["caller"])}
    return render(request, "docs/guide.html", context)


def webhook_events(client_id: int) -> list[dict[str, Any]]:
    """Every event with its meaning and a body as it is sent."""
    moment = "2025-10-09T14:35:00Z"
    return [
        {
            "name": event.name,
            "meaning": event.meaning,
            "body": {"event": event.name, "client_id": client_id, "timestamp": moment, "data": event.sample},
        }
        for event in EVENTS.values()
    ]


@public_page
@require_safe
def moving(request: HttpRequest, slug: str) -> HttpResponse:
    """Moving here from a system whose API we answer as well."""
    move = MOVES.get(slug)
    if move is None:
        raise Http404
    context = _context(request, here=f"moving/{slug}")
    pastes = [(theirs, OURS[ours]) for theirs, ours in move.guide.pastes]
    return render(
        request,
        "docs/moving.html",
        context | {"move": move, "pastes": pastes, "samples": move.samples(context["caller"])},
    )


@public_page
@require_safe
def reference(request: HttpRequest, group: str) -> HttpResponse:
    """Every call of one group."""
    if group not in groups():
        raise Http404
    context = _context(request, here=f"reference/{group}")
    rows = [_call_row(one, context["caller"]) for one in groups()[group]]
    return render(request, "docs/reference.html", context | {"rows": rows, "title": groups()[group][0].group})


@page("keys.write")
@require_http_methods(["GET", "POST"])
@never_cache
def run(request: HttpRequest, slug: str) -> HttpResponse:
    """Execute one call in simulation and show the reply: beside its samples, or without JavaScript on a page."""
    endpoint = running.runnable(slug)
    if endpoint is None:
        raise Http404
    context = _call_row(endpoint, caller_of(request)) | {"may_run": True, "reply": None, "problem": "", "typed": {}}
    if request.method == "POST":
        typed = {name: request.POST.get(name, "") for name in (*running.path_names(endpoint), "query")}
        body = request.POST.get("body")
        context |= {"typed": typed, "body": context["body"] if body is None else body}
        if running.may_run(request.client):  # type: ignore[attr-defined]
            context["reply"] = running.run(
                request, endpoint, values=typed, query=typed["query"].strip().lstrip("?"), body=context["body"]
            )
        else:
            context["problem"] = _("That is enough for this minute. Try again in the next one.")
    if wants_fragment(request):
        return render(request, "docs/_reply.html", context)
    return render(request, "docs/run.html", _context(request, here=f"reference/{endpoint.group_slug}") | context)


def _call_row(endpoint: Endpoint, caller: Caller) -> dict[str, Any]:
    """A call with its samples and what is needed to run it; body: that of the samples."""
    return {
        "endpoint": endpoint,
        "samples": samples_of(endpoint, caller),
        "can_run": running.can_run(endpoint),
        "path_names": running.path_names(endpoint),
        "has_query": endpoint.method == "GET" and any("(header)" not in one.name for one in endpoint.parameters),
        "body": body_text(endpoint, caller),
    }


@public_page
@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    """All error codes."""
    return render(request, "docs/errors.html", _context(request, here="errors") | {"errors": error_pages()})


@public_page
@require_safe
def error(request: HttpRequest, code: str) -> HttpResponse:
    """One error code: when it comes and what to do. The address is what a log or a support answer may link to."""
    found = BY_CODE.get(code.upper())
    if found is None:
        raise Http404
    raised = [one for one in endpoints() if any(refusal.error is found for refusal in one.refusals)]
    context = {"error": found, "raised": raised, "everywhere": len(raised) == len(endpoints())}
    return render(request, "docs/error.html", _context(request, here="errors") | context)


@public_page
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Pages, calls and errors that contain every word asked for."""
    asked = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    found = find_entries(asked)[:_FOUND_AT_MOST] if asked else []
    return render(request, "docs/search.html", _context(request, here="") | {"asked": asked, "found": found})


# Swagger UI writes style attributes; nothing else on this page or on any other needs them.
@public_page
@csp_update({"style-src": ["'unsafe-inline'"]})
@require_safe
def interactive(request: HttpRequest) -> HttpResponse:
    """The schema as a page on which calls can be tried with one's own key. Works offline."""
    return render(request, "docs/api.html", _context(request, here="api"))


@public_page
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document: JSON, or YAML where `?format=yaml` or Accept asks for it."""
    accepted = request.headers.get("Accept", "")
    if request.GET.get("format") == "yaml" or ("yaml" in accepted and "json" not in accepted):
        from drf_spectacular.renderers import OpenApiYamlRenderer  # large, see document.py

        return HttpResponse(OpenApiYamlRenderer().render(schema()), content_type="application/yaml")
    return JsonResponse(schema())


def _context(request: HttpRequest, *, here: str) -> dict[str, Any]:
    return {
        "guides": GUIDES,
        "moves": MOVES,
        "reference_groups": {slug: rows[0].group for slug, rows in groups().items()},
        "here": here,
        "caller": caller_of(request),
        "price": _price_of(request),
        "key_variable": KEY_VARIABLE,
        "rate_per_minute": settings.API_RATE_PER_MINUTE,
        "may_run": (membership := getattr(request, "membership", None)) is not None and membership.may("keys.write"),
    }


def caller_of(request: HttpRequest) -> Caller:
    """The signed-in member's own address, client ID, sender and the visible part of a key; else an example's."""
    client, membership = getattr(request, "client", None), getattr(request, "membership", None)
    if client is None or membership is None:
        return Caller(base_url=settings.PUBLIC_URL, client_id=1)
    sender = messaging.approved_senders(client).first()
    key = None
    if membership.may("keys.read"):
        key = accounts.keys_for(client).filter(revoked_at=None).order_by("-last_used_at", "-pk").first()
    return Caller(settings.PUBLIC_URL, client.pk, key.hint if key else "", sender.name if sender else "")


def _price_of(request: HttpRequest) -> Any:
    """The member's own price of a unit, with its currency; None for others."""
    membership = getattr(request, "membership", None)
    if membership is None or not membership.may("wallet.read"):
        return None
    found = balance_of(membership.client_id)
    return found if found.unit_price is not None else None


@dataclass(frozen=True, slots=True)
class Entry:
    """Something the search finds."""

    title: str
    url: str
    text: str

    def around(self, word: str) -> str:
        """Some words of the text around the first place where `word` stands."""
        at = max(self.text.casefold().find(word.casefold()), 0)
        start = max(at - 60, 0)
        return ("…" if start else "") + self.text[start : at + 140].strip() + ("…" if at + 140 < len(self.text) else "")


def find_entries(asked: str) -> list[dict[str, str]]:
    """Entries with every word of `asked`, those whose title has one first."""
    words = asked.casefold().split()
    found = [one for one in _entries() if all(word in f"{one.title} {one.text}".casefold() for word in words)]
    found.sort(key=lambda one: not any(word in one.title.casefold() for word in words))
    return [{"title": one.title, "url": one.url, "text": one.around(words[0])} for one in found]


@cache
def _entries() -> tuple[Entry, ...]:
    anybody = Caller(base_url=settings.PUBLIC_URL, client_id=1)
    context: dict[str, Any] = {
        "caller": anybody,
        "key_variable": KEY_VARIABLE,
        "rate_per_minute": settings.API_RATE_PER_MINUTE,
    }
    context["webhook_events"] = webhook_events(anybody.client_id)
    found = []
    for slug, title in GUIDES.items():
        text = unescape(" ".join(strip_tags(render_to_string(f"docs/texts/{slug}.html", context)).split()))
        found.append(Entry(title, f"/docs/{slug}", text))
    found += [Entry(move.title, f"/docs/moving/{slug}", move.words()) for slug, move in MOVES.items()]
    for one in endpoints():
        words = [one.method, one.short_path, *one.text, *(field.name for field in (*one.parameters, *one.fields))]
        found.append(Entry(one.title, f"/docs/reference/{one.group_slug}#{one.slug}", " ".join(words)))
    found += [
        Entry(problem.code, f"/docs/errors/{problem.code}", " ".join((problem.when, *problem.remedy)))
        for problem in error_pages()
    ]
    return tuple(found)
