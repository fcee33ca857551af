"""What an account would say to its provider, and how an answer would be read: shown, never sent."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import orjson

from messaging.models import ProviderAccount
from messaging.providers.base import Adapter, HttpResponse, Outbound, Outcome, UnusableCredentials
from messaging.services.provider_access import adapter_of, address_of, callback_base, credentials_of

HIDDEN = "•••"
_KEPT_BACK = re.compile(r"authorization|apikey|api-key|api_key|accesskey|token|secret|password", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shown:
    """A request, or the sentence why there is none. Secrets are hidden wherever they stand in it."""

    method: str = ""
    url: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    problem: str = ""


def show_request(account: ProviderAccount, *, to: str, text: str, sender: str) -> Shown:
    """The request that would send `text` to `to` (E.164). Nothing is sent and nothing is stored."""
    adapter = adapter_of(account)
    if not isinstance(adapter, Adapter):
        return Shown(problem=f"{adapter.label} is not spoken to by requests.")
    if problems := adapter.problems_with(account.credentials):
        return Shown(problem=" ".join(problems.values()))
    message = Outbound(0, to, text, sender, "MSG-000000", channel=adapter.channels[0])
    try:
        request = adapter.request_for([message], credentials_of(account), address_of(account))
    except UnusableCredentials as error:
        return Shown(problem=str(error))
    secrets = [
        account.credentials[field.name]
        for field in adapter.credential_fields
        if field.secret and not field.lines and account.credentials.get(field.name)
    ]
    secrets.append(callback_base(account).rpartition("/")[2])
    headers = tuple(
        (name, HIDDEN if _KEPT_BACK.search(name) else _hide(value, secrets)) for name, value in request.headers
    )
    body = request.body.decode("utf-8", "replace")
    return Shown(request.method, _hide(request.url, secrets), headers, _hide(_laid_out(body), secrets))


def read_answer(account: ProviderAccount, *, to: str, status: int, body: str) -> Outcome:
    """How an answer with this HTTP status and body would be taken, for one message to `to`."""
    adapter = adapter_of(account)
    if not isinstance(adapter, Adapter):
        raise LookupError(f"{adapter.label} is not spoken to by requests.")
    message = Outbound(0, to, "", "", "MSG-000000", channel=adapter.channels[0])
    (outcome,) = adapter.outcomes_of([message], HttpResponse(status, (), body.encode()))
    return outcome


def _laid_out(body: str) -> str:
    """JSON over several lines, anything else as it is."""
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except ValueError:
        return body


def _hide(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        inner = orjson.dumps(secret).decode()[1:-1]
        for form in {
            secret,
            quote(secret, safe=""),
            quote_plus(secret),
            inner,
            base64.b64encode(secret.encode()).decode(),
        }:
            text = text.replace(form, HIDDEN)
    return text
