"""Twilio Programmable Messaging, SMS.

Spec: the vendor's OpenAPI file, its Python SDK and documentation, read November 2026. What is peculiar:
- requests are forms, answers JSON; one recipient a request, neither client reference nor idempotency key. Our own id
  travels in the query of StatusCallback, so that a report finds its message also when the answer was lost;
- numbers in an answer are text; the price is null until it is billed;
- callbacks are signed over the full public address, which is why the address is rebuilt from our configuration;
- an incoming message must be answered with XML: plain text would be sent to the person as a reply.
"""

import base64
import hashlib
import hmac
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from messaging.providers.base import (
    Adapter,
    Balance,
    Callback,
    CallbackAnswer,
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
    clip,
    e164_or_empty,
    outcomes_by_status,
    same_for_all,
)
from messaging.providers.reading import (
    FORM,
    balance_in,
    field,
    form_callback,
    number_in,
    object_of,
    person_of,
    query_fields,
    text_of,
)

log = logging.getLogger(__name__)

# `code` of an error body.
REFUSED: Final[dict[int, tuple[OutcomeKind, str]]] = {
    20003: ("retry", "provider_credentials"),
    20404: ("retry", "provider_address"),
    20429: ("retry", "provider_busy"),
    21211: ("rejected", "invalid_number"),
    21212: ("rejected", "sender_not_approved"),
    21606: ("rejected", "sender_not_approved"),
    21612: ("retry", "not_routed"),
    21408: ("retry", "not_routed"),  # region not enabled for the account
    21602: ("rejected", "provider_refused"),
    21617: ("rejected", "provider_refused"),
    21608: ("rejected", "provider_refused"),  # trial account: number not verified
    21610: ("rejected", "blocked"),  # the person sent STOP to this sender
    21611: ("retry", "provider_busy"),
    21614: ("rejected", "unsupported_number"),
    21635: ("rejected", "unsupported_number"),
    21703: ("rejected", "sender_not_approved"),
    21704: ("rejected", "sender_not_approved"),
    21705: ("rejected", "sender_not_approved"),
}

# Error codes of a failed delivery; the vendor warns that they change, so an unlisted one is a plain failure.
FAILURE_CODE: Final[dict[int, str]] = {
    21610: "blocked",
    30001: "provider_error",
    30002: "provider_review",
    30003: "unreachable",
    30004: "blocked",
    30005: "unknown_subscriber",
    30006: "unsupported_number",
    30007: "rejected_by_network",
    30008: "delivery_failed",
}

# MessageStatus: our status, whether it is final, our failure where no ErrorCode says more.
REPORT_STATUS: Final[dict[str, tuple[ReportStatus, bool, str]]] = {
    "accepted": ("sent", False, ""),
    "scheduled": ("sent", False, ""),
    "queued": ("sent", False, ""),
    "sending": ("sent", False, ""),
    "sent": ("sent", False, ""),
    "partially_delivered": ("sent", False, ""),
    "delivered": ("delivered", True, ""),
    "read": ("read", True, ""),
    "undelivered": ("failed", True, "delivery_failed"),
    "failed": ("failed", True, "delivery_failed"),
    "canceled": ("failed", True, "provider_refused"),
}


class Twilio(Adapter):
    """Twilio SMS, from a number or alphanumeric sender, or from the pool of a messaging service."""

    name = "twilio"
    label = "Twilio"
    can = Capabilities(
        batch_size=1,
        one_text_many=False,
        reports="pushed",
        lookup=True,  # by the vendor's id alone
        idempotent=False,
        look_after=3600,
        balance=True,
    )
    default_base_url = "https://api.twilio.com"
    callback_kinds = ("delivery", "inbound")
    credential_fields = (
        CredentialField("account_sid", "Account SID", secret=False, required=True, help="Begins with AC."),
        CredentialField("auth_token", "Auth token", secret=True, required=True, help="Callbacks are signed with it."),
        CredentialField("api_key_sid", "API key SID", secret=False, required=False, help="To send without the token."),
        CredentialField("api_key_secret", "API key secret", secret=True, required=False),
        CredentialField(
            "messaging_service_sid",
            "Messaging service SID",
            secret=False,
            required=False,
            help="Begins with MG: Twilio then picks the sender from its pool.",
        ),
    )

    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        self.check_batch(batch)
        message = batch[0]
        form = {"To": message.to, "Body": message.text}
        if service := credentials.text("messaging_service_sid"):
            form["MessagingServiceSid"] = service
        else:
            form["From"] = message.sender
        if address := credentials.text("callback_url"):
            form["StatusCallback"] = f"{address}/delivery?{urlencode({'ref': message.reference})}"
        headers = (*_headers(credentials), ("Content-Type", FORM))
        return HttpRequest(
            "POST", f"{_account(credentials, base_url)}/Messages.json", headers, urlencode(form).encode()
        )

    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        answer, raw = object_of(response), clip(text_of(response.body))
        if response.status in (200, 201):
            sid, word = field(answer, "sid"), field(answer, "status").lower()
            if not sid:
                return same_for_all(batch, "ambiguous", "no_clear_answer", "The answer could not be read.", raw)
            status, _, error_code = REPORT_STATUS.get(word, ("sent", False, ""))
            if status == "failed":
                code = number_in(answer, "error_code")
                error_code = FAILURE_CODE.get(code, error_code)
                return same_for_all(batch, "rejected", error_code, field(answer, "error_message") or word, raw)
            return [Outcome(message.id, "accepted", provider_message_id=sid[:100], raw=raw) for message in batch]
        code = number_in(answer, "code")
        if response.status >= 500 or code not in REFUSED:
            if code >= 0 and response.status < 500:
                log.warning("Twilio: unlisted error code %s", code)
            return outcomes_by_status(batch, response)
        kind, error_code = REFUSED[code]
        return same_for_all(batch, kind, error_code, f"{code} {field(answer, 'message')}"[:200], raw)

    def lookup_request(self, batch: Sequence[SentMessage], credentials: Credentials, base_url: str) -> HttpRequest:
        (message,) = batch
        url = f"{_account(credentials, base_url)}/Messages/{quote(message.provider_message_id, safe='')}.json"
        return HttpRequest("GET", url, _headers(credentials), b"")

    def reports_of(self, batch: Sequence[SentMessage], response: HttpResponse) -> list[DeliveryReport | None]:
        answer = object_of(response)
        (message,) = batch
        if response.status != 200 or field(answer, "sid") != message.provider_message_id:
            return [None]
        word = field(answer, "status")
        code = number_in(answer, "error_code")
        return [_report(message.provider_message_id, word, code, message.to, clip(text_of(response.body)))]

    def balance_request(self, credentials: Credentials, base_url: str) -> HttpRequest:
        return HttpRequest("GET", f"{_account(credentials, base_url)}/Balance.json", _headers(credentials), b"")

    def balance_of(self, response: HttpResponse) -> Balance | None:
        answer = object_of(response)
        return balance_in(answer.get("balance"), field(answer, "currency"))

    def verify_callback(self, callback: Callback, credentials: Credentials, url: str) -> bool:
        given = callback.headers.get("x-twilio-signature", "")
        token = credentials.text("auth_token")
        if not given or not token:
            return False
        if callback.content_type.partition(";")[0].strip().lower() == FORM:
            body = text_of(callback.body)
        else:
            expected = dict(parse_qsl(urlsplit(url).query)).get("bodySHA256", "")
            if not hmac.compare_digest(expected, hashlib.sha256(callback.body).hexdigest()):
                return False
            body = ""
        signatures = [sign(token, address, body) for address in _with_and_without_port(url)]
        return any(hmac.compare_digest(signature.encode(), given.encode()) for signature in signatures)

    def parse_callback(self, callback: Callback) -> list[Notice]:
        if callback.kind not in self.callback_kinds:
            return super().parse_callback(callback)
        form, raw = form_callback(callback), clip(text_of(callback.body))
        sid = form.get("MessageSid") or form.get("SmsSid") or ""
        if not 1 <= len(sid) <= 100:
            raise UnreadableCallback("Twilio names a MessageSid.")
        if callback.kind == "inbound":
            return _read_inbound(form, sid, raw)
        word = form.get("MessageStatus") or form.get("SmsStatus") or ""
        if not word:
            raise UnreadableCallback("A status callback names a MessageStatus.")
        reference = query_fields(callback).get("ref", "")[:40]
        return [_report(sid, word, number_in(form, "ErrorCode"), form.get("To", ""), raw, reference)]

    def answer_callback(self, callback: Callback, credentials: Credentials) -> CallbackAnswer:
        if callback.kind == "inbound":
            return CallbackAnswer(200, b"<Response/>", "text/xml")
        return CallbackAnswer(204, b"")


def sign(token: str, url: str, form: str) -> str:
    """X-Twilio-Signature: the address, then each parameter's name and distinct values, sorted, under HMAC-SHA1."""
    values: dict[str, set[str]] = defaultdict(set)
    for name, value in parse_qsl(form, keep_blank_values=True):
        values[name].add(value)
    signed = url + "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def _with_and_without_port(url: str) -> list[str]:
    """The address as it is and with its default port the other way round: the vendor's SDK accepts both."""
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    try:
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return [url]
    if port is None and default:
        return [url, parts._replace(netloc=f"{host}:{default}").geturl()]
    return [url, parts._replace(netloc=host).geturl()] if port == default else [url]


def _report(sid: str, word: str, code: int, to: str, raw: str, reference: str = "") -> DeliveryReport:
    if word.lower() not in REPORT_STATUS:
        log.warning("Twilio: unlisted message status %.60r", word)
    status, final, error_code = REPORT_STATUS.get(word.lower(), ("sent", False, ""))
    if status == "failed":
        error_code = FAILURE_CODE.get(code, error_code)
    return DeliveryReport(
        provider_message_id=sid,
        recipient=e164_or_empty(to),
        status=status,
        final=final,
        error_code=error_code,
        error_message=clip(f"{word} {code}" if code > 0 else word) if status == "failed" else "",
        raw=raw,
        reference=reference,
    )


def _read_inbound(form: Mapping[str, str], sid: str, raw: str) -> list[Notice]:
    sender = person_of(form.get("From", ""))
    if not sender or "Body" not in form:
        raise UnreadableCallback("An incoming message names From and Body.")
    count = max(min(number_in(form, "NumMedia"), 10), 0)
    media = tuple(
        Media(
            form.get(f"MediaContentType{n}", "").partition("/")[0] or "file",
            url=form[f"MediaUrl{n}"],
            mime_type=form.get(f"MediaContentType{n}", ""),
        )
        for n in range(count)
        if form.get(f"MediaUrl{n}")
    )
    said: list[Notice] = [
        InboundNotice(
            sender=sender,
            recipient=form.get("To", ""),
            text=form["Body"],
            provider_message_id=sid,
            media=media,
            raw=raw,
        )
    ]
    if form.get("OptOutType", "").upper() == "STOP":  # Twilio itself has stopped us; mirror it whatever the word was
        said.append(OptOutNotice(recipient=sender, sender=form.get("To", ""), raw=raw))
    return said


def _account(credentials: Credentials, base_url: str) -> str:
    sid = quote(credentials.required("account_sid"), safe="")
    return f"{base_url.rstrip('/')}/2010-04-01/Accounts/{sid}"


def _headers(credentials: Credentials) -> tuple[tuple[str, str], ...]:
    token = credentials.required("auth_token")
    user, secret = credentials.required("account_sid"), token
    if credentials.text("api_key_sid"):
        user, secret = credentials.text("api_key_sid"), credentials.required("api_key_secret")
    pair: Any = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return (("Authorization", f"Basic {pair}"), ("Accept", "application/json"))
