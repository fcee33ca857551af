"""Africa's Talking SMS.

Spec: the vendor's documentation, "Sending SMS", "Delivery reports" and "Notifications", and the recorded replies in
public SDKs' test fixtures, read November 2026. What is peculiar:
- success is HTTP 201, and so is a refusal: of one number as a row whose `messageId` is the text "None", of the whole
  request as an empty list with the reason in `Message`;
- rows are matched by number, never by position, and a number without a row was not sent;
- a wrong key is HTTP 401 with plain text;
- there is neither a client reference nor a look-up, so an unknown outcome stays unknown until a report comes.
"""

import logging
import re
from collections import defaultdict, deque
from collections.abc import Sequence
from functools import lru_cache
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
    OptOutNotice,
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
    balance_in,
    digits,
    field,
    form_callback,
    inner,
    moment_of_iso,
    object_of,
    person_of,
    text_of,
)

log = logging.getLogger(__name__)

ACCEPTED: Final = frozenset({100, 101, 102})  # Processed, Sent, Queued

# statusCode of a refused row. An account's trouble (credit, route, their own fault) may pass or be met by another
# provider, so those go again; what is wrong with number, sender or text will be as wrong next time.
REFUSED: Final[dict[int, tuple[OutcomeKind, str]]] = {
    401: ("rejected", "provider_review"),  # RiskHold
    402: ("rejected", "sender_not_approved"),  # InvalidSenderId
    403: ("rejected", "invalid_number"),  # InvalidPhoneNumber
    404: ("rejected", "unsupported_number"),  # UnsupportedNumberType
    405: ("retry", "provider_balance"),  # InsufficientBalance
    406: ("rejected", "blocked"),  # UserInBlacklist
    407: ("retry", "not_routed"),  # CouldNotRoute
    409: ("rejected", "quiet_hours"),  # DoNotDisturbRejection
    500: ("retry", "provider_error"),  # InternalServerError
    501: ("retry", "provider_error"),  # GatewayError
    502: ("rejected", "rejected_by_network"),  # RejectedByGateway
}

# The same refusals by name, for the `Message` of an empty list; compared in lower case.
REFUSED_WHOLE: Final[dict[str, tuple[OutcomeKind, str]]] = {
    "riskhold": REFUSED[401],
    "invalidsenderid": REFUSED[402],
    "invalidphonenumber": REFUSED[403],
    "unsupportednumbertype": REFUSED[404],
    "insufficientbalance": REFUSED[405],
    "userinblacklist": REFUSED[406],
    "couldnotroute": REFUSED[407],
    "donotdisturbrejection": REFUSED[409],
    "internalservererror": REFUSED[500],
    "gatewayerror": REFUSED[501],
    "rejectedbygateway": REFUSED[502],
}

# Report words, in lower case: our status, whether it is final, and the failure when no reason comes with it.
REPORT_STATUS: Final[dict[str, tuple[ReportStatus, bool, str]]] = {
    "sent": ("sent", False, ""),
    "submitted": ("sent", False, ""),
    "buffered": ("sent", False, ""),
    "success": ("delivered", True, ""),
    "rejected": ("failed", True, "rejected_by_network"),
    "failed": ("failed", True, "delivery_failed"),
    "absentsubscriber": ("failed", True, "unreachable"),
    "expired": ("failed", True, "expired"),
}

# failureReason, in lower case: the vendor's own casing differs between places.
FAILURE_REASON: Final[dict[str, str]] = {
    "insufficientcredit": "recipient_credit",
    "invalidlinkid": "provider_refused",
    "userisinactive": "inactive",
    "userinblacklist": "blocked",
    "useraccountsuspended": "inactive",
    "notnetworksubcriber": "moved_network",  # the documented spelling
    "notnetworksubscriber": "moved_network",
    "usernotsubscribedtoproduct": "not_subscribed",
    "userdoesnotexist": "unknown_subscriber",
    "deliveryfailure": "delivery_failed",
    "donotdisturbrejection": "quiet_hours",
    "absentsubscriber": "unreachable",
    "expired": "expired",
}

_SENT_TO = re.compile(r"Sent to ([0-9]{1,9})/[0-9]{1,9}\b")
_COST = re.compile(r"[A-Z]{3} [0-9]{1,9}(?:\.[0-9]{1,6})?")
_UNSAFE = re.compile(rb"[^A-Za-z0-9_.~ -]")
_CODES = {bytes((n,)): b"%%%02X" % n for n in range(256)}


def _form(text: str) -> str:
    """What `quote_plus` gives, in less than half its time, which was an eighth of what sending costs this process."""
    return _UNSAFE.sub(lambda found: _CODES[found[0]], text.encode()).decode().replace(" ", "+")


_quoted = lru_cache(1024)(_form)  # for what is the same in request after request


class AfricasTalking(Adapter):
    """Africa's Talking SMS over the classic form endpoint, or the newer JSON one where the account says so."""

    name = "africastalking"
    label = "Africa's Talking"
    # No documented maximum; third parties cap between 100 and 1000 numbers a request.
    can = Capabilities(
        batch_size=500, one_text_many=True, reports="pushed", lookup=False, idempotent=False, balance=True
    )
    default_base_url = "https://api.africastalking.com"
    callback_kinds = ("delivery", "optout", "inbound")
    credential_fields = (
        CredentialField("username", "Username", secret=False, required=True, help="Of the app, not of a person."),
        CredentialField("api_key", "API key", secret=True, required=True),
        CredentialField(
            "endpoint",
            "Endpoint",
            secret=False,
            required=False,
            help="classic unless Africa's Talking told you to use bulk.",
            choices=("classic", "bulk"),
        ),
    )

    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        self.check_batch(batch)
        text, sender, numbers = batch[0].text, batch[0].sender, [message.to for message in batch]
        username, base_url = credentials.required("username"), base_url.rstrip("/")
        if credentials.text("endpoint") == "bulk":
            url, content_type = f"{base_url}/version1/messaging/bulk", "application/json"
            wire: dict[str, Any] = {"username": username, "message": text, "phoneNumbers": numbers}
            if sender:
                wire["senderId"] = sender
            body = orjson.dumps(wire)
        else:
            url, content_type = f"{base_url}/version1/messaging", "application/x-www-form-urlencoded"
            form = f"username={_quoted(username)}&to={_form(','.join(numbers))}&message={_form(text)}"
            form += "&bulkSMSMode=1&enqueue=1" + (f"&from={_quoted(sender)}" if sender else "")
            body = form.encode()
        headers = (
            ("apiKey", credentials.required("api_key")),
            ("Accept", "application/json"),  # without it the classic endpoint may answer XML
            ("Content-Type", content_type),
        )
        return HttpRequest("POST", url, headers, body)

    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        if response.status not in (200, 201):
            return outcomes_by_status(batch, response)
        summary, rows = _read_answer(response.body)
        if rows is None:
            return same_for_all(
                batch, "ambiguous", "no_clear_answer", "The answer could not be read.", text_of(response.body)
            )
        if not rows and not _count_sent(summary):
            reason = summary.strip().lower()
            if reason not in REFUSED_WHOLE:
                log.warning("Africa's Talking: unlisted refusal of a whole request, %.60r", summary)
            kind, code = REFUSED_WHOLE.get(reason, ("rejected", "provider_refused"))
            return same_for_all(batch, kind, code, clip(summary), raw=text_of(response.body))
        return _match_rows(batch, summary, rows)

    def balance_request(self, credentials: Credentials, base_url: str) -> HttpRequest:
        query = urlencode({"username": credentials.required("username")})
        headers = (("apiKey", credentials.required("api_key")), ("Accept", "application/json"))
        return HttpRequest("GET", f"{base_url.rstrip('/')}/version1/user?{query}", headers, b"")

    def balance_of(self, response: HttpResponse) -> Balance | None:
        currency, _, amount = field(inner(object_of(response), "UserData"), "balance").partition(" ")
        return balance_in(amount, currency)

    def parse_callback(self, callback: Callback) -> list[Notice]:
        if callback.kind not in self.callback_kinds:
            return super().parse_callback(callback)
        form = form_callback(callback)
        raw = clip(text_of(callback.body))
        if callback.kind == "inbound":
            return [_read_inbound(form, raw)]
        if callback.kind == "optout":
            recipient = e164_or_empty(form.get("phoneNumber", ""))
            if not recipient or not form.get("senderId"):
                raise UnreadableCallback("An opt-out names a senderId and a phoneNumber.")
            return [OptOutNotice(recipient=recipient, sender=form["senderId"], raw=raw)]
        return [_read_report(form, raw)]


def _match_rows(batch: Sequence[Outbound], summary: str, rows: list[dict[str, Any]]) -> list[Outcome]:
    """Outcomes by number. Two messages to one number in a batch share its rows in order; a spare one is ambiguous."""
    if len(batch) == len(rows) == 1 and rows[0].get("number") == batch[0].to:
        return [_outcome_of_row(batch[0], rows[0])]
    rows_of: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
    for row in rows:
        rows_of[digits(row.get("number"))].append(row)
    asked: dict[str, int] = defaultdict(int)
    for message in batch:
        asked[digits(message.to)] += 1
    # A missing number was not sent, unless the answer leaves a doubt: more were "Sent to" than there are accepted rows
    # of ours, or a row was taken for a number that we did not ask for (ours, written in a way we do not know).
    taken = [digits(row.get("number")) for row in rows if _code_of(row) in ACCEPTED]
    missing_is_unsent = all(number in asked for number in taken) and _count_sent(summary) <= len(taken)
    outcomes = []
    for message in batch:
        number = digits(message.to)
        if rows_of[number]:
            outcomes.append(_outcome_of_row(message, rows_of[number].popleft()))
        elif missing_is_unsent and asked[number] == 1:
            outcomes.append(Outcome(message.id, "retry", error_code="left_out", error_message=clip(summary)))
        else:
            outcomes.append(Outcome(message.id, "ambiguous", error_code="no_clear_answer", error_message=clip(summary)))
    return outcomes


def _outcome_of_row(message: Outbound, row: dict[str, Any]) -> Outcome:
    """A success has an id, a refusal the text "None" in its place; a row that mixes the two is ambiguous."""
    code = _code_of(row)
    provider_message_id = field(row, "messageId").removeprefix("None")
    status, raw = field(row, "status"), clip(orjson.dumps(row).decode())
    if code in ACCEPTED and provider_message_id:
        return Outcome(
            message.id,
            "accepted",
            provider_message_id=provider_message_id,
            provider_cost=_read_cost(row.get("cost")),
            raw=raw,
        )
    if provider_message_id or code in ACCEPTED or not (code in REFUSED or field(row, "messageId") == "None"):
        log.warning("Africa's Talking: the code of a row, %s, contradicts its message id", code)
        return Outcome(
            message.id,
            "ambiguous",
            provider_message_id=provider_message_id,
            error_code="no_clear_answer",
            error_message=status,
            raw=raw,
        )
    if code not in REFUSED:
        log.warning("Africa's Talking: unlisted refusal, code %s, status %.60r", code, status)
    kind, error_code = REFUSED.get(code, ("rejected", "provider_refused"))
    return Outcome(message.id, kind, error_code=error_code, error_message=status, raw=raw)


def _read_answer(body: bytes) -> tuple[str, list[dict[str, Any]] | None]:
    """The summary text and the rows; no rows (None) when the body is not the documented shape."""
    try:
        data = orjson.loads(body)["SMSMessageData"]
        summary, rows = data["Message"], data["Recipients"]
    except (ValueError, KeyError, TypeError):
        return "", None
    if not isinstance(summary, str) or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return "", None
    return summary, rows


def _read_report(form: dict[str, str], raw: str) -> DeliveryReport:
    provider_message_id, word = form.get("id", ""), form.get("status", "")
    if not 1 <= len(provider_message_id) <= 128 or not word:
        raise UnreadableCallback("A delivery report names an id and a status.")
    if word.lower() not in REPORT_STATUS:
        log.warning("Africa's Talking: unlisted report status %.60r", word)
    status, final, error_code = REPORT_STATUS.get(word.lower(), ("sent", False, ""))
    reason = form.get("failureReason", "")
    if status == "failed" and reason:
        if reason.lower() not in FAILURE_REASON:
            log.warning("Africa's Talking: unlisted failure reason %.60r", reason)
        error_code = FAILURE_REASON.get(reason.lower(), error_code)
    return DeliveryReport(
        provider_message_id=provider_message_id,
        recipient=e164_or_empty(form.get("phoneNumber", "")),
        status=status,
        final=final,
        error_code=error_code,
        error_message=clip(reason or (word if status == "failed" else "")),
        network_code=form.get("networkCode", "")[:16],
        raw=raw,
    )


def _read_inbound(form: dict[str, str], raw: str) -> InboundNotice:
    """The date's form varies between the vendor's samples, so one that does not name its zone is left out."""
    sender, provider_message_id = person_of(form.get("from", "")), form.get("id", "")
    if not sender or not 1 <= len(provider_message_id) <= 128 or "text" not in form:
        raise UnreadableCallback("A message names an id, from and text.")
    return InboundNotice(
        sender=sender,
        recipient=form.get("to", "").strip()[:32],
        text=form["text"],
        provider_message_id=provider_message_id,
        at=moment_of_iso(form.get("date", "")),
        raw=raw,
    )


def _read_cost(cost: Any) -> str:
    """ "KES 0.8000" as it came when it is a currency and an amount, else ""."""
    return cost if isinstance(cost, str) and _COST.fullmatch(cost) else ""


def _count_sent(summary: str) -> int:
    found = _SENT_TO.search(summary)
    return int(found[1]) if found else 0


def _code_of(row: dict[str, Any]) -> int:
    """The statusCode as a number, also when it came as text; 0 when it is neither."""
    code = field(row, "statusCode")
    return int(code) if code.isascii() and code.isdecimal() and len(code) < 6 else 0
