"""The pages: handsets to read on, the dials, the carrier's settings, the test numbers and the last requests.

Rendered by Django's template engine alone, with settings of its own: no app, no model, no middleware of the product.
"""

from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from django.conf import settings

if not settings.configured:  # it is where tests import this module inside the product's process
    settings.configure(USE_I18N=False, USE_TZ=True, TIME_ZONE="UTC", USE_THOUSAND_SEPARATOR=True)

from django.template import Context, Engine

from crm.sandbox import networks
from crm.sandbox import store as stored
from crm.sandbox.api import change_account
from crm.sandbox.faults import DIALS, EVERYBODY, Faults, WrongDial
from crm.sandbox.payments import FATES, FOREVER, TEXTS, WRONG_PIN
from crm.sandbox.replies import can_answer, person_writes
from crm.sandbox.server import Answer, BadRequest, Request
from crm.sandbox.smtp import find_mail
from crm.sandbox.vendors import whatsapp, whatsapp_review
from crm.sandbox.world import World

HERE: Final = Path(__file__).parent
PHONES_SHOWN, MESSAGES_SHOWN, PAYMENTS_SHOWN = 100, 100, 10
HTML: Final = "text/html; charset=UTF-8"
_POLICY: Final = "default-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
_STATES: Final = {  # a state's word and the look of its chip
    "Queued": ("On its way", "info"),
    "Sent": ("On its way", "info"),
    "Submitted": ("On its way", "info"),
    "Buffered": ("Waiting for the phone", "warn"),
    "Success": ("Delivered", "ok"),
}


def _static_files() -> dict[str, tuple[str, bytes]]:
    """Served under /assets/. htmx comes out of the installed django-htmx, the typeface out of the product's folder."""
    package = find_spec("django_htmx")
    assert package is not None
    assert package.submodule_search_locations
    found = {
        "sandbox.css": ("text/css", HERE / "static" / "sandbox.css"),
        "htmx.js": (
            "text/javascript",
            Path(package.submodule_search_locations[0]) / "static" / "django_htmx" / "htmx-2.min.js",
        ),
        "figtree.woff2": ("font/woff2", HERE.parent.parent / "static" / "fonts" / "figtree-latin.woff2"),
    }
    return {name: (kind, path.read_bytes()) for name, (kind, path) in found.items() if path.exists()}


class Pages:
    """Answers what a browser asks for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._engine = Engine(dirs=[str(HERE / "templates")], autoescape=True, libraries={})
        self._static = _static_files()

    async def answer(self, request: Request) -> Answer | None:
        """The answer, or None for an address that is not here. Raises: BadRequest."""
        if request.method not in ("GET", "POST"):
            return None
        path, get = request.path, request.method == "GET"
        if get and path == "/":
            return await self._phones(request)
        if path.startswith("/handset/"):
            number, _, act = path.removeprefix("/handset/").partition("/")
            if get and not act:
                return await self._handset(request, number)
            if not get and act in ("reply", "read"):
                return self._write(request, number, act)
            if not get and act == "complain":
                return await self._complain(request, number)
            if not get and act in ("optout", "optin"):
                return self._leave(request, number, act)
            if not get and act in ("prompt", "paybill"):
                return self._answer_prompt(request, number) if act == "prompt" else self._pay(request, number)
        if path == "/faults":
            return self._faults(request) if get else self._save_faults(request)
        if path == "/carrier":
            return self._carrier(request) if get else self._save_carrier(request)
        if path == "/templates":
            return self._templates(request) if get else self._decide(request)
        if get and path == "/numbers":
            return self._page("numbers.html", self._test_numbers())
        if get and path == "/log":
            return self._log(request)
        if get and path.startswith("/assets/"):
            return self._file(path.removeprefix("/assets/"))
        return None

    # Phones

    async def _phones(self, request: Request) -> Answer:
        search = "".join(filter(str.isdigit, request.query.get("q", ""))).removeprefix("0")
        rows = await self._world.store.ask(stored.phones(search, PHONES_SHOWN))
        stats = await self._world.stats(duplicates=False)
        context = {
            "q": request.query.get("q", ""),
            "phones": [_phone(row) for row in rows],
            "full": len(rows) == PHONES_SHOWN,
            "stats": stats,
            "failed": sum(n for state, n in stats["states"].items() if state not in _STATES),
            "delivered": stats["states"].get("Success", 0),
            "prompts": [
                {"payment": payment, "shown": spaced(payment.number), "address": "/handset/" + quote(payment.number)}
                for payment in self._world.payments.all.values()
                if not payment.code
            ],
        }
        return self._live(request, "phones.html", "_phones.html", context)

    async def _handset(self, request: Request, number: str) -> Answer:
        rows = await self._world.store.ask(stored.messages(number, MESSAGES_SHOWN))
        senders = dict.fromkeys((row["username"], row["sender"]) for row in rows)
        context = {
            "number": number,
            "shown": spaced(number),
            "network": networks.network_of(number)[1],
            "messages": [_message(row) for row in rows],
            "full": len(rows) == MESSAGES_SHOWN,
            "senders": [
                {
                    "username": username,
                    "name": sender,
                    "is_name": not sender.lstrip("+").isdigit(),
                    "left": (username, sender, number) in self._world.optouts,
                    "told": bool(self._world.callback_url(username, "optout")),
                    "answers": can_answer(username, sender),
                }
                for username, sender in senders
            ],
            "address": "/handset/" + quote(number),
            "money": self._world.payments.pocket(number),
            "prompt": self._world.payments.live_on(number),
            "payments": self._payments(number),
        }
        return self._live(request, "handset.html", "_messages.html", context)

    def _payments(self, number: str) -> list[dict[str, Any]]:
        """The latest payments of a phone that have ended."""
        found = [payment for payment in self._world.payments.all.values() if payment.number == number and payment.code]
        return [
            {"payment": payment, "paid": payment.code == "0", "at": _time(payment.ended_at)}
            for payment in reversed(found[-PAYMENTS_SHOWN:])
        ]

    def _answer_prompt(self, request: Request, number: str) -> Answer:
        form = request.form()
        payment, pin = self._world.payments.live_on(number), form.get("pin", "")
        if payment is None:
            return _redirect(f"/handset/{quote(number)}?said=gone")
        if form.get("act") == "cancel":
            self._world.payments.act(payment, "cancel")
        elif len(pin) == 4 and pin.isdecimal():
            self._world.payments.act(payment, "pay", pin)
        else:
            return _redirect(f"/handset/{quote(number)}?said=pin")
        return _redirect(f"/handset/{quote(number)}")

    def _pay(self, request: Request, number: str) -> Answer:
        """The phone's own menu: its money, or a payment to a paybill."""
        form = request.form()
        try:
            if "money" in form:
                self._world.payments.pockets[number] = max(0, min(int(form["money"]), 10**9))
                return _redirect(f"/handset/{quote(number)}?said=money")
            amount = int(form.get("amount", ""))
        except ValueError:
            return _redirect(f"/handset/{quote(number)}?said=amount")
        shortcode, account = form.get("shortcode", "").strip(), form.get("account", "").strip()
        if not 1 <= amount <= 250_000 or not shortcode.isdecimal() or not account:
            return _redirect(f"/handset/{quote(number)}?said=amount")
        paid = self._world.payments.pay(shortcode=shortcode, number=number, amount=amount, account=account[:20])
        return _redirect(f"/handset/{quote(number)}?said={'paid' if paid else 'poor'}")

    def _write(self, request: Request, number: str, act: str) -> Answer:
        """The person writes back, or opens a WhatsApp message."""
        form = request.form()
        username, sender, text = form.get("username", ""), form.get("sender", ""), form.get("text", "").strip()
        if act == "read":
            told = whatsapp.person_reads(self._world, username, number, form.get("id", ""))
        elif not text:
            return _redirect(f"/handset/{quote(number)}?said=nothing")
        elif username and sender and can_answer(username, sender):
            told = person_writes(self._world, username=username, sender=sender, number=number, text=text)
        else:
            raise BadRequest("Say who is answered.")
        return _redirect(f"/handset/{quote(number)}?said={'sent' if told else 'unheard'}")

    async def _complain(self, request: Request, number: str) -> Answer:
        """The person calls a mail spam."""
        row = await self._world.store.ask(partial(find_mail, request.form().get("id", "")))
        if row is None or self._world.mailserver is None:
            raise BadRequest("There is no such mail.", 404)
        self._world.mailserver.complain(row)
        return _redirect(f"/handset/{quote(number)}?said=complained")

    def _templates(self, request: Request) -> Answer:
        """What was handed in to WhatsApp, and what its people may decide."""
        rows = [
            row | {"body": next((part["text"] for part in row["components"] if part.get("type") == "BODY"), "")}
            for row in whatsapp_review.shelf_of(self._world).rows.values()
        ]
        decisions = (*whatsapp_review.DECISIONS, *whatsapp_review.QUALITIES, *whatsapp_review.CATEGORIES)
        context = {"rows": list(reversed(rows)), "decisions": decisions, "said": request.query.get("said", "")}
        return self._page("templates.html", context)

    def _decide(self, request: Request) -> Answer:
        form = request.form()
        row = whatsapp_review.shelf_of(self._world).by_id(form.get("id", ""))
        if row is None:
            raise BadRequest("There is no such template.", 404)
        whatsapp_review.decide(self._world, row, form.get("event", ""), whatsapp.tell_business)
        return _redirect("/templates?said=1")

    def _leave(self, request: Request, number: str, act: str) -> Answer:
        form = request.form()
        username, sender = form.get("username", ""), form.get("sender", "")
        if not username or not sender:
            raise BadRequest("Say which sender.")
        if act == "optin":
            self._world.opt_in(username, sender, number)
            said = "back"
        else:
            said = "told" if self._world.opt_out(username, sender, number) else "untold"
        return _redirect(f"/handset/{quote(number)}?said={said}")

    # Dials and settings

    def _faults(self, request: Request, error: str = "") -> Answer:
        faults = self._world.faults_of(EVERYBODY)
        values = faults.as_json()
        sections: dict[str, list[dict[str, Any]]] = {}
        changed = {dial.name for dial in faults.changed()}
        for dial in DIALS:
            value = values[dial.name]
            shown = {"seconds": f"{value:g}"} if dial.most is not None else _percent(value)
            row = shown | {"dial": dial, "changed": dial.name in changed}
            sections.setdefault(dial.section, []).append(row)
        context = {
            "sections": sections.items(),
            "changed": len(changed),
            "error": error,
            "saved": "saved" in request.query,
            "others": sorted(name for name in self._world.faults if name != EVERYBODY),
        }
        return self._page("faults.html", context, status=422 if error else 200)

    def _save_faults(self, request: Request) -> Answer:
        form = request.form()
        if "reset" in form:
            self._world.save_faults(EVERYBODY, Faults())
            return _redirect("/faults?saved=1")
        values: dict[str, Any] = {"reasons": self._world.faults_of(EVERYBODY).reasons}
        try:
            for dial in DIALS:
                number = float(form.get(dial.name) or 0)
                if dial.most is not None:
                    values[dial.name] = number
                else:
                    values[dial.name] = {"share": number / 100, "next": int(form.get(f"{dial.name}.next") or 0)}
            self._world.save_faults(EVERYBODY, Faults(values))
        except WrongDial as error:
            return self._faults(request, str(error))
        except ValueError:
            return self._faults(request, "Shares, counts and seconds are plain numbers.")
        return _redirect("/faults?saved=1")

    def _carrier(self, request: Request, error: str = "") -> Answer:
        rows = [
            {
                "username": username,
                "everybody": username == EVERYBODY,
                "account": account,
                "senders": ", ".join(account.refused_senders),
                "balance": networks.money(max(0, self._world.balance(username))),
            }
            for username, account in sorted(self._world.accounts.items())
        ]
        context = {"rows": rows, "error": error, "saved": "saved" in request.query}
        return self._page("carrier.html", context, status=422 if error else 200)

    def _save_carrier(self, request: Request) -> Answer:
        form = {name: value.strip() for name, value in request.form().items()}
        senders = [name.strip() for name in form.get("senders", "").split(",") if name.strip()]
        given: dict[str, Any] = {
            name: form.get(name, "") for name in ("delivery", "optout", "inbound", "api_key", "secret")
        }
        if not form.get("username"):
            return self._carrier(request, "Name the username.")
        try:
            change_account(self._world, form["username"], given | {"refused_senders": senders})
        except BadRequest as error:
            return self._carrier(request, str(error))
        return _redirect("/carrier?saved=1")

    def _test_numbers(self) -> dict[str, Any]:
        return {
            "refusing": [(number, code, networks.ROW_REFUSALS[code]) for number, code in networks.REFUSING.items()],
            "failing": [(number, *words) for number, words in networks.FAILING.items()],
            "silent": networks.SILENT,
            "unknown_word": networks.UNKNOWN_WORD,
            "senders": self._world.accounts[EVERYBODY].refused_senders,
            "fates": [
                (number, code, "Never ends" if code == FOREVER else TEXTS[code]) for number, code in FATES.items()
            ],
            "wrong_pin": WRONG_PIN,
        }

    def _log(self, request: Request) -> Answer:
        rows = [{"entry": entry, "at": _time(entry.at)} for entry in self._world.log]
        return self._live(request, "log.html", "_log.html", {"rows": rows})

    # Printing

    def _live(self, request: Request, template: str, fragment: str, context: dict[str, Any]) -> Answer:
        """A page that refreshes its `fragment`, at the address `refresh`; 204 while that would show nothing new.

        So a reader's place in a long list and the focus survive: htmx swaps nothing on 204.
        """
        seen = blake2b(repr(context).encode(), digest_size=8).hexdigest()
        if _by_htmx(request) and request.query.get("seen") == seen:
            return Answer(204)
        kept = {"q": request.query["q"]} if "q" in request.query else {}
        context["refresh"] = f"{quote(request.path)}?{urlencode(kept | {'seen': seen})}"
        context["said"] = request.query.get("said", "")
        return self._page(template, context, fragment=fragment if _by_htmx(request) else "")

    def _page(self, template: str, context: dict[str, Any], *, fragment: str = "", status: int = 200) -> Answer:
        context |= {"nav": template, "dialled": len(self._world.faults_of(EVERYBODY).changed())}
        text = self._engine.get_template(fragment or template).render(Context(context))
        headers = (
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", _POLICY),
            ("Vary", "HX-Request"),
            ("X-Content-Type-Options", "nosniff"),
        )
        return Answer(status, text.encode(), HTML, headers)

    def _file(self, name: str) -> Answer | None:
        if name not in self._static:
            return None
        kind, content = self._static[name]
        return Answer(200, content, kind, (("Cache-Control", "max-age=300"),))


def spaced(number: str) -> str:
    """+254 712 345 678: a country code of three digits and groups of three, which fits the region; else as it is."""
    if len(number) != 13 or not number[1:].isdigit():
        return number
    return " ".join((number[:4], number[4:7], number[7:10], number[10:]))


def _phone(row: Any) -> dict[str, Any]:
    return _message(row) | {
        "count": row["count"],
        "shown": spaced(row["number"]),
        "network": networks.network_of(row["number"])[1],
        "address": "/handset/" + quote(row["number"]),
    }


def _message(row: Any) -> dict[str, Any]:
    word, look = _STATES.get(row["state"], ("Did not arrive", "bad"))
    detail = f"{row['state']} {row['reason']}".strip() if look == "bad" else ""
    return {
        "id": row["id"],
        "sender": row["sender"],
        "username": row["username"],
        "is_whatsapp": row["username"].startswith(whatsapp.PREFIX),
        "is_mail": row["username"].startswith("smtp:"),
        "text": row["text"],
        "parts": row["parts"],
        "word": word,
        "look": look,
        "detail": detail,
        "at": _time(row["accepted_at"]),
        "arrived": _time(row["state_at"]) if look == "ok" else None,
        "reference": row["provider_id"],
    }


def _time(seconds: float) -> dict[str, str]:
    at = datetime.fromtimestamp(seconds, UTC)
    return {"iso": at.isoformat(timespec="seconds"), "shown": f"{at:%d %b, %H:%M:%S}"}


def _percent(value: dict[str, Any]) -> dict[str, Any]:
    return {"percent": f"{value['share'] * 100:g}", "next": value["next"]}


def _by_htmx(request: Request) -> bool:
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


def _redirect(address: str) -> Answer:
    return Answer(303, b"", headers=(("Location", address),))
