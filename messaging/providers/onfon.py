"""Onfon Media (Kenya).

Spec: tests of one public messaging SDK and five public integrations, read November 2026; the vendor's own page was not
read. What is peculiar:
- ErrorCode is 0 or the text "000" where the call was taken, and a row without MessageId is still a refusal;
- reports are pushed to an address set up with the vendor, by GET or POST, as JSON or form; their words are SMPP's;
- the balance is text with the currency's letters before it.
"""

import logging
import re
from collections import Counter
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
    Capabilities,
    CredentialField,
    Credentials,
    DeliveryReport,
    HttpRequest,
    HttpResponse,
    Notice,
    Outbound,
    Outcome,
    OutcomeKind,
    ReportStatus,
    UnreadableCallback,
    clip,
    e164_or_empty,
    outcomes_by_status,
    same_for_all,
)
from messaging.providers.reading import (
    FORM,
    balance_in,
    digits,
    field,
    form_callback,
    json_callback,
    object_of,
    query_fields,
    raw_of,
    rows_of,
    text_of,
)

log = logging.getLogger(__name__)

SUCCESS: Final = frozenset({"0", "000"})
REFUSED: Final[dict[str, tuple[OutcomeKind, str]]] = {"007": ("retry", "provider_credentials")}

# The words of an SMPP receipt, in lower case.
REPORT_STATUS: Final[dict[str, tuple[ReportStatus, bool, str]]] = {
    "enroute": ("sent", False, ""),
    "acceptd": ("sent", False, ""),
    "schedld": ("sent", False, ""),
    "delivrd": ("delivered", True, ""),
    "expired": ("failed", True, "expired"),
    "deleted": ("failed", True, "delivery_failed"),
    "undeliv": ("failed", True, "delivery_failed"),
    "unknown": ("failed", True, "delivery_failed"),
    "rejectd": ("failed", True, "rejected_by_network"),
    "skipped": ("failed", True, "delivery_failed"),
}

_CURRENCY: Final = {"ksh": "KES", "kes": "KES"}
_CREDITS: Final = re.compile(r"([A-Za-z]*)\s*(-?[0-9][0-9,]*(?:\.[0-9]+)?)")


class Onfon(Adapter):
    """Onfon Media's bulk SMS."""

    name = "onfon"
    label = "Onfon Media"
    can = Capabilities(
        batch_size=100, one_text_many=True, reports="pushed", lookup=False, idempotent=False, balance=True
    )
    default_base_url = "https://api.onfonmedia.co.ke"
    callback_kinds = ("delivery",)
    callback_methods = ("GET", "POST")
    credential_fields = (
        CredentialField("access_key", "Access key", secret=True, required=True),
        CredentialField("api_key", "API key", secret=True, required=True),
        CredentialField("client_id", "Client ID", secret=False, required=True),
    )

    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        self.check_batch(batch)
        wire = {
            "SenderId": batch[0].sender,
            "IsUnicode": not _is_gsm(batch[0].text),
            "IsFlash": False,
            "ScheduleDateTime": "",
            "MessageParameters": [{"Number": digits(message.to), "Text": message.text} for message in batch],
            "ApiKey": credentials.required("api_key"),
            "ClientId": credentials.required("client_id"),
        }
        headers = (*_headers(credentials), ("Content-Type", "application/json"))
        return HttpRequest("POST", f"{base_url.rstrip('/')}/v1/sms/SendBulkSMS", headers, orjson.dumps(wire))

    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        if response.status >= 500 or response.status in (408, 429):
            return outcomes_by_status(batch, response)
        answer, raw = object_of(response), text_of(response.body)
        code, words = field(answer, "ErrorCode"), field(answer, "ErrorDescription")
        if not code:
            return outcomes_by_status(batch, response)
        rows = rows_of(answer.get("Data"))
        if code not in SUCCESS:
            if any(field(row, "MessageId") for row in rows):
                return same_for_all(batch, "ambiguous", "no_clear_answer", words, raw)
            if code not in REFUSED:
                log.warning("Onfon: unlisted ErrorCode %.20r", code)
            kind, error_code = REFUSED.get(code, ("rejected", "provider_refused"))
            return same_for_all(batch, kind, error_code, words or code, raw)
        asked = Counter(digits(message.to) for message in batch)
        by_number = {digits(field(row, "MobileNumber")): row for row in rows}
        outcomes = []
        for message in batch:
            number = digits(message.to)
            row = by_number.get(number) if asked[number] == 1 else None
            if row is None:
                words = "The answer does not name this number."
                outcomes += same_for_all([message], "ambiguous", "no_clear_answer", words, raw)
            else:
                outcomes.append(_outcome(message, row))
        return outcomes

    def balance_request(self, credentials: Credentials, base_url: str) -> HttpRequest:
        query = urlencode({"ApiKey": credentials.required("api_key"), "ClientId": credentials.required("client_id")})
        return HttpRequest("GET", f"{base_url.rstrip('/')}/v1/sms/Balance?{query}", _headers(credentials), b"")

    def balance_of(self, response: HttpResponse) -> Balance | None:
        for row in rows_of(object_of(response).get("Data")):
            if field(row, "PluginType").upper() in ("SMS", ""):
                found = _CREDITS.fullmatch(field(row, "Credits"))
                return balance_in(found[2], _CURRENCY.get(found[1].lower(), found[1].upper())) if found else None
        return None

    def parse_callback(self, callback: Callback) -> list[Notice]:
        if callback.kind not in self.callback_kinds:
            return super().parse_callback(callback)
        wire: Any
        if callback.method == "GET" or not callback.body:
            wire = query_fields(callback)
        elif callback.content_type.partition(";")[0].strip().lower() == FORM:
            wire = form_callback(callback)
        else:
            wire = json_callback(callback)
        rows = [wire] if isinstance(wire, dict) else rows_of(wire)
        reports: list[Notice] = []
        for row in rows:
            ids = row.get("messageId")
            ids = ids if isinstance(ids, list) else [ids]
            count = len(rows) * len(ids)
            reports += [_report(row, field({"id": each}, "id"), raw_of(callback, row, count)) for each in ids]
        if not reports:
            raise UnreadableCallback("A delivery report names a messageId and a status.")
        return reports


def _outcome(message: Outbound, row: Mapping[str, Any]) -> Outcome:
    provider_id, raw = field(row, "MessageId")[:100], clip(orjson.dumps(row).decode())
    if provider_id:
        return Outcome(message.id, "accepted", provider_message_id=provider_id, raw=raw)
    words = field(row, "ErrorDescription", "MessageErrorDescription") or "No MessageId was given for this number."
    return Outcome(message.id, "rejected", error_code="provider_refused", error_message=words, raw=raw)


def _report(row: Mapping[str, Any], provider_message_id: str, raw: str) -> DeliveryReport:
    word = field(row, "status")
    if not 1 <= len(provider_message_id) <= 100 or not word:
        raise UnreadableCallback("A delivery report names a messageId and a status.")
    if word.lower() not in REPORT_STATUS:
        log.warning("Onfon: unlisted report status %.60r", word)
    status, final, error_code = REPORT_STATUS.get(word.lower(), ("sent", False, ""))
    code = field(row, "errorCode")
    return DeliveryReport(
        provider_message_id=provider_message_id,
        recipient=e164_or_empty(field(row, "mobile")),
        status=status,
        final=final,
        error_code=error_code,
        error_message=f"{word} {code}".strip() if status == "failed" else "",
        raw=raw,
    )


def _headers(credentials: Credentials) -> tuple[tuple[str, str], ...]:
    return (("AccessKey", credentials.required("access_key")), ("Accept", "application/json"))


def _is_gsm(text: str) -> bool:
    try:
        return count_segments(text).encoding == "gsm7"
    except DomainError:
        return True
