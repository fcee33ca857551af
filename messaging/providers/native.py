"""Our own native API as an upstream: one installation sells through another.

Spec: contracts/dialects/native.md. What is peculiar:
- each message carries an Idempotency-Key, so one whose answer was lost is sent again and answered as the first time; a
  key names this account beside our reference, since two installations may buy from one client;
- what became of messages comes by signed webhooks, and can be asked for by id or by our reference;
- its failure codes are our own.
"""

import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from messaging.providers.base import (
    Adapter,
    Balance,
    Callback,
    Capabilities,
    CredentialField,
    Credentials,
    DeliveryReport,
    HttpRequest,
    HttpResponse,
    InboundNotice,
    Media,
    Notice,
    OptOutNotice,
    Outbound,
    Outcome,
    OutcomeKind,
    ReportStatus,
    SentMessage,
    UnreadableCallback,
    UnusableCredentials,
    clip,
    e164_or_empty,
    outcomes_by_status,
    same_for_all,
)
from messaging.providers.failures import FAILURES
from messaging.providers.reading import (
    balance_in,
    digits,
    field,
    inner,
    json_callback,
    moment_of_iso,
    object_of,
    person_of,
    rows_of,
    text_of,
)

log = logging.getLogger(__name__)

# error_code of a refusal: nothing was taken or charged there.
REFUSED: Final[dict[str, tuple[OutcomeKind, str]]] = {
    "INVALID_REQUEST": ("rejected", "provider_refused"),
    "INVALID_API_KEY": ("retry", "provider_credentials"),
    "INSUFFICIENT_BALANCE": ("retry", "provider_balance"),
    "UNAUTHORIZED": ("retry", "provider_credentials"),
    "NOT_FOUND": ("retry", "provider_address"),
    "METHOD_NOT_ALLOWED": ("retry", "provider_address"),
    "PAYLOAD_TOO_LARGE": ("rejected", "provider_refused"),
    "RATE_LIMIT_EXCEEDED": ("retry", "provider_busy"),
}

STATUS: Final[dict[str, tuple[ReportStatus, bool]]] = {
    "queued": ("sent", False),
    "scheduled": ("sent", False),
    "sent": ("sent", False),
    "delivered": ("delivered", True),
    "read": ("read", True),
    "failed": ("failed", True),
    "cancelled": ("failed", True),
}
_REPORTS: Final = frozenset({"message.sent", "message.delivered", "message.failed", "message.read"})


class Native(Adapter):
    """Another installation of this product, bought from with one of its API keys."""

    name = "native"
    label = "Another installation"
    channels = ("sms", "whatsapp", "email")
    can = Capabilities(
        batch_size=1,
        one_text_many=False,
        reports="pushed",
        lookup=True,
        idempotent=True,
        lookup_by_reference=True,
        look_after=900,
        balance=True,
    )
    default_base_url = ""
    callback_kinds = ("events",)
    credential_fields = (
        CredentialField("client_id", "Client ID", secret=False, required=True, help="The number in its API's URLs."),
        CredentialField("api_key", "API key", secret=True, required=True, help="Scopes: messages, wallet:read."),
        CredentialField(
            "webhook_secret",
            "Webhook secret",
            secret=True,
            required=True,
            help="Of the webhook there that tells our callback address of message.* events.",
        ),
    )

    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        self.check_batch(batch)
        message = batch[0]
        key = _key_for(message.reference, credentials)
        wire: dict[str, Any] = {
            "channel": message.channel,
            "recipient": digits(message.to) if message.to.startswith("+") else message.to,
            "body": message.text,
            "reference": key,
        }
        if message.sender:
            wire["sender"] = message.sender
        wire |= _beyond_text(message.content or {})
        credentials.required("webhook_secret")  # without it we would never hear what became of it
        headers = (*_headers(credentials), ("Content-Type", "application/json"), ("Idempotency-Key", key))
        return HttpRequest("POST", f"{_root(credentials, base_url)}/messages/send", headers, orjson.dumps(wire))

    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        answer, raw = object_of(response), clip(text_of(response.body))
        if response.status == 200:
            message_id = field(answer, "message_id") or field(inner(answer, "data"), "message_id")
            if field(answer, "status") != "success" or not message_id:
                words = "The answer could not be read."
                return same_for_all(batch, "ambiguous", "no_clear_answer", words, raw)
            return [Outcome(message.id, "accepted", provider_message_id=message_id[:100], raw=raw) for message in batch]
        code, words = field(answer, "error_code"), field(answer, "message")
        if response.status >= 500 or response.status in (408, 409, 422):
            # 409: the first call with this key still runs. 422: the key is known with other words, so something left.
            return same_for_all(batch, "ambiguous", "no_clear_answer", words or f"HTTP {response.status}", raw)
        if code not in REFUSED:
            return outcomes_by_status(batch, response)
        kind, error_code = REFUSED[code]
        wrong = {field(row, "field") for row in rows_of(answer.get("errors"))}
        if code == "INVALID_REQUEST" and "sender" in wrong:
            error_code = "sender_not_approved"
        return same_for_all(batch, kind, error_code, words or code, raw)

    def lookup_request(self, batch: Sequence[SentMessage], credentials: Credentials, base_url: str) -> HttpRequest:
        (message,) = batch
        root = _root(credentials, base_url)
        if message.provider_message_id:
            url = f"{root}/sms/status/{quote(message.provider_message_id, safe='')}"
        else:
            query = urlencode({"reference": _key_for(message.reference, credentials), "per_page": 1})
            url = f"{root}/sms/history?{query}"
        return HttpRequest("GET", url, _headers(credentials), b"")

    def reports_of(self, batch: Sequence[SentMessage], response: HttpResponse) -> list[DeliveryReport | None]:
        (message,) = batch
        answer = object_of(response) if response.status == 200 else {}
        rows = rows_of(answer.get("data"))
        row = (rows[0] if rows else {}) if "meta" in answer else (inner(answer, "data") or answer)
        if not field(row, "message_id") or not field(row, "status"):
            return [None]
        if message.provider_message_id and field(row, "message_id") != message.provider_message_id:
            return [None]
        return [_report(row, clip(text_of(response.body)))]

    def balance_request(self, credentials: Credentials, base_url: str) -> HttpRequest:
        return HttpRequest("GET", f"{_root(credentials, base_url)}/client/balance", _headers(credentials), b"")

    def balance_of(self, response: HttpResponse) -> Balance | None:
        answer = object_of(response)
        found = answer if "balance" in answer else inner(answer, "data")
        return balance_in(found.get("balance"), field(found, "currency")) if response.status == 200 else None

    def verify_callback(self, callback: Callback, credentials: Credentials, url: str) -> bool:
        """The documented signature over the body. While the secret is being changed there are two, either may be ours.

        A replay is harmless: a report that came before changes nothing.
        """
        secret = credentials.text("webhook_secret")
        expected = hmac.new(secret.encode(), callback.body, hashlib.sha256).hexdigest()
        given = [callback.headers.get(name, "") for name in ("x-webhook-signature", "x-webhook-signature-previous")]
        return bool(secret) and any(hmac.compare_digest(expected.encode(), each.encode()) for each in given)

    def parse_callback(self, callback: Callback) -> list[Notice]:
        if callback.kind not in self.callback_kinds:
            return super().parse_callback(callback)
        found = json_callback(callback)
        event = field(found, "event") if isinstance(found, dict) else ""
        if not event:
            raise UnreadableCallback("A webhook names its event and has data.")
        data, raw = inner(found, "data"), clip(text_of(callback.body))
        if event in _REPORTS:
            if not field(data, "message_id") or not field(data, "status"):
                raise UnreadableCallback("A message's event names message_id and status.")
            return [_report(data, raw)]
        if event == "message.received":
            if not field(data, "sender") or not field(data, "id"):
                raise UnreadableCallback("A received message names id and sender.")
            return [_inbound(data, raw)]
        if event == "contact.opted_out" and (person := e164_or_empty(field(data, "recipient"))):
            channel = field(data, "channel") or "sms"
            return [OptOutNotice(recipient=person, sender=field(data, "sender"), raw=raw, channel=channel)]
        return []


def _beyond_text(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the native API takes beside the body: an email's subject, a WhatsApp template and its variables."""
    wire: dict[str, Any] = {}
    if subject := content.get("subject"):
        wire["subject"] = subject
    if html := content.get("html"):
        wire["html"] = html
    if template := content.get("template"):
        wire["template"] = template
        wire |= {"variables": content.get("parameters") or {}, "language": content.get("language") or ""}
    return wire


def _report(row: Mapping[str, Any], raw: str) -> DeliveryReport:
    word, code = field(row, "status").lower(), field(row, "error_code")
    if word not in STATUS:
        log.warning("native upstream: unlisted status %.60r", word)
    status, final = STATUS.get(word, ("sent", False))
    if status == "failed" and (code not in FAILURES or code.startswith("provider_")):
        code = "delivery_failed"  # whose account is in trouble there is none of our business
    return DeliveryReport(
        provider_message_id=field(row, "message_id")[:100],
        recipient=e164_or_empty(field(row, "recipient")),
        status=status,
        final=final,
        error_code=code if status == "failed" else "",
        error_message=(field(row, "error_message") or word) if status == "failed" else "",
        raw=raw,
        reference=reference_of(field(row, "reference")),
    )


def _inbound(row: Mapping[str, Any], raw: str) -> InboundNotice:
    return InboundNotice(
        sender=person_of(field(row, "sender")),
        recipient=field(row, "recipient"),
        text=field(row, "text"),
        provider_message_id=field(row, "id")[:128],
        channel=field(row, "channel") or "sms",
        media=tuple(
            Media(kind=field(file, "kind"), url=field(file, "url"), mime_type=field(file, "mime_type"))
            for file in rows_of(row.get("media"))
        ),
        at=moment_of_iso(row.get("received_at")),
        name=field(row, "name"),
        raw=raw,
    )


def _key_for(reference: str, credentials: Credentials) -> str:
    address = credentials.text("callback_url")
    return f"{hashlib.sha256(address.encode()).hexdigest()[:12] if address else 'crm'}-{reference}"


def reference_of(key: str) -> str:
    """Our reference in a key that we made; "" in any other."""
    prefix, dash, reference = key.partition("-")
    return reference[:40] if dash and prefix else ""


def _root(credentials: Credentials, base_url: str) -> str:
    client_id = credentials.required("client_id")
    if not base_url:
        raise UnusableCredentials("The provider account has no base_url: where the other installation is.")
    return f"{base_url.rstrip('/')}/api/{quote(client_id, safe='')}"


def _headers(credentials: Credentials) -> tuple[tuple[str, str], ...]:
    return (("X-API-KEY", credentials.required("api_key")), ("Accept", "application/json"))
