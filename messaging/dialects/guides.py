"""Which guide a program was written after, and what its owner pastes where (UX.md §11, Compatibility)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from messaging.dialects.ground import FORM

Values = Mapping[str, str]  # client, api_key, api_secret, app_key

JSON = "application/json"

# What the values are called on our pages, whatever a guide calls them.
OURS = {
    "client": _("Client ID"),
    "api_key": _("API key"),
    "api_secret": _("API secret"),
    "app_key": _("Application key"),
    "sender": _("Sender ID"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One harmless request, to be made in process."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str = ""
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Guide:
    """title: how the program identifies itself, which is how its owner recognises it. address: after our own.

    pastes: (the guide's name of a value, which of ours): "client", "api_key", "api_secret", "app_key" or "sender".
    test: the call that proves the values, made of those in `needs`.
    """

    slug: str
    title: str | Promise
    about: str | Promise
    address: str
    pastes: tuple[tuple[str | Promise, str], ...]
    needs: tuple[str, ...]
    test: Callable[[Values], Call]
    in_address: bool = False  # its GET calls carry the keys in the address


GUIDES = (
    Guide(
        "native",
        _("X-API-KEY in the header, the client ID in the address"),
        _("Our own API, and that of guides whose paths look like /api/{client_id}/messages/send."),
        "/api/{client}/",
        ((_("Header X-API-KEY"), "api_key"), ("client_id", "client"), ("sender", "sender")),
        ("api_key",),
        lambda values: Call("GET", f"/api/{values['client']}/client/balance", {"X-API-KEY": values["api_key"]}),
    ),
    Guide(
        "texin",
        _("api_key in the body"),
        _("Guides whose paths are /api/send_sms, /api/send_bulk_sms, /api/check_status and /api/get_balance."),
        "/api/",
        (("api_key", "api_key"), ("sender_id", "sender")),
        ("api_key",),
        lambda values: Call("POST", "/api/get_balance", {}, json.dumps({"api_key": values["api_key"]})),
    ),
    Guide(
        "paydunya",
        _("A user key and a secret key for a token, then an application key"),
        _("Guides that log in at /api/v1/auth/login and send at /api/v1/sms/send. Each message names its sender."),
        "/api/v1/",
        (("user_key", "api_key"), ("secret_key", "api_secret"), ("app_key", "app_key"), ("from", "sender")),
        ("api_key", "api_secret"),
        lambda values: Call(
            "POST",
            "/api/v1/auth/login",
            {},
            json.dumps({"user_key": values["api_key"], "secret_key": values["api_secret"]}),
        ),
    ),
    Guide(
        "smspresto",
        _("user and pass as parameters"),
        _("Guides with one address, /console/api/, and an action such as sendsms or get-stock."),
        "/console/api/",
        (("user", "api_key"), ("pass", "api_secret"), ("from", "sender")),
        ("api_key", "api_secret"),
        lambda values: Call(
            "POST",
            "/console/api/",
            {},
            urlencode({"action": "get-stock", "user": values["api_key"], "pass": values["api_secret"]}),
            FORM,
        ),
        in_address=True,
    ),
    Guide(
        "mifumo",
        _("Authorization: Bearer"),
        _("Guides whose paths look like /api/integration/v1/sms/send/ and whose numbers begin with a plus."),
        "/api/integration/v1/",
        ((_("Header Authorization: Bearer"), "api_key"), ("sender_id", "sender")),
        ("api_key",),
        lambda values: Call(
            "GET", "/api/integration/v1/sms/balance/", {"Authorization": f"Bearer {values['api_key']}"}
        ),
    ),
)


def guide_named(slug: str) -> Guide:
    """That guide; the first one for a name there is none of."""
    return next((guide for guide in GUIDES if guide.slug == slug), GUIDES[0])
