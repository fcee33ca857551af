"""What each vendor answers and posts, and what our words for it are. The contract suite runs over all of it.

A payload is a file under payloads/<adapter>/, as the vendor documents it or as public SDKs recorded it.
"""

from dataclasses import dataclass, field
from pathlib import Path

from messaging.providers.base import Callback, Credentials, HttpResponse, Outbound

PAYLOADS = Path(__file__).parent / "payloads"
FORM = "application/x-www-form-urlencoded"

CREDENTIALS = {"africastalking": Credentials({"username": "acme", "api_key": "atsk_canary_81c1"})}


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

    def __str__(self) -> str:
        return f"{self.adapter}-{self.payload}"

    def callback(self) -> Callback:
        return Callback(self.kind, FORM, "", (PAYLOADS / self.adapter / self.payload).read_bytes(), {})


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
