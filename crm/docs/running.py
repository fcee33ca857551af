"""Run a documented call for a signed-in member in simulation: the real view, and then everything is undone.

The call stands in a transaction that is rolled back, and wake-ups are sent after commits alone. So nothing leaves,
nothing is charged and nothing is kept, whatever the call is. What talks to the outside while it answers is left out.
"""

import copy
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import cast

from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404

from accounts.models import ApiKey, Client, WebhookDelivery, WebhookEndpoint
from accounts.scopes import SCOPES
from accounts.services.rates import count_call
from contacts.models import Contact, ContactImport, Group
from crm.common.api import inner
from crm.common.api.errors import http_failure
from crm.common.tenancy import TenantQuerySet
from crm.docs.reference import Endpoint, endpoints
from messaging.models import Campaign, Message
from messaging.models.messages import public_id
from wallet.models import TopUp

RUNS_A_MINUTE = 30  # of one organisation
_LONGEST_SHOWN = 20_000
_ASKS_OUTSIDE = {("POST", "wallet/topup")}  # a prompt on a real phone


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered. text: the body, laid out; request: the line that was asked."""

    request: str
    status: int
    milliseconds: int
    text: str


def can_run(endpoint: Endpoint) -> bool:
    """Whether the call can be undone; an upload also needs a file, which the page has not."""
    return not endpoint.upload and (endpoint.method, endpoint.short_path) not in _ASKS_OUTSIDE


def runnable(slug: str) -> Endpoint | None:
    return next((one for one in endpoints() if one.slug == slug and can_run(one)), None)


def path_names(endpoint: Endpoint) -> list[str]:
    """The ids in the path that a member chooses."""
    found = [name for _, name, _, _ in Formatter().parse(endpoint.path) if name]
    return [name for name in found if name != "client_id"]


def may_run(client: Client) -> bool:
    """Counts a run. Whether it is one of the RUNS_A_MINUTE."""
    return not count_call(name=f"docs-run:{client.pk}", limit=RUNS_A_MINUTE).is_exceeded


def run(
    asked: HttpRequest, endpoint: Endpoint, *, values: Mapping[str, str], query: str = "", body: str | None = None
) -> Reply:
    """values: ids for the path; an empty one means the newest. body: as typed, None for the example."""
    client = copy.copy(asked.client)  # type: ignore[attr-defined]
    client.simulation = True
    path = endpoint.path.format_map({"client_id": client.pk} | _ids(client, path_names(endpoint), values))
    if body is None:
        body = "" if endpoint.example is None else json.dumps(endpoint.example, ensure_ascii=False)
    sent = body.encode("utf-8", "replace") if endpoint.method != "GET" else b""
    kind = "application/json" if sent else ""
    request = inner.make_request(asked, method=endpoint.method, path=path, query=query, raw=sent, content_type=kind)
    request.lent_key = ApiKey(client=client, scopes=list(SCOPES), simulation=True)  # type: ignore[attr-defined]
    began = time.perf_counter()
    with transaction.atomic():
        try:
            response = cast(HttpResponse, inner.answer(request))
            status, answer = response.status_code, json.loads(response.content)
        except Resolver404:  # an id that cannot be one
            status, answer = 404, http_failure(404)
        transaction.set_rollback(True)
    seconds = time.perf_counter() - began
    line = f"{endpoint.method} {path}" + (f"?{query}" if query else "")
    return Reply(line, status, round(seconds * 1000), _laid_out(answer))


def _laid_out(answer: object) -> str:
    text = json.dumps(answer, indent=2, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "\n…"


def _newest(model: type[models.Model]) -> Callable[[Client], object]:
    def find(client: Client) -> object:
        rows = cast(TenantQuerySet, model._default_manager.all())
        return rows.for_client(client).order_by("-pk").values_list("pk", flat=True).first()

    return find


def _newest_message(client: Client) -> object:
    found = _newest(Message)(client)
    return public_id(cast(int, found)) if found else None


def _newest_top_up(client: Client) -> object:
    return TopUp.objects.for_client(client).order_by("-pk").values_list("transaction_id", flat=True).first()


_NEWEST: dict[str, Callable[[Client], object]] = {
    "message_id": _newest_message,
    "transaction_id": _newest_top_up,
    "contact_id": _newest(Contact),
    "group_id": _newest(Group),
    "import_id": _newest(ContactImport),
    "campaign_id": _newest(Campaign),
    "endpoint_id": _newest(WebhookEndpoint),
    "delivery_id": _newest(WebhookDelivery),
}


def _ids(client: Client, names: list[str], values: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name in names:
        given = values.get(name, "").strip()[:100]
        newest = _NEWEST[name](client) if not given and name in _NEWEST else None
        found[name] = given or str(newest or 1)
    return found
