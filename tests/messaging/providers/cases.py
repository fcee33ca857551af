"""What each vendor answers and posts, and what our words for it are. The contract suite runs over all of it.

A payload is a file under payloads/<adapter>/, as the vendor documents it or as public SDKs recorded it.
"""

from dataclasses import dataclass, field
from pathlib import Path

from messaging.providers.base import Callback, Credentials, HttpResponse, Outbound, SentMessage

PAYLOADS = Path(__file__).parent / "payloads"
FORM = "application/x-www-form-urlencoded"

JSON = "application/json"

CREDENTIALS = {
    "africastalking": Credentials({"username": "acme", "api_key": "atsk_canary_81c1"}),
    "beem": Credentials({"api_key": "beem_canary_1", "secret_key": "beem_canary_2"}),
    "celcom": Credentials({"api_key": "celcom_canary", "partner_id": "77"}),
    "onfon": Credentials({"access_key": "onfon_canary_1", "api_key": "onfon_canary_2", "client_id": "acme"}),
    "infobip": Credentials({"api_key": "infobip_canary"}),
    "twilio": Credentials({"account_sid": "AC00000000000000000000000000000001", "auth_token": "twilio_canary"}),
    "whatsapp": Credentials(
        {
            "phone_number_id": "106540352242922",
            "business_account_id": "102290129340398",
            "access_token": "meta_canary_1",
            "app_secret": "meta_canary_2",
            "verify_token": "meta_canary_3",
        }
    ),
    "native": Credentials({"client_id": "7", "api_key": "native_canary_1", "webhook_secret": "native_canary_2"}),
    # a provider of the "10xx" kind, described as its operator would
    "generic": Credentials(
        {
            "api_key": "generic_canary",
            "path": "/sms/sendsms",
            "headers": "h_api_key: {api_key}",
            "body": '{"mobile": "{to_digits}", "response_type": "json", "sender_name": "{sender}", "service_id": 0,'
            ' "message": "{text}"}',
            "success": "[0].status_code = 1000",
            "id_at": "[0].message_id",
            "refusal_at": "[0].status_code",
            "refusals": "1003 = invalid_number\n1006 = provider_credentials",
            "report_id_at": "ref.id",
            "report_status_at": "state",
            "report_reason_at": "why",
            "report_to_at": "to",
            "report_words": "DELIVRD = delivered\nUNDELIV = failed\nACCEPTD = sent",
        }
    ),
}


def batch(*numbers: str) -> list[Outbound]:
    """One text from one sender, to +254711000001 and +254711000002 unless told otherwise."""
    numbers = numbers or ("+254711000001", "+254711000002")
    return [Outbound(n, number, "Habari", "ACME", f"msg_{n}") for n, number in enumerate(numbers, start=1)]


@dataclass(frozen=True)
class Answer:
    """An answer to `batch()` and, per message, the kind and our error code expected of it."""

    adapter: str
    payload: str
    status: int
    expected: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.adapter}-{self.status}-{self.payload}"

    def response(self) -> HttpResponse:
        return HttpResponse(self.status, (), (PAYLOADS / self.adapter / self.payload).read_bytes())


@dataclass(frozen=True)
class Posted:
    """A callback and the attributes expected of the one thing it says; none expected: it is unreadable."""

    adapter: str
    kind: str
    payload: str
    expected: dict = field(default_factory=dict)
    query: str = ""

    def __str__(self) -> str:
        return f"{self.adapter}-{self.payload}"

    def callback(self) -> Callback:
        content_type = JSON if self.payload.endswith(".json") else FORM
        body = (PAYLOADS / self.adapter / self.payload).read_bytes()
        return Callback(self.kind, content_type, self.query, body, {})


@dataclass(frozen=True)
class Asked:
    """An answer to the question about one message, and the attributes expected of the report; None: nothing known."""

    adapter: str
    payload: str
    provider_id: str
    expected: dict | None

    def __str__(self) -> str:
        return f"{self.adapter}-{self.payload}"

    def message(self) -> SentMessage:
        return SentMessage(42, "+255700000001", "ACME", "MSG-000042", self.provider_id)

    def response(self, status: int = 200) -> HttpResponse:
        return HttpResponse(status, (), (PAYLOADS / self.adapter / self.payload).read_bytes())


TAKEN = ("accepted", "")
UNKNOWN = ("ambiguous", "no_clear_answer")
AT = "africastalking"
AT_ID = "ATXid_7468c9a251f9e9efcc6b2f7ea756a56c"

ANSWERS = [
    Answer(AT, "accepted.json", 201, (TAKEN, TAKEN)),
    Answer(AT, "accepted.json", 200, (TAKEN, TAKEN)),
    Answer(AT, "one-refused.json", 201, (TAKEN, ("rejected", "blocked"))),
    Answer(AT, "one-missing.json", 201, (TAKEN, ("retry", "left_out"))),
    Answer(AT, "one-missing-but-counted.json", 201, (TAKEN, UNKNOWN)),
    Answer(AT, "number-in-another-form.json", 201, (TAKEN, UNKNOWN)),
    Answer(AT, "transient-with-id.json", 201, (TAKEN, UNKNOWN)),
    Answer(AT, "unlisted-code.json", 201, (TAKEN, ("rejected", "provider_refused"))),
    Answer(AT, "whole-invalid-sender.json", 201, (("rejected", "sender_not_approved"),) * 2),
    Answer(AT, "whole-insufficient-balance.json", 201, (("retry", "provider_balance"),) * 2),
    Answer(AT, "whole-unlisted.json", 201, (("rejected", "provider_refused"),) * 2),
    Answer(AT, "whole-but-counted.json", 201, (UNKNOWN, UNKNOWN)),
    Answer(AT, "wrong-key.txt", 401, (("retry", "provider_credentials"),) * 2),
    Answer(AT, "garbage.html", 429, (("retry", "provider_busy"),) * 2),
    Answer(AT, "garbage.html", 404, (("retry", "provider_address"),) * 2),
    Answer(AT, "garbage.html", 400, (("rejected", "provider_refused"),) * 2),
    Answer(AT, "garbage.html", 408, (UNKNOWN, UNKNOWN)),
    Answer(AT, "garbage.html", 302, (UNKNOWN, UNKNOWN)),
    Answer(AT, "garbage.html", 201, (UNKNOWN, UNKNOWN)),
    Answer(AT, "truncated.json", 201, (UNKNOWN, UNKNOWN)),
    Answer(AT, "wrong-shape.json", 201, (UNKNOWN, UNKNOWN)),
    *(Answer(AT, "accepted.json", status, (UNKNOWN, UNKNOWN)) for status in (500, 502, 503, 504)),
]

_REPORT = {
    "provider_message_id": AT_ID,
    "recipient": "+254711000001",
    "error_code": "",
    "error_message": "",
    "network_code": "63902",
}
_FAILED = _REPORT | {"status": "failed", "final": True}

CALLBACKS = [
    Posted(AT, "delivery", "report-success.form", _REPORT | {"status": "delivered", "final": True}),
    Posted(AT, "delivery", "report-buffered.form", _REPORT | {"status": "sent", "final": False}),
    Posted(
        AT, "delivery", "report-failed.form", _FAILED | {"error_code": "blocked", "error_message": "UserInBlackList"}
    ),
    Posted(
        AT,
        "delivery",
        "report-rejected.form",
        _FAILED | {"error_code": "moved_network", "error_message": "NotNetworkSubcriber", "network_code": "63903"},
    ),
    Posted(
        AT,
        "delivery",
        "report-absent.form",
        _FAILED | {"error_code": "unreachable", "error_message": "AbsentSubscriber"},
    ),
    Posted(AT, "delivery", "report-expired.form", _FAILED | {"error_code": "expired", "error_message": "Expired"}),
    Posted(
        AT,
        "delivery",
        "report-unlisted-word.form",
        _REPORT | {"status": "sent", "final": False, "network_code": "99999"},
    ),
    Posted(
        AT,
        "delivery",
        "report-unlisted-reason.form",
        _FAILED | {"error_code": "delivery_failed", "error_message": "SunSpots"},
    ),
    Posted(
        AT,
        "delivery",
        "report-bare-plus.form",
        _REPORT | {"status": "delivered", "final": True, "network_code": ""},
    ),
    Posted(AT, "optout", "optout.form", {"sender": "ACME", "recipient": "+254711000001"}),
    Posted(AT, "optout", "report-success.form"),
    Posted(AT, "delivery", "optout.form"),
    Posted(AT, "delivery", "garbage.html"),
]

# --- the other vendors ------------------------------------------------------------------------------------------------

CREDIT, KEY, SENDER = (
    ("retry", "provider_balance"),
    ("retry", "provider_credentials"),
    ("rejected", "sender_not_approved"),
)
REFUSED, BAD_NUMBER = ("rejected", "provider_refused"), ("rejected", "invalid_number")


def _usual(adapter: str, count: int, accepted: str = "accepted.json") -> list[Answer]:
    """What every vendor's answers have in common: HTTP's own words, and answers nobody can read."""
    words = [
        ("garbage.html", 200, UNKNOWN),
        ("garbage.html", 302, UNKNOWN),
        ("garbage.html", 400, REFUSED),
        ("garbage.html", 401, KEY),
        ("garbage.html", 404, ("retry", "provider_address")),
        ("garbage.html", 408, UNKNOWN),
        ("garbage.html", 429, ("retry", "provider_busy")),
        *((accepted, status, UNKNOWN) for status in (500, 502, 503, 504)),
    ]
    return [Answer(adapter, payload, status, (word,) * count) for payload, status, word in words]


def _both(adapter: str, payload: str, word: tuple[str, str], status: int = 200) -> Answer:
    return Answer(adapter, payload, status, (word, word))


def _one(adapter: str, payload: str, word: tuple[str, str], status: int = 200) -> Answer:
    return Answer(adapter, payload, status, (word,))


ANSWERS += [
    *_usual("beem", 2),
    _both("beem", "accepted.json", TAKEN),
    _both("beem", "one-invalid.json", UNKNOWN),
    _both("beem", "duplicates.json", UNKNOWN),
    _both("beem", "without-id.json", UNKNOWN),
    _both("beem", "balance-out.json", CREDIT),
    _both("beem", "balance-out.json", CREDIT, 400),
    _both("beem", "sender.json", SENDER, 400),
    _both("beem", "wrong-key.json", KEY, 401),
    _both("beem", "old-route.json", ("retry", "not_routed")),
    _both("beem", "unlisted.json", REFUSED),
    _both("beem", "refused-with-id.json", UNKNOWN),
    *_usual("celcom", 2),
    Answer("celcom", "accepted.json", 200, (TAKEN, TAKEN)),
    Answer("celcom", "one-refused.json", 200, (TAKEN, KEY)),
    Answer("celcom", "by-number.json", 200, (TAKEN, BAD_NUMBER)),
    Answer("celcom", "one-missing.json", 200, (TAKEN, UNKNOWN)),
    _one("celcom", "bare-row.json", TAKEN),
    _one("celcom", "low-credit.json", CREDIT),
    _one("celcom", "sender.json", SENDER),
    _both("celcom", "whole.json", KEY),
    _both("celcom", "whole-unlisted.json", UNKNOWN),
    _one("celcom", "success-without-id.json", UNKNOWN),
    _one("celcom", "refused-with-id.json", UNKNOWN),
    _one("celcom", "unlisted.json", REFUSED),
    *_usual("onfon", 2),
    Answer("onfon", "accepted.json", 200, (TAKEN, TAKEN)),
    Answer("onfon", "accepted-text-code.json", 200, (TAKEN, REFUSED)),
    Answer("onfon", "one-missing.json", 200, (TAKEN, UNKNOWN)),
    _both("onfon", "wrong-key.json", KEY),
    _both("onfon", "unlisted.json", REFUSED),
    _both("onfon", "refused-with-id.json", UNKNOWN),
    *_usual("infobip", 2),
    Answer("infobip", "accepted.json", 200, (TAKEN, TAKEN)),
    Answer("infobip", "one-rejected.json", 200, (TAKEN, ("rejected", "blocked"))),
    _both("infobip", "credits.json", CREDIT),
    Answer("infobip", "duplicate.json", 200, (TAKEN, UNKNOWN)),
    Answer("infobip", "unlisted.json", 200, (TAKEN, REFUSED)),
    Answer("infobip", "one-missing.json", 200, (TAKEN, UNKNOWN)),
    _both("infobip", "unauthorized.json", KEY, 401),
    *_usual("twilio", 1),
    _one("twilio", "accepted.json", TAKEN, 201),
    _one("twilio", "pooled.json", TAKEN, 201),
    _one("twilio", "failed-at-once.json", ("rejected", "blocked"), 201),
    _one("twilio", "without-sid.json", UNKNOWN, 201),
    _one("twilio", "bad-number.json", BAD_NUMBER, 400),
    _one("twilio", "stopped.json", ("rejected", "blocked"), 400),
    _one("twilio", "queue-full.json", ("retry", "provider_busy"), 400),
    _one("twilio", "wrong-token.json", KEY, 401),
    _one("twilio", "too-many.json", ("retry", "provider_busy"), 429),
    _one("twilio", "unlisted.json", REFUSED, 400),
    *_usual("whatsapp", 1),
    _one("whatsapp", "accepted.json", TAKEN),
    _one("whatsapp", "accepted-template.json", TAKEN),
    _one("whatsapp", "without-id.json", UNKNOWN),
    _one("whatsapp", "parameter.json", REFUSED, 400),
    _one("whatsapp", "template-missing.json", ("rejected", "template_missing"), 404),
    _one("whatsapp", "token.json", KEY, 401),
    _one("whatsapp", "permission.json", KEY, 403),
    _one("whatsapp", "too-fast.json", ("retry", "provider_busy"), 400),
    _one("whatsapp", "pair.json", ("retry", "provider_busy"), 400),
    _one("whatsapp", "unlisted.json", REFUSED, 400),
    *_usual("native", 1),
    _one("native", "accepted.json", TAKEN),
    _one("native", "without-id.json", UNKNOWN),
    _one("native", "balance-out.json", CREDIT, 402),
    _one("native", "sender.json", SENDER, 400),
    _one("native", "recipient.json", REFUSED, 400),
    _one("native", "key.json", KEY, 401),
    _one("native", "busy.json", ("retry", "provider_busy"), 429),
    _one("native", "running.json", UNKNOWN, 409),
    _one("native", "reused.json", UNKNOWN, 422),
    *_usual("generic", 1),
    _one("generic", "accepted.json", TAKEN),
    _one("generic", "without-id.json", UNKNOWN),
    _one("generic", "bad-number.json", BAD_NUMBER),
    _one("generic", "wrong-key.json", KEY),
    _one("generic", "unlisted.json", UNKNOWN),
]


def _said(provider_id: str, to: str, status: str, code: str = "", **more: object) -> dict:
    found = {"provider_message_id": provider_id, "recipient": to, "status": status, "error_code": code}
    return found | {"final": status != "sent"} | more


_BEEM = "35918915-255700000001"
_TZ, _KE = "+255700000001", "+254712345678"
_SM = "SM00000000000000000000000000000001"
_WAMID = "wamid.HBgMMjU0NzEyMzQ1Njc4FQIAERgS"

CALLBACKS += [
    Posted(AT, "inbound", "inbound.form", {"sender": "+254711000001", "recipient": "22384", "text": "STOP",
                                           "provider_message_id": "b1c2", "at": None}),
    Posted("beem", "delivery", "report.json", _said(_BEEM, _TZ, "delivered")),
    Posted("beem", "delivery", "report-lower.json", _said(_BEEM, _TZ, "failed", "delivery_failed")),
    Posted("beem", "delivery", "report-pending.json", _said(_BEEM, _TZ, "sent")),
    Posted("beem", "delivery", "report-unlisted.json", _said(_BEEM, _TZ, "sent")),
    Posted("beem", "delivery", "report-without-status.json"),
    Posted("beem", "delivery", "inbound.json"),
    Posted("beem", "inbound", "inbound.json", {"sender": _TZ, "recipient": "15522", "text": "STOP", "media": (),
                                               "provider_message_id": "abc-1"}),
    Posted("beem", "inbound", "inbound-flat.json", {"sender": _TZ, "text": "Habari", "at": None}),
    Posted("beem", "inbound", "report.json"),
    Posted("onfon", "delivery", "report.json", _said("msg-123", "+254711000001", "delivered")),
    Posted("onfon", "delivery", "report-list.json", _said("msg-123", "+254711000001", "failed", "delivery_failed")),
    Posted("onfon", "delivery", "report.form", _said("msg-123", "+254711000001", "failed", "expired")),
    Posted("onfon", "delivery", "report-unlisted.json", _said("msg-123", "+254711000001", "sent")),
    Posted("onfon", "delivery", "report-without-id.json"),
    Posted("infobip", "delivery", "report.json", _said("crm-MSG-000042", _KE, "delivered", network_code="63902",
                                                       reference="MSG-000042")),
    Posted("infobip", "delivery", "report-operator.json", _said("crm-MSG-000042", _KE, "sent")),
    Posted("infobip", "delivery", "report-failed.json", _said("crm-MSG-000042", _KE, "failed", "unreachable",
                                                              error_message="EC_ABSENT_SUBSCRIBER")),
    Posted("infobip", "delivery", "report-expired.json", _said("crm-MSG-000042", _KE, "failed", "expired")),
    Posted("infobip", "delivery", "report-unlisted.json", _said("crm-MSG-000042", _KE, "sent")),
    Posted("infobip", "delivery", "inbound.json"),
    Posted("infobip", "delivery", "empty.json"),
    Posted("infobip", "inbound", "inbound.json", {"sender": _KE, "recipient": "22384", "text": "ACHA",
                                                  "provider_message_id": "in-1"}),
    Posted("twilio", "delivery", "report-delivered.form", _said(_SM, _KE, "delivered", reference="MSG-000042"),
           query="ref=MSG-000042"),
    Posted("twilio", "delivery", "report-sent.form", _said(_SM, _KE, "sent", reference="")),
    Posted("twilio", "delivery", "report-read.form", _said(_SM, _KE, "read")),
    Posted("twilio", "delivery", "report-undelivered.form", _said(_SM, _KE, "failed", "unknown_subscriber",
                                                                  error_message="undelivered 30005")),
    Posted("twilio", "delivery", "report-canceled.form", _said(_SM, _KE, "failed", "provider_refused")),
    Posted("twilio", "delivery", "report-teleported.form", _said(_SM, _KE, "sent")),
    Posted("twilio", "delivery", "no-sid.form"),
    Posted("twilio", "inbound", "inbound.form", {"sender": _KE, "recipient": "+15005550006",
                                                 "text": "Habari \U0001f600", "provider_message_id": "SM9"}),
    Posted("twilio", "inbound", "report-sent.form"),
    Posted("whatsapp", "events", "status-delivered.json", _said(_WAMID, _KE, "delivered", reference="MSG-000043")),
    Posted("whatsapp", "events", "status-read.json", _said(_WAMID, _KE, "read")),
    Posted("whatsapp", "events", "status-sent.json", _said(_WAMID, _KE, "sent")),
    Posted("whatsapp", "events", "status-failed.json", _said(_WAMID, _KE, "failed", "not_on_whatsapp",
                                                             error_message="131026 Message Undeliverable.")),
    Posted("whatsapp", "events", "status-window.json", _said(_WAMID, _KE, "failed", "window_closed",
                                                             error_message="131047 More than 24 hours")),
    Posted("whatsapp", "events", "status-unlisted.json", _said(_WAMID, _KE, "sent")),
    Posted("whatsapp", "events", "inbound-text.json", {"sender": _KE, "recipient": "254700000000", "text": "STOP",
                                                       "channel": "whatsapp", "name": "Asha", "media": ()}),
    Posted("whatsapp", "events", "inbound-image.json", {"text": "Receipt"}),
    Posted("whatsapp", "events", "inbound-button.json", {"text": "Yes"}),
    Posted("whatsapp", "events", "template-state.json", {"about": "template", "name": "order_update",
                                                         "language": "en_US", "state": "REJECTED",
                                                         "detail": "INVALID_FORMAT"}),
    Posted("whatsapp", "events", "template-quality.json", {"about": "quality", "state": "YELLOW",
                                                           "detail": "was GREEN"}),
    Posted("whatsapp", "events", "number-quality.json", {"about": "number", "name": "15550783881",
                                                         "state": "THROUGHPUT_UPGRADE", "detail": "TIER_UNLIMITED"}),
    Posted("whatsapp", "events", "preference.json", {"recipient": _KE, "sender": "", "channel": "whatsapp"}),
    Posted("whatsapp", "events", "other-object.json"),
    Posted("whatsapp", "events", "garbage.html"),
    Posted("native", "events", "event-delivered.json", _said("MSG-000123", _KE, "delivered", reference="MSG-000007")),
    Posted("native", "events", "event-failed.json", _said("MSG-000123", _KE, "failed", "unknown_subscriber",
                                                          error_message="Number does not exist")),
    Posted("native", "events", "event-failed-there.json", _said("MSG-000123", _KE, "failed", "delivery_failed")),
    Posted("native", "events", "event-sent.json", _said("MSG-000123", _KE, "sent")),
    Posted("native", "events", "event-received.json", {"sender": _KE, "recipient": "22345", "text": "Asante",
                                                       "provider_message_id": "7"}),
    Posted("native", "events", "event-optout.json", {"recipient": _KE, "sender": "ACME", "channel": "sms"}),
    Posted("native", "events", "no-event.json"),
    Posted("generic", "delivery", "report.json", _said("288369252", "+254711000001", "delivered")),
    Posted("generic", "delivery", "report-failed.json", _said("288369252", "+254711000001", "failed", "invalid_number",
                                                              error_message="UNDELIV 1003")),
    Posted("generic", "delivery", "report-unlisted.json", _said("288369252", "+254711000001", "sent")),
    Posted("generic", "delivery", "report-without-state.json"),
]  # fmt: skip

LOOKUPS = [
    Asked("beem", "lookup.json", _BEEM, _said(_BEEM, _TZ, "delivered")),
    Asked("beem", "lookup-object.json", _BEEM, _said(_BEEM, _TZ, "failed", "delivery_failed")),
    Asked("beem", "lookup-other.json", _BEEM, None),
    Asked("celcom", "lookup.json", "8290842", _said("8290842", _TZ, "delivered")),
    Asked("celcom", "lookup-failed.json", "8290842", _said("8290842", _TZ, "failed", "blocked")),
    Asked("celcom", "lookup-none.json", "8290842", None),
    Asked("celcom", "lookup-unlisted.json", "8290842", _said("8290842", _TZ, "sent")),
    Asked("celcom", "lookup.json", "1", None),
    Asked("infobip", "report.json", "crm-MSG-000042", _said("crm-MSG-000042", _KE, "delivered")),
    Asked("infobip", "report.json", "", _said("crm-MSG-000042", _KE, "delivered")),
    Asked("infobip", "empty.json", "crm-MSG-000042", None),
    Asked("twilio", "lookup.json", _SM, _said(_SM, "+255700000001", "failed", "unreachable")),
    Asked("twilio", "lookup-queued.json", _SM, _said(_SM, "+255700000001", "sent")),
    Asked("twilio", "lookup.json", "SM2", None),
    Asked("native", "lookup.json", "MSG-000123", _said("MSG-000123", _KE, "delivered")),
    Asked("native", "lookup-history.json", "", _said("MSG-000123", _KE, "sent")),
    Asked("native", "lookup-none.json", "", None),
    Asked("native", "lookup.json", "MSG-000999", None),
]

BALANCES = [
    (AT, "balance.json", "1785.5000", "KES"),
    ("beem", "balance.json", "5000", ""),
    ("onfon", "balance.json", "7578560.8000", "KES"),
    ("infobip", "balance.json", "47.79", "EUR"),
    ("twilio", "balance.json", "-3.25", "USD"),
    ("native", "balance.json", "1049.5", "KES"),
]
