"""Moving from another system: for each dialect what stays, what is ours, its calls beside the native ones, errors."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote

from crm.docs.reference import Endpoint, endpoints
from crm.docs.samples import KEY_VARIABLE, Caller, Sample
from messaging.dialects.guides import Guide, guide_named

SECRET_VARIABLE = "TARISHI_API_SECRET"  # noqa: S105 - a name, no secret
APP_VARIABLE = "TARISHI_APP_KEY"
_NUMBER = "+254712345678"
_TEXT = "Your appointment is tomorrow"


@dataclass(frozen=True, slots=True)
class TheirCall:
    """One call of the dialect. action: what chooses it where the path does not.

    native: method and short path of the native call that does the same, "" where there is none; note: what differs.
    """

    method: str
    path: str
    native: str = ""
    note: str = ""
    action: str = ""

    @property
    def shown(self) -> str:
        return self.action or f"{self.method} {self.path}"

    @property
    def endpoint(self) -> Endpoint | None:
        """The native call as the reference describes it."""
        return next((one for one in endpoints() if f"{one.method} {one.short_path}" == self.native), None)


@dataclass(frozen=True, slots=True)
class Problem:
    """Codes, or HTTP statuses, that the dialect refuses with, and when."""

    codes: tuple[str, ...]
    when: str


@dataclass(frozen=True, slots=True)
class Move:
    """The page of one dialect. slug: as in messaging.dialects.guides; curl: its main call, for a caller."""

    slug: str
    name: str
    lead: str
    stays: tuple[str, ...]
    ours: tuple[str, ...]
    calls: tuple[TheirCall, ...]
    refusals: str
    problems: tuple[Problem, ...]
    curl: Callable[[Caller], str]

    @property
    def title(self) -> str:
        return f"Moving from {self.name}"

    @property
    def guide(self) -> Guide:
        """The values to paste, as the Compatibility page has them."""
        return guide_named(self.slug)

    def samples(self, caller: Caller) -> list[Sample]:
        hint = f"# {KEY_VARIABLE}: your key {caller.key_hint}\n" if caller.key_hint else ""
        return [Sample("curl", "curl", hint + self.curl(caller))]

    def words(self) -> str:
        """Everything the page says, for the search."""
        said = [self.lead, *self.stays, *self.ours, self.refusals]
        said += [f"{call.shown} {call.native} {call.note}" for call in self.calls]
        said += [f"{' '.join(problem.codes)} {problem.when}" for problem in self.problems]
        return " ".join((*said, *(str(name) for name, _ in self.guide.pastes))).replace("`", "")


def _sender(caller: Caller) -> str:
    return caller.sender or "HOSPITAL"


def _posted(url: str, body: object, *headers: str) -> str:
    """A POST whose JSON is a here-document, in which the shell fills in the variables of the environment.

    body: `{{NAME}}` in a value stands for the variable NAME; any other sign that the shell would read is kept from it.
    """
    text = json.dumps(body, indent=2, ensure_ascii=False)
    for sign in ("\\", "$", "`"):
        text = text.replace(sign, "\\" + sign)
    text = text.replace("{{", "$").replace("}}", "")
    lines = [f'curl -X POST "{url}"', *(f'-H "{header}"' for header in headers), '-H "Content-Type: application/json"']
    return " \\\n  ".join([*lines, f"-d @- <<END\n{text}\nEND"])


def _mifumo(caller: Caller) -> str:
    body = {"message": _TEXT, "recipients": [_NUMBER], "sender_id": _sender(caller)}
    url = f"{caller.base_url}/api/integration/v1/sms/send/"
    return _posted(url, body, f"Authorization: Bearer ${KEY_VARIABLE}")


def _texin(caller: Caller) -> str:
    body = {"api_key": f"{{{{{KEY_VARIABLE}}}}}", "recipient": "0712345678", "message": _TEXT}
    return _posted(f"{caller.base_url}/api/send_sms", body | {"sender_id": _sender(caller)})


def _paydunya(caller: Caller) -> str:
    login = (
        f'TOKEN=$(curl -s -X POST "{caller.base_url}/api/v1/auth/login" \\\n'
        f'  --data-urlencode "user_key=${KEY_VARIABLE}" \\\n  --data-urlencode "secret_key=${SECRET_VARIABLE}" |\n'
        """  sed -E 's/.*"access_token": *"([^"]+)".*/\\1/')\n"""
    )
    sms = [{"from": _sender(caller), "to": _NUMBER, "text": _TEXT}]
    node = {"type": "application", "app_key": f"{{{{{APP_VARIABLE}}}}}", "sms": sms}
    url = f"{caller.base_url}/api/v1/sms/send"
    return login + _posted(url, {"send_sms_request": node}, "Authorization: Bearer $TOKEN")


def _smspresto(caller: Caller) -> str:
    given = [f'"user=${KEY_VARIABLE}"', f'"pass=${SECRET_VARIABLE}"', '"action=sendsms"']
    given += [quote(f"from={_sender(caller)}"), f'"to={_NUMBER}"', f'"message={_TEXT}"']
    lines = [f'curl -X POST "{caller.base_url}/console/api/"', *(f"--data-urlencode {one}" for one in given)]
    return " \\\n  ".join(lines)


MIFUMO = Move(
    "mifumo",
    "Mifumo",
    "For programs that call /api/integration/v1/ with a bearer key. Change the host, the key and the sender ID.",
    (
        "The paths, with or without their last slash; nothing is redirected.",
        "The envelope: `success`, `message`, `data`, `error_code` and `details` in every answer.",
        "Numbers are international and begin with a plus. `0712345678` is refused with `INVALID_PHONE_FORMAT`.",
        "One `message_id`, `msg_…`, stands for all recipients of a call; its status has a row for each of them.",
        "Calls a key and minute: sending 100, status 200, delivery reports 50, balance 20.",
        "The flat webhook payload: choose the format “Flat” for the address under API & Webhooks.",
    ),
    (
        "A text may have up to 480 characters and is charged in units.",
        "Recipients that cannot be sent to are left out, not charged, and named in `details` with the reason.",
        "A `schedule_time` without an offset is read in your time zone. Statuses `scheduled` and `cancelled` exist.",
        "Delivery reports hold what you sent by any door: by other APIs, by campaigns and by hand.",
        "`sender_id` must be approved; without one your default sender ID is used.",
    ),
    (
        TheirCall(
            "POST", "/api/integration/v1/sms/send/", "POST sms/send", "There each recipient has an id of its own."
        ),
        TheirCall("GET", "/api/integration/v1/sms/status/{message_id}/", "GET sms/status/{message_id}"),
        TheirCall("GET", "/api/integration/v1/sms/delivery-reports/", "GET sms/history", "There a row is a message."),
        TheirCall("GET", "/api/integration/v1/sms/balance/", "GET client/balance"),
    ),
    "`success` is false and `error_code` says why; the HTTP status agrees with it.",
    (
        Problem(("AUTHENTICATION_REQUIRED",), "401: no bearer key in the header."),
        Problem(("INVALID_API_KEY",), "401: the key is unknown, revoked or expired."),
        Problem(("INSUFFICIENT_PERMISSIONS",), "403: the key lacks the scope, or your account is suspended."),
        Problem(("MISSING_MESSAGE", "MISSING_RECIPIENTS"), "400: the field is not there or empty."),
        Problem(("INVALID_PHONE_FORMAT",), "400: `details` lists the numbers without plus or country."),
        Problem(("NO_VALID_RECIPIENTS",), "400: nobody is left to send to; `details` says why for each."),
        Problem(("SMS_SEND_FAILED",), "402: the balance is too low. 400 or 502: there is no price or no route."),
        Problem(("MESSAGE_NOT_FOUND",), "404: no such message, or no such path."),
        Problem(("INVALID_REQUEST",), "Ours. Anything else in the request that cannot be used."),
        Problem(("RATE_LIMIT_EXCEEDED",), "Ours. 429: wait for the seconds in `Retry-After`."),
        Problem(("INTERNAL_ERROR",), "500: our fault."),
    ),
    _mifumo,
)

TEXIN = Move(
    "texin",
    "Texin",
    "For programs that call /api/send_sms and its siblings with the key in the body.",
    (
        "`api_key` lies in the body, which is JSON or a form.",
        "Numbers may be `0712345678`, `254712345678` or with a plus; answers show `254712345678`.",
        "Message ids are `API-` and digits.",
        "Units count parts: 160 characters in one, 153 in each of several; with other letters 70 and 67.",
        "100 calls a minute for each key. Times are written in your time zone.",
        "`cost` is a number in the answer of a send, a string in that of `check_status`.",
    ),
    (
        "`new_balance` and `sms_balance` are the whole units that your wallet buys.",
        "`simulation_mode` is true while your account is in simulation mode: nothing leaves and nothing is charged.",
        "`gateway_response` is null until the carrier has answered.",
        "Without `sender_id` your default sender ID is used; a refused send names it as `sender_id_used`.",
        "An unknown path is answered in both ways, with `success` here and with `error_code` of our own API.",
    ),
    (
        TheirCall("POST", "/api/send_sms", "POST messages/send", "There with a channel."),
        TheirCall("POST", "/api/send_bulk_sms", "POST sms/send"),
        TheirCall("POST", "/api/check_status", "GET sms/status/{message_id}"),
        TheirCall("POST", "/api/get_balance", "GET client/balance"),
        TheirCall("GET", "/api/test_connection", note="`/api/health` says how the server is; neither needs a key."),
        TheirCall("GET", "/api/", note="`/api/schema` describes our own API to programs."),
    ),
    "`success` is false and `error` is a sentence; programs decide by the HTTP status.",
    (
        Problem(("400",), "A field is missing or wrong, the sender ID is not approved, or the balance is too low."),
        Problem(("401",), "The key is missing, unknown, revoked or expired."),
        Problem(("403",), "The key lacks the scope, or your account is suspended."),
        Problem(("404",), "No such message or path."),
        Problem(("405",), "The path is called by another method."),
        Problem(("413",), "The body is too large."),
        Problem(("429",), "Too many calls: wait for the seconds in `Retry-After`."),
        Problem(("500",), "Our fault."),
    ),
    _texin,
)

PAYDUNYA = Move(
    "paydunya",
    "PayDunya",
    "For programs that log in at /api/v1/auth/login for a token. One credential of ours stands for its three keys.",
    (
        "A token lasts an hour and can be logged out; it carries no secret.",
        "Every answer but the token's has `code`, `message` and `description`; `00` is success.",
        "1 to 50 messages in a call, each with its own sender, number and text; one that is wrong refuses them all.",
        "A sender ID that is empty or not set up becomes your default one; a malformed one is refused.",
        "Published spellings: `sender_addresss`, `inufficient_balance`, `invalid_ende_date`.",
        "`sms/stats` writes numbers without plus, and an empty list for one that was never written to.",
    ),
    (
        "The HTTP status agrees with the code: 400, 401, 402, 403 and so on.",
        "A text may have up to 480 characters and is charged in units.",
        "`sms/stats` answers with the 10,000 newest messages at most; narrow the dates for others.",
        "Dates are read in your time zone.",
        "`ERROR_103` and `ERROR_119` never come: the balance and the message are stored in one step.",
    ),
    (
        TheirCall("POST", "/api/v1/auth/login", note="Not needed: the key goes with each call."),
        TheirCall("POST", "/api/v1/sms/send", "POST messages/send", "There one message a call."),
        TheirCall("POST", "/api/v1/sms/stats", "GET sms/history", "There one recipient a call, and pages."),
        TheirCall("POST", "/api/v1/auth/logout", note="Not needed: revoke the key instead."),
    ),
    "`code` says why, and there is no `data`.",
    (
        Problem(("ERROR_117", "ERROR_118", "ERROR_120"), "Login: a wrong secret key, no keys, an unknown user key."),
        Problem(
            ("ERROR_121", "ERROR_122", "ERROR_123", "ERROR_124"), "The token expired, is none, is missing, has ended."
        ),
        Problem(("ERROR_104", "ERROR_105", "ERROR_106"), "The body, the inside of its node, or `type` is wrong."),
        Problem(("ERROR_107",), "The application key is wrong, the scope is missing, or your account is suspended."),
        Problem(("ERROR_109", "ERROR_111"), "No message, or more than 50."),
        Problem(("ERROR_108", "ERROR_110"), "The sender ID, or the number, cannot be used."),
        Problem(("ERROR_112", "ERROR_113"), "The text is empty, or too long."),
        Problem(("ERROR_114", "ERROR_115"), "The start date, or the end date, cannot be read."),
        Problem(("ERROR_102",), "The balance does not pay for the whole call."),
        Problem(("ERROR_101", "ERROR_116"), "There is no route to the number; or our fault."),
        Problem(("ERROR_125",), "Ours. Too many calls: wait for the seconds in `Retry-After`."),
    ),
    _paydunya,
)

_CONSOLE = "/console/api/"
SMSPRESTO = Move(
    "smspresto",
    "SMSPresto",
    "For programs that call /console/api/ with an action, a user and a pass.",
    (
        "One address, GET or POST. Parameters lie in the query, a form, the form field `data`, or a JSON body.",
        "HTTP 200 always: programs read `status`, which is 0 for success.",
        "`to` is a list with commas, or objects; an object's own `message` wins over the call's.",
        "All or nothing: one wrong recipient refuses the call and is named in `message`.",
        "Totals are strings, `get-stock` and its like bare numbers.",
        "In `list-archive`, `from` and `to` are a range of rows, the oldest first, and every value is a string.",
    ),
    (
        "Prefer POST. We never log the address of a call, but others on its way may, and a GET has your keys in it.",
        "Ivorian numbers of eight digits are brought up to date by their old operator's prefix.",
        "At most 1,000 recipients in a call, and 1,000 rows of the archive.",
        "`get-stock` is the whole units that your wallet buys; `get-predefined-total` counts your templates.",
        "`get-scheduled-total` counts scheduled messages and scheduled campaigns, a campaign as one.",
    ),
    (
        TheirCall("POST", _CONSOLE, "POST sms/send", "There one text for all.", "sendsms"),
        TheirCall("POST", _CONSOLE, "GET client/balance", action="get-stock"),
        TheirCall("POST", _CONSOLE, "GET sms/statistics", "Its `total_sent`.", "get-send"),
        TheirCall("POST", _CONSOLE, "GET sms/statistics", "Its `total_delivered`.", "get-success"),
        TheirCall("POST", _CONSOLE, "GET sms/statistics", "Its `total_failed`.", "get-failed"),
        TheirCall("POST", _CONSOLE, "GET contacts", "`meta.total` of the list.", "get-contact-total"),
        TheirCall("POST", _CONSOLE, "GET contacts/groups", "`meta.total` of the list.", "get-group-total"),
        TheirCall("POST", _CONSOLE, note="Top-ups asked for: see the Wallet page.", action="get-order-total"),
        TheirCall("POST", _CONSOLE, note="Top-ups completed: see the Wallet page.", action="get-bill-total"),
        TheirCall("POST", _CONSOLE, note="See the Scheduled page.", action="get-scheduled-total"),
        TheirCall("POST", _CONSOLE, note="See the Templates page.", action="get-predefined-total"),
        TheirCall("POST", _CONSOLE, "GET sms/history", "There the newest first.", "list-archive"),
    ),
    "`status` is the code and `message` its text; `message-count` is 0.",
    (
        Problem(("1",), "No user or pass, a missing scope, a suspended account, or a body that cannot be read."),
        Problem(("10", "11"), "The user, or the pass, is wrong."),
        Problem(("100", "101"), "The sender ID is not approved; or it is longer than 11 characters."),
        Problem(("102",), "The recipient named cannot be read or sent to."),
        Problem(("103",), "The text is missing, too long, or not readable."),
        Problem(("104",), "Ours. The balance does not pay for the whole call."),
        Problem(("105",), "Ours. Too many calls: wait for the seconds in `Retry-After`."),
        Problem(("106",), "Ours. No such action, address or method."),
        Problem(("107",), "Ours. Another parameter cannot be used; the text says which."),
        Problem(("500",), "Ours. Our fault."),
    ),
    _smspresto,
)

MOVES = {move.slug: move for move in (MIFUMO, TEXIN, PAYDUNYA, SMSPRESTO)}
