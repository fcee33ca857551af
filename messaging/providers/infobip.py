"""Infobip SMS, version 3 of its API.

Spec: the vendor's documentation and Python SDK, read November 2026. What is peculiar:
- each account has an address of its own;
- the message id is ours: it is made of a key of this account and our reference, comes back everywhere, and a second
  message of that id is refused (23), so a lost answer is settled by asking for it;
- one row may be refused while HTTP says 200;
- `groupName` DELIVERED is not delivery: only the status id 5 is.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

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
    moment_of_iso,
    number_in,
    object_of,
    person_of,
    raw_of,
    rows_of,
    text_of,
)

log = logging.getLogger(__name__)

TAKEN: Final = frozenset({0, 1, 3})  # groupId: ACCEPTED, PENDING, DELIVERED
DUPLICATE: Final = 23

# status.id of a row that was refused.
REFUSED: Final[dict[int, tuple[OutcomeKind, str]]] = {
    4: ("rejected", "rejected_by_network"),
    6: ("rejected", "rejected_by_network"),
    8: ("rejected", "invalid_number"),  # prefix missing
    9: ("rejected", "delivery_failed"),
    10: ("rejected", "blocked"),  # do not disturb
    11: ("rejected", "sender_not_approved"),
    12: ("retry", "provider_balance"),
    13: ("rejected", "sender_not_approved"),
    14: ("rejected", "blocked"),
    15: ("rejected", "expired"),
    17: ("retry", "provider_balance"),  # package expired
    18: ("rejected", "provider_refused"),  # destination not registered, as on trial accounts
    19: ("retry", "not_routed"),
    20: ("retry", "provider_busy"),  # flooding filter
    21: ("retry", "provider_error"),
    24: ("rejected", "provider_refused"),
    25: ("rejected", "provider_refused"),
    29: ("rejected", "expired"),
    31: ("rejected", "delivery_failed"),
    51: ("rejected", "invalid_number"),
    52: ("rejected", "invalid_number"),
}

# error.name of a failed delivery.
FAILURE_NAME: Final[dict[str, str]] = {
    "ec_absent_subscriber": "unreachable",
    "ec_unknown_subscriber": "unknown_subscriber",
    "ec_call_barred": "blocked",
    "ec_subscriber_busy_for_mt_sms": "unreachable",
}

# groupId of a report: our status, whether it is final, our failure. 3 is decided by the id.
GROUP: Final[dict[int, tuple[ReportStatus, bool, str]]] = {
    0: ("sent", False, ""),
    1: ("sent", False, ""),
    2: ("failed", True, "delivery_failed"),
    4: ("failed", True, "expired"),
    5: ("failed", True, "rejected_by_network"),
}


class Infobip(Adapter):
    """Infobip SMS with reports pushed to the address that each message names."""

    name = "infobip"
    label = "Infobip"
    can = Capabilities(
        batch_size=100,
        one_text_many=False,
        reports="pushed",
        lookup=True,
        idempotent=False,  # a repeat is refused, but nobody says for how long an id is remembered
        lookup_by_reference=True,
        look_after=1800,
        balance=True,
    )
    default_base_url = "https://api.infobip.com"
    callback_kinds = ("delivery", "inbound")
    credential_fields = (
        CredentialField(
            "api_key", "API key", secret=True, required=True, help="The account's own address goes into Base URL."
        ),
    )

    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        self.check_batch(batch)
        wire = {"messages": [_message(message, credentials) for message in batch]}
        headers = (*_headers(credentials), ("Content-Type", "application/json"))
        return HttpRequest("POST", f"{base_url.rstrip('/')}/sms/3/messages", headers, orjson.dumps(wire))

    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        if response.status != 200:
            return outcomes_by_status(batch, response)
        rows = rows_of(object_of(response).get("messages"))
        by_reference = {reference_of(field(row, "messageId")): row for row in rows}
        outcomes = []
        for message in batch:
            row = by_reference.get(message.reference)
            if row is None:
                raw = text_of(response.body)
                words = "The answer does not name this message."
                outcomes += same_for_all([message], "ambiguous", "no_clear_answer", words, raw)
            else:
                outcomes.append(_outcome(message, row))
        return outcomes

    def lookup_request(self, batch: Sequence[SentMessage], credentials: Credentials, base_url: str) -> HttpRequest:
        (message,) = batch
        query = urlencode({"messageId": message.provider_message_id or _id_for(message.reference, credentials)})
        return HttpRequest("GET", f"{base_url.rstrip('/')}/sms/3/logs?{query}", _headers(credentials), b"")

    def reports_of(self, batch: Sequence[SentMessage], response: HttpResponse) -> list[DeliveryReport | None]:
        (message,) = batch
        if response.status != 200:
            return [None]
        for row in rows_of(object_of(response).get("results")):
            if reference_of(field(row, "messageId")) == message.reference:
                return [_report(row, clip(text_of(response.body)))]
        return [None]

    def balance_request(self, credentials: Credentials, base_url: str) -> HttpRequest:
        return HttpRequest("GET", f"{base_url.rstrip('/')}/account/1/balance", _headers(credentials), b"")

    def balance_of(self, response: HttpResponse) -> Balance | None:
        answer = object_of(response)
        return balance_in(answer.get("balance"), field(answer, "currency"))

    def parse_callback(self, callback: Callback) -> list[Notice]:
        if callback.kind not in self.callback_kinds:
            return super().parse_callback(callback)
        found = json_callback(callback)
        rows = rows_of(found.get("results")) if isinstance(found, dict) else []
        if not rows:
            raise UnreadableCallback("Infobip posts results.")
        if callback.kind == "inbound":
            return [_read_inbound(row, raw_of(callback, row, len(rows))) for row in rows]
        reports = [_report(row, raw_of(callback, row, len(rows))) for row in rows]
        if not all(report.provider_message_id for report in reports):
            raise UnreadableCallback("A delivery report names a messageId and a status.")
        return list(reports)


def _message(message: Outbound, credentials: Credentials) -> dict[str, Any]:
    destination = {"to": digits(message.to), "messageId": _id_for(message.reference, credentials)}
    wire: dict[str, Any] = {"destinations": [destination], "content": {"text": message.text}}
    if message.sender:
        wire["sender"] = message.sender
    if address := credentials.text("callback_url"):
        wire["webhooks"] = {"delivery": {"url": f"{address}/delivery"}, "contentType": "application/json"}
    return wire


def _id_for(reference: str, credentials: Credentials) -> str:
    """Two installations may share an Infobip account and count from one: the key keeps their ids apart."""
    address = credentials.text("callback_url")
    key = hashlib.sha256(address.encode()).hexdigest()[:8] if address else "crm"
    return f"{key}-{reference}"


def reference_of(message_id: str) -> str:
    """Our reference in a message id that we made; "" in any other."""
    key, dash, reference = message_id.partition("-")
    return reference if dash and key else ""


def _outcome(message: Outbound, row: Mapping[str, Any]) -> Outcome:
    status, raw = inner(row, "status"), clip(orjson.dumps(row).decode())
    group, code = number_in(status, "groupId"), number_in(status, "id")
    words = field(status, "description") or field(status, "name")
    provider_id = field(row, "messageId")[:100]
    if group in TAKEN:
        return Outcome(message.id, "accepted", provider_message_id=provider_id, raw=raw)
    if group not in (2, 4, 5) or code == DUPLICATE:
        return Outcome(message.id, "ambiguous", provider_id, "no_clear_answer", words, raw=raw)
    if code not in REFUSED:
        log.warning("Infobip: unlisted refusal, status id %s", code)
    kind, error_code = REFUSED.get(code, ("rejected", "provider_refused"))
    return Outcome(message.id, kind, error_code=error_code, error_message=words, raw=raw)


def _report(row: Mapping[str, Any], raw: str) -> DeliveryReport:
    status, error = inner(row, "status"), inner(row, "error")
    group, code, name = number_in(status, "groupId"), number_in(status, "id"), field(error, "name")
    found, final, error_code = GROUP.get(group, ("sent", False, ""))
    if group == 3 and code == 5:
        found, final = "delivered", True
    elif group not in GROUP and group != 3:
        log.warning("Infobip: unlisted status group %s", group)
    if found == "failed":
        by_id = REFUSED[code][1] if code in REFUSED else error_code
        error_code = FAILURE_NAME.get(name.lower(), by_id)
    message_id = field(row, "messageId")
    return DeliveryReport(
        provider_message_id=message_id[:100] if status else "",
        recipient=e164_or_empty(field(row, "to", "destination")),
        status=found,
        final=final,
        error_code=error_code,
        error_message=(name or field(status, "name")) if found == "failed" else "",
        network_code=field(row, "mccMnc")[:12],
        raw=raw,
        reference=reference_of(message_id)[:40],
    )


def _read_inbound(row: Mapping[str, Any], raw: str) -> InboundNotice:
    sender, provider_message_id = person_of(field(row, "from")), field(row, "messageId")
    if not sender or not provider_message_id:
        raise UnreadableCallback("A message names from and messageId.")
    return InboundNotice(
        sender=sender,
        recipient=field(row, "to"),
        text=field(row, "text"),
        provider_message_id=provider_message_id[:128],
        at=moment_of_iso(row.get("receivedAt")),
        raw=raw,
    )


def _headers(credentials: Credentials) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"App {credentials.required('api_key')}"), ("Accept", "application/json"))
