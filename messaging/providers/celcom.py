"""The "partnerID / apikey / shortcode" family: Celcom Africa, Advanta, TextSMS and many resellers of one platform.

Spec: the documentation of three of them and public integrations, read November 2026. What is peculiar:
- the key travels in the body; HTTP is 200 for errors too, and codes stand in the row;
- the code's name is really spelled `respose-code` in most answers;
- rows are matched by our own clientsmsid, else by number; a row may come without its wrapper;
- nothing is pushed: what became of a message is asked for, one a call.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from messaging.providers.base import (
    Adapter,
    Capabilities,
    CredentialField,
    Credentials,
    DeliveryReport,
    HttpRequest,
    HttpResponse,
    Outbound,
    Outcome,
    OutcomeKind,
    ReportStatus,
    SentMessage,
    clip,
    outcomes_by_status,
    same_for_all,
)
from messaging.providers.reading import digits, field, json_or_none, number_in, rows_of, text_of

log = logging.getLogger(__name__)

SUCCESS: Final = 200
NO_REPORT_YET: Final = 1008
CODE: Final = ("respose-code", "response-code")

REFUSED: Final[dict[int, tuple[OutcomeKind, str]]] = {
    1001: ("rejected", "sender_not_approved"),
    1002: ("retry", "not_routed"),
    1003: ("rejected", "invalid_number"),
    1004: ("retry", "provider_balance"),
    1005: ("retry", "provider_error"),
    1006: ("retry", "provider_credentials"),
    1007: ("retry", "provider_error"),
    1009: ("rejected", "provider_refused"),
    1010: ("rejected", "provider_refused"),
    4090: ("retry", "provider_busy"),  # again after five minutes
    4091: ("retry", "provider_credentials"),
    4092: ("retry", "provider_credentials"),
    4093: ("retry", "provider_credentials"),
}

# delivery-description in lower case; anything else means that it is still on its way.
REPORT_STATUS: Final[dict[str, tuple[ReportStatus, bool, str]]] = {
    "deliveredtoterminal": ("delivered", True, ""),
    "deliveryimpossible": ("failed", True, "delivery_failed"),
    "sendername blacklisted": ("failed", True, "blocked"),
}


class Celcom(Adapter):
    """Celcom, Advanta, TextSMS and their like: the same calls under many addresses."""

    name = "celcom"
    label = "Celcom, Advanta, TextSMS (partner ID)"
    can = Capabilities(
        batch_size=20, one_text_many=False, reports="polled", lookup=True, idempotent=False, look_after=60
    )
    default_base_url = "https://isms.celcomafrica.com"
    credential_fields = (
        CredentialField("api_key", "API key", secret=True, required=True),
        CredentialField("partner_id", "Partner ID", secret=False, required=True),
        CredentialField(
            "slash",
            "Paths end with a slash",
            secret=False,
            required=False,
            help="The documentation says yes; some servers answer nothing until it is no.",
            choices=("yes", "no"),
            default="yes",
        ),
    )

    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        self.check_batch(batch)
        rows = [self._row(message, credentials) for message in batch]
        if len(rows) == 1:
            return _call("sendsms", rows[0], credentials, base_url)
        wire = {
            "count": len(rows),
            "smslist": [row | {"clientsmsid": message.id} for row, message in zip(rows, batch, strict=True)],
        }
        return _call("sendbulk", wire, credentials, base_url)

    @staticmethod
    def _row(message: Outbound, credentials: Credentials) -> dict[str, Any]:
        return _keys(credentials) | {
            "shortcode": message.sender,
            "mobile": digits(message.to),
            "message": message.text,
            "pass_type": "plain",
        }

    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        if response.status >= 500 or response.status in (408, 429):
            return outcomes_by_status(batch, response)
        rows, raw = _rows(response), text_of(response.body)
        if not rows:
            return outcomes_by_status(batch, response)
        if len(rows) == 1 and not field(rows[0], "mobile", "clientsmsid", "messageid"):
            return _whole(batch, rows[0], raw)  # a refusal of the call, which names nobody
        asked = Counter(digits(message.to) for message in batch)
        by_ours = {field(row, "clientsmsid"): row for row in rows if field(row, "clientsmsid")}
        by_number = {digits(field(row, "mobile")): row for row in rows if not field(row, "clientsmsid")}
        outcomes = []
        for message in batch:
            number = digits(message.to)
            row = by_ours.get(str(message.id)) or (by_number.get(number) if asked[number] == 1 else None)
            if row is None and len(batch) == len(rows) == 1 and not field(rows[0], "clientsmsid"):
                row = rows[0]  # the only one, with its number written another way
            if row is None:
                words = "The answer does not name this message."
                outcomes += same_for_all([message], "ambiguous", "no_clear_answer", words, raw)
            else:
                outcomes.append(_outcome(message, row))
        return outcomes

    def lookup_request(self, batch: Sequence[SentMessage], credentials: Credentials, base_url: str) -> HttpRequest:
        (message,) = batch
        wire = _keys(credentials) | {"messageID": message.provider_message_id}
        return _call("getdlr", wire, credentials, base_url)

    def reports_of(self, batch: Sequence[SentMessage], response: HttpResponse) -> list[DeliveryReport | None]:
        (message,) = batch
        rows = _rows(response)
        if response.status != 200 or len(rows) != 1 or number_in(rows[0], *CODE) == NO_REPORT_YET:
            return [None]
        named = field(rows[0], "message-id", "messageid", "messageID")
        word = field(rows[0], "delivery-description")
        if not word or (named and named != message.provider_message_id):
            return [None]
        if word.lower() not in REPORT_STATUS:
            log.info("Celcom family: unlisted delivery word %.60r", word)
        status, final, error_code = REPORT_STATUS.get(word.lower(), ("sent", False, ""))
        return [
            DeliveryReport(
                provider_message_id=message.provider_message_id,
                recipient=message.to,
                status=status,
                final=final,
                error_code=error_code,
                error_message=word if status == "failed" else "",
                raw=clip(text_of(response.body)),
            )
        ]


def _whole(batch: Sequence[Outbound], row: Mapping[str, Any], raw: str) -> list[Outcome]:
    code, words = number_in(row, *CODE), field(row, "response-description")
    if code not in REFUSED:
        return same_for_all(batch, "ambiguous", "no_clear_answer", words, raw)
    return same_for_all(batch, *REFUSED[code], words or f"Code {code}", raw)


def _outcome(message: Outbound, row: Mapping[str, Any]) -> Outcome:
    code, words = number_in(row, *CODE), field(row, "response-description")
    provider_id, raw = field(row, "messageid")[:100], clip(orjson.dumps(row).decode())
    if code == SUCCESS and provider_id:
        return Outcome(message.id, "accepted", provider_message_id=provider_id, raw=raw)
    if provider_id or code in (SUCCESS, -1):
        return Outcome(message.id, "ambiguous", provider_id, "no_clear_answer", words, raw=raw)
    if code not in REFUSED:
        log.warning("Celcom family: unlisted code %s", code)
    kind, error_code = REFUSED.get(code, ("rejected", "provider_refused"))
    return Outcome(message.id, kind, error_code=error_code, error_message=words or f"Code {code}", raw=raw)


def _rows(response: HttpResponse) -> list[dict[str, Any]]:
    """The rows of an answer, also of one without the wrapper; none where it is not the documented shape."""
    found = json_or_none(response.body)
    if isinstance(found, dict) and "responses" in found:
        return rows_of(found["responses"])
    return [found] if isinstance(found, dict) and number_in(found, *CODE) >= 0 else []


def _call(path: str, wire: Mapping[str, Any], credentials: Credentials, base_url: str) -> HttpRequest:
    end = "" if credentials.text("slash") == "no" else "/"
    headers = (("Accept", "application/json"), ("Content-Type", "application/json"))
    return HttpRequest("POST", f"{base_url.rstrip('/')}/api/services/{path}{end}", headers, orjson.dumps(wire))


def _keys(credentials: Credentials) -> dict[str, Any]:
    return {"apikey": credentials.required("api_key"), "partnerID": credentials.required("partner_id")}
