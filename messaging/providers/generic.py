"""Any provider with a plain HTTP API, set up in the back office without code.

An operator writes what the provider's documentation says: the path, the headers, the body with placeholders, how a
success looks, where the id stands, what its refusals mean, how its reports read. generic_setup.py reads that and says
what is wrong with it. A placeholder's value is encoded for its place: as part of a JSON string, a form, a query or a
path, so no text of a message can change the request. What the operator did not describe is never guessed: an
answer without a known word is ambiguous, a report with an unknown word is kept and the message stays sent.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from messaging.providers.base import (
    Adapter,
    Callback,
    CallbackAnswer,
    Capabilities,
    CredentialField,
    Credentials,
    DeliveryReport,
    HttpRequest,
    HttpResponse,
    Notice,
    Outbound,
    Outcome,
    UnreadableCallback,
    UnusableCredentials,
    clip,
    e164_or_empty,
    outcomes_by_status,
    same_for_all,
)
from messaging.providers.generic_setup import (
    Setup,
    UnusableSetup,
    fill,
    filled,
    find,
    kind_of,
    problems_in,
    read_setup,
)
from messaging.providers.reading import (
    FORM,
    digits,
    form_callback,
    json_callback,
    json_or_none,
    query_fields,
    text_of,
)

log = logging.getLogger(__name__)

_PLACES: Final = "{to} {to_digits} {text} {sender} {reference} {callback_url} {username} {password} {api_key}"


class GenericHttp(Adapter):
    """A provider described by its operator."""

    name = "generic"
    label = "Any HTTP provider"
    can = Capabilities(batch_size=1, one_text_many=False, reports="pushed", lookup=False, idempotent=False)
    default_base_url = ""
    callback_kinds = ("delivery",)
    callback_methods = ("GET", "POST")
    credential_fields = (
        CredentialField("username", "Username", secret=False, required=False, help="Stands for {username}."),
        CredentialField("password", "Password", secret=True, required=False, help="Stands for {password}."),
        CredentialField("api_key", "API key", secret=True, required=False, help="Stands for {api_key}."),
        CredentialField("method", "Method", False, False, choices=("POST", "GET"), default="POST"),
        CredentialField(
            "path", "Path", False, True, help=f"After the base URL, such as /sms/send. May hold {_PLACES}."
        ),
        CredentialField("query", "Query", False, False, "A line each: name = value, with placeholders.", lines=True),
        CredentialField(
            "headers",
            "Headers",
            True,
            False,
            "A line each: Name: value, with placeholders. Kept as a secret.",
            lines=True,
        ),
        CredentialField("body_kind", "Body", False, False, choices=("json", "form", "none"), default="json"),
        CredentialField(
            "body", "Body template", False, False, "JSON, or for a form a line each: name = value.", lines=True
        ),
        CredentialField(
            "success",
            "Success",
            secret=False,
            required=True,
            help="How an answer says yes: path = word, such as status = ok | success. Or: text contains OK. "
            "Several lines must all hold.",
            lines=True,
        ),
        CredentialField(
            "id_at", "Message id", False, False, "Where it stands, such as data.id or [0].message_id. Empty: our own."
        ),
        CredentialField("refusal_at", "Refusal", False, False, "Where the reason of a refusal stands, such as code."),
        CredentialField(
            "refusals",
            "What refusals mean",
            secret=False,
            required=False,
            help="A line each: their word = our code, such as 1003 = invalid_number or 1004 = provider_balance.",
            lines=True,
        ),
        CredentialField("report_id_at", "Report: message id", False, False, "The field of a report that holds the id."),
        CredentialField("report_status_at", "Report: status", False, False, "The field that holds the status."),
        CredentialField("report_reason_at", "Report: reason", False, False, "The field that holds a failure's reason."),
        CredentialField("report_to_at", "Report: number", False, False, "The field that holds the number."),
        CredentialField(
            "report_words",
            "What report words mean",
            secret=False,
            required=False,
            help="A line each: DELIVRD = delivered, EXPIRED = failed expired, ACCEPTD = sent.",
            lines=True,
        ),
        CredentialField("report_answer", "Report: our answer", False, False, default="OK"),
    )

    def __init__(self, setup: Setup | None = None) -> None:
        self._setup = setup  # None: not bound to an account

    def for_account(self, credentials: Credentials) -> "GenericHttp":
        """The adapter that knows this account's words. One that cannot be read says so when it is to send."""
        try:
            return GenericHttp(read_setup(credentials))
        except UnusableSetup:
            return self

    def problems_with(self, values: Mapping[str, str]) -> dict[str, str]:
        return super().problems_with(values) | problems_in(values)

    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        self.check_batch(batch)
        setup, message = _setup_of(credentials), batch[0]
        if not base_url:
            raise UnusableCredentials("The provider account has no base_url.")
        values = {
            "to": message.to,
            "to_digits": digits(message.to),
            "text": message.text,
            "sender": message.sender,
            "reference": message.reference,
            "callback_url": f"{credentials.text('callback_url')}/delivery?ref={message.reference}",
            **{name: credentials.text(name) for name in ("username", "password", "api_key")},
        }
        path = fill(setup.path, {name: quote(value, safe="") for name, value in values.items()})
        query = urlencode([(name, fill(value, values)) for name, value in setup.query])
        url = f"{base_url.rstrip('/')}/{path.lstrip('/')}" + (f"?{query}" if query else "")
        headers = [(name, fill(value, values)) for name, value in setup.headers]
        body = b""
        if setup.body_kind == "json":
            body = orjson.dumps(filled(setup.document, values))
            headers.append(("Content-Type", "application/json"))
        elif setup.body_kind == "form":
            body = urlencode([(name, fill(value, values)) for name, value in setup.form]).encode()
            headers.append(("Content-Type", FORM))
        return HttpRequest(setup.method, url, tuple(headers), body)

    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        setup, text = self._setup, text_of(response.body)
        if response.status >= 500 or response.status in (408, 429) or setup is None:
            return outcomes_by_status(batch, response)
        answer, raw = json_or_none(response.body), clip(text)
        reason = clip(find(answer, setup.refusal_at)) if setup.refusal_at else ""
        if 200 <= response.status < 300 and all(condition.holds(answer, text) for condition in setup.success):
            found = clip(find(answer, setup.id_at))[:100] if setup.id_at else batch[0].reference
            if not found:
                words = "The answer has no message id where it should stand."
                return same_for_all(batch, "ambiguous", "no_clear_answer", words, raw)
            return [Outcome(message.id, "accepted", provider_message_id=found, raw=raw) for message in batch]
        code = setup.refusals.get(reason.lower()) if reason else None
        if code:
            return same_for_all(batch, kind_of(code), code, reason[:200], raw)
        if reason:
            log.warning("described provider: unlisted refusal %.60r", reason)
        return outcomes_by_status(batch, response)

    def parse_callback(self, callback: Callback) -> list[Notice]:
        setup = self._setup
        if callback.kind not in self.callback_kinds:
            return super().parse_callback(callback)
        if setup is None or not setup.report_status_at:
            raise UnreadableCallback("It is not set up how reports of this provider read.")
        query = query_fields(callback)
        found: Any
        if callback.method == "GET" or not callback.body:
            found = query
        elif callback.content_type.partition(";")[0].strip().lower() == FORM:
            found = form_callback(callback)
        else:
            found = json_callback(callback)
        word, provider_id = find(found, setup.report_status_at), clip(find(found, setup.report_id_at))[:100]
        reference = query.get("ref", "")[:40]
        if not word or not (provider_id or reference):
            raise UnreadableCallback("A report has a status and an id where they should stand.")
        if word.lower() not in setup.report_words:
            log.warning("described provider: unlisted report word %.60r", word)
        status, code = setup.report_words.get(word.lower(), ("sent", ""))
        reason = find(found, setup.report_reason_at) if setup.report_reason_at else ""
        if status == "failed" and reason.lower() in setup.refusals:
            code = setup.refusals[reason.lower()]
        number = find(found, setup.report_to_at) if setup.report_to_at else ""
        return [
            DeliveryReport(
                provider_message_id=provider_id,
                recipient=e164_or_empty(number),
                status=status,
                final=status != "sent",
                error_code=code,
                error_message=clip(f"{word} {reason}".strip())[:200] if status == "failed" else "",
                raw=clip(text_of(callback.body)) if callback.body else clip(callback.query),
                reference=reference,
            )
        ]

    def answer_callback(self, callback: Callback, credentials: Credentials) -> CallbackAnswer:
        words = self._setup.report_answer if self._setup else "OK"
        kind = "application/json" if words.startswith(("{", "[")) else "text/plain"
        return CallbackAnswer(200, words.encode(), kind)


def _setup_of(credentials: Credentials) -> Setup:
    for wanted in ("path", "success"):
        credentials.required(wanted)
    try:
        return read_setup(credentials)
    except UnusableSetup as error:
        raise UnusableCredentials(f"{error.field}: {error}") from None
