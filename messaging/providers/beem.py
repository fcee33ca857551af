"""Beem Africa SMS (Tanzania and region).

Spec: the vendor's sample repository and SDKs that cite its documentation, read November 2026. What is peculiar:
- an answer counts (`valid`, `invalid`, `duplicates`) and names no recipient, so where not all are valid nobody can say
  which; reports tell;
- a message is known by request_id and dest_addr together; our ids are both, with a dash between;
- codes decide, not the HTTP status: errors come with 4xx or with 200;
- reports are asked for on another host, one recipient a call, five minutes after submitting at the earliest.
"""

import base64
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from crm.common.errors import DomainError
from crm.common.text_units import count_segments
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
    balance_in,
    digits,
    field,
    inner,
    json_callback,
    json_or_none,
    moment_of_iso,
    number_in,
    object_of,
    person_of,
    raw_of,
    rows_of,
    text_of,
)

log = logging.getLogger(__name__)

SUBMITTED: Final = 100

# Two lists circulate, both are here. What is our own fault repeats, so it is final.
REFUSED: Final[dict[int, tuple[OutcomeKind, str]]] = {
    101: ("rejected", "invalid_number"),
    102: ("retry", "provider_balance"),
    103: ("retry", "provider_error"),  # network time-out or internal error: not submitted
    104: ("rejected", "provider_refused"),
    105: ("retry", "provider_credentials"),  # account not found
    106: ("retry", "not_routed"),
    107: ("retry", "provider_credentials"),
    108: ("retry", "provider_credentials"),
    109: ("rejected", "provider_refused"),
    110: ("rejected", "provider_refused"),  # characters that the encoding does not have
    111: ("rejected", "sender_not_approved"),
    112: ("rejected", "provider_refused"),
    113: ("rejected", "provider_refused"),
    114: ("rejected", "provider_refused"),
    115: ("rejected", "provider_refused"),
    116: ("rejected", "provider_refused"),
    117: ("rejected", "provider_refused"),
    118: ("rejected", "provider_refused"),
    119: ("rejected", "provider_refused"),
    120: ("retry", "provider_credentials"),
    121: ("rejected", "sender_not_approved"),
    122: ("rejected", "sender_not_approved"),
}

# Report words in lower case: our status, whether it is final, our failure.
REPORT_STATUS: Final[dict[str, tuple[ReportStatus, bool, str]]] = {
    "pending": ("sent", False, ""),
    "retry": ("sent", False, ""),
    "delivered": ("delivered", True, ""),
    "undelivered": ("failed", True, "delivery_failed"),
    "failed": ("failed", True, "delivery_failed"),
}

REPORTS_URL: Final = "https://dlrapi.beem.africa"


class Beem(Adapter):
    """Beem Africa SMS; reports by callback where one is set up at the vendor, and by asking for what is missing."""

    name = "beem"
    label = "Beem Africa"
    can = Capabilities(
        batch_size=1000,
        one_text_many=True,
        reports="polled",
        lookup=True,
        idempotent=False,
        look_after=300,
        balance=True,
    )
    default_base_url = "https://apisms.beem.africa"
    callback_kinds = ("delivery", "inbound")
    credential_fields = (
        CredentialField("api_key", "API key", secret=True, required=True),
        CredentialField("secret_key", "Secret key", secret=True, required=True),
        CredentialField(
            "reports_url",
            "Address of the reports",
            secret=False,
            required=False,
            help="Only where Beem told you another one.",
            default=REPORTS_URL,
        ),
    )

    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        self.check_batch(batch)
        wire = {
            "source_addr": batch[0].sender,
            "encoding": 0 if _is_gsm(batch[0].text) else 8,
            "schedule_time": "",
            "message": batch[0].text,
            "recipients": [
                {"recipient_id": position, "dest_addr": digits(message.to)}
                for position, message in enumerate(batch, start=1)
            ],
        }
        headers = (*_headers(credentials), ("Content-Type", "application/json"))
        return HttpRequest("POST", f"{base_url.rstrip('/')}/v1/send", headers, orjson.dumps(wire))

    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        answer, raw = object_of(response), text_of(response.body)
        code, words = number_in(answer, "code"), field(answer, "message")
        if response.status >= 500 or response.status in (408, 429) or code < 0:
            return outcomes_by_status(batch, response)
        request_id = field(answer, "request_id")
        if code == SUBMITTED and 200 <= response.status < 300:
            return _submitted(batch, answer, request_id, raw)
        if request_id or code == SUBMITTED:
            return same_for_all(batch, "ambiguous", "no_clear_answer", words, raw)
        if code not in REFUSED:
            log.warning("Beem: unlisted code %s, %.60r", code, words)
        kind, error_code = REFUSED.get(code, ("rejected", "provider_refused"))
        return same_for_all(batch, kind, error_code, words or f"Code {code}", raw)

    def lookup_request(self, batch: Sequence[SentMessage], credentials: Credentials, base_url: str) -> HttpRequest:
        (message,) = batch
        host = credentials.text("reports_url") or (REPORTS_URL if base_url == self.default_base_url else base_url)
        request_id, _, number = message.provider_message_id.rpartition("-")
        query = urlencode({"dest_addr": number, "request_id": request_id})
        url = f"{host.rstrip('/')}/public/v1/delivery-reports?{query}"
        return HttpRequest("GET", url, _headers(credentials), b"")

    def reports_of(self, batch: Sequence[SentMessage], response: HttpResponse) -> list[DeliveryReport | None]:
        if response.status != 200:
            return [None] * len(batch)
        found = json_or_none(response.body)
        rows = [found] if isinstance(found, dict) else rows_of(found)
        by_id = {_id_of(row): row for row in rows if _id_of(row)}
        reports: list[DeliveryReport | None] = []
        for message in batch:
            row = by_id.get(message.provider_message_id)
            reports.append(_read_report(row, clip(text_of(response.body))) if row else None)
        return reports

    def balance_request(self, credentials: Credentials, base_url: str) -> HttpRequest:
        return HttpRequest(
            "GET", f"{base_url.rstrip('/')}/public/v1/vendors/balance", _headers(credentials), b""
        )  # credits, not money

    def balance_of(self, response: HttpResponse) -> Balance | None:
        return balance_in(inner(object_of(response), "data").get("credit_balance"), "")

    def parse_callback(self, callback: Callback) -> list[Notice]:
        if callback.kind not in self.callback_kinds:
            return super().parse_callback(callback)
        found = json_callback(callback)
        rows = [found] if isinstance(found, dict) else rows_of(found)
        if not rows:
            raise UnreadableCallback("Beem posts an object.")
        read = _read_inbound if callback.kind == "inbound" else _read_report
        return [read(row, raw_of(callback, row, len(rows))) for row in rows]

    def answer_callback(self, callback: Callback, credentials: Credentials) -> CallbackAnswer:
        row = json_or_none(callback.body)
        row = row if isinstance(row, dict) else {}
        wire: dict[str, Any]
        if callback.kind == "inbound":
            wire = {"transaction_id": field(row, "transaction_id"), "successful": True}
        else:
            wire = {"request_id": field(row, "request_id"), "successful": "true"}
        return CallbackAnswer(200, orjson.dumps(wire), "application/json")


def _submitted(batch: Sequence[Outbound], answer: dict[str, Any], request_id: str, raw: str) -> list[Outcome]:
    """Everybody was taken, or the counts leave open who was not."""
    valid, invalid, twice = (number_in(answer, name) for name in ("valid", "invalid", "duplicates"))
    raw = clip(raw)
    if len(batch) == 1 and (valid, invalid) == (0, 1):
        return same_for_all(batch, "rejected", "invalid_number", "invalid: 1", raw)
    whole = bool(request_id) and valid == len(batch) and invalid <= 0 and twice <= 0
    words = f"valid: {valid}, invalid: {invalid}, duplicates: {twice}"
    return [
        Outcome(
            message.id,
            "accepted" if whole else "ambiguous",
            provider_message_id=f"{request_id}-{digits(message.to)}" if request_id else "",
            error_code="" if whole else "no_clear_answer",
            error_message="" if whole else words,
            raw=raw,
        )
        for message in batch
    ]


def _read_report(row: Mapping[str, Any], raw: str) -> DeliveryReport:
    provider_message_id, word = _id_of(row), field(row, "Status", "status")
    if not provider_message_id or not word:
        raise UnreadableCallback("A delivery report names request_id, dest_addr and Status.")
    if word.lower() not in REPORT_STATUS:
        log.warning("Beem: unlisted report status %.60r", word)
    status, final, error_code = REPORT_STATUS.get(word.lower(), ("sent", False, ""))
    return DeliveryReport(
        provider_message_id=provider_message_id,
        recipient=e164_or_empty(field(row, "dest_addr")),
        status=status,
        final=final,
        error_code=error_code,
        error_message=word if status == "failed" else "",
        raw=raw,
    )


def _read_inbound(row: Mapping[str, Any], raw: str) -> InboundNotice:
    """`message` is an object by the vendor's guide; one SDK reads it as text."""
    sender, provider_message_id = person_of(field(row, "from")), field(row, "transaction_id")
    if not sender or not provider_message_id:
        raise UnreadableCallback("A message names from and transaction_id.")
    message = row.get("message")
    url = field(inner(message, "media"), "mediaUrl") if isinstance(message, dict) else ""
    return InboundNotice(
        sender=sender,
        recipient=field(row, "to"),
        text=field(message, "text") if isinstance(message, dict) else field(row, "message"),
        provider_message_id=provider_message_id[:128],
        media=(Media("file", url=url),) if url else (),
        at=moment_of_iso(row.get("timeUTC")),
        raw=raw,
    )


def _id_of(row: Mapping[str, Any]) -> str:
    request_id, number = field(row, "request_id"), digits(field(row, "dest_addr"))
    return f"{request_id}-{number}" if request_id and number and len(request_id) <= 60 else ""


def _headers(credentials: Credentials) -> tuple[tuple[str, str], ...]:
    pair = f"{credentials.required('api_key')}:{credentials.required('secret_key')}"
    return (
        ("Authorization", "Basic " + base64.b64encode(pair.encode()).decode()),
        ("Accept", "application/json"),
    )


def _is_gsm(text: str) -> bool:
    try:
        return count_segments(text).encoding == "gsm7"
    except DomainError:
        return True
