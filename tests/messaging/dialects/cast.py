"""Acme and a stranger, callers in each dialect, and payload files compared with answers key by key, type by type."""

import json
import re
from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.test import Client as Browser

from crm.opening import OpenedClient

HERE = Path(__file__).parent
FORM = "application/x-www-form-urlencoded"


class Program:
    """A client's program: it has the three values of one credential and speaks any dialect."""

    def __init__(self, opened: OpenedClient) -> None:
        self.client = opened.client
        self.key, self.secret, self.app_key = (
            opened.issued.api_key,
            opened.issued.api_secret,
            opened.issued.app_key,
        )
        self.issued = opened.issued.key
        self.browser = Browser(raise_request_exception=False)
        self._token = ""

    def call(self, method: str, path: str, body: Any = b"", content_type: str = "application/json", **headers: str):
        raw = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.browser.generic(method, path, raw, content_type=content_type, headers=headers)

    # --- Mifumo ---
    def mifumo(self, method: str, path: str, body: Any = b"", key: str | None = None) -> HttpResponse:
        token = self.key if key is None else key
        return self.call(method, f"/api/integration/v1/{path}", body, Authorization=f"Bearer {token}")

    # --- Texin ---
    def texin(self, path: str, **fields: Any) -> HttpResponse:
        return self.call("POST", f"/api/{path}", {"api_key": self.key} | fields)

    # --- PayDunya ---
    def token(self) -> str:
        if not self._token:
            body = {"user_key": self.key, "secret_key": self.secret}
            self._token = self.call("POST", "/api/v1/auth/login", body).json()["access_token"]
        return self._token

    def paydunya(self, path: str, body: Any, token: str | None = None) -> HttpResponse:
        bearer = self.token() if token is None else token
        return self.call("POST", f"/api/v1/{path}", body, Authorization=f"Bearer {bearer}")

    def send_node(self, *sms: Any, **changed: Any) -> dict[str, Any]:
        node = {"type": "application", "app_key": self.app_key, "sms": list(sms)} | changed
        return {"send_sms_request": node}

    def stats_node(self, filters: Any = None, **changed: Any) -> dict[str, Any]:
        return {"sms_sent": {"type": "application", "app_key": self.app_key, "filters": filters or {}} | changed}

    # --- SMSPresto ---
    def presto(self, action: str, **params: Any) -> HttpResponse:
        return self.browser.get("/console/api/", {"user": self.key, "pass": self.secret, "action": action} | params)

    def presto_post(self, body: Any) -> HttpResponse:
        return self.call("POST", "/console/api/", {"user": self.key, "pass": self.secret} | body)

    def units(self) -> int:
        """What the wallet holds, at one shilling a unit."""
        return self.presto("get-stock").json()


def payload(dialect: str, case: str, **values: str) -> tuple[dict[str, Any], Any]:
    """The request and response of a case; `$name` in the request is replaced by a value."""
    request = (HERE / dialect / f"{case}.request.json").read_text()
    for name, value in values.items():
        request = request.replace(f"${name}", value)
    return json.loads(request), json.loads((HERE / dialect / f"{case}.response.json").read_text())


def same_shape(got: Any, documented: Any, where: str = "$") -> None:
    """Asserts that `got` has exactly the documented keys, in their order, and values of the documented types.

    In the documents a string `<pattern>` is a regular expression, and null beside a type is written `["null", value]`.
    """
    if isinstance(documented, dict):
        assert isinstance(got, dict), f"{where}: {got!r} is no object"
        if "$any" in documented:  # keys that are data
            for key, value in got.items():
                assert re.fullmatch(documented["$any"], key), f"{where}: {key!r}"
                same_shape(value, documented["$value"], f"{where}.{key}")
            return
        assert list(got) == list(documented), f"{where}: {list(got)} is not {list(documented)}"
        for key, value in documented.items():
            same_shape(got[key], value, f"{where}.{key}")
    elif isinstance(documented, list):
        assert isinstance(got, list), f"{where}: {got!r} is no array"
        assert bool(got) == bool(documented), f"{where}: {got!r}"
        for index, value in enumerate(got):
            same_shape(value, documented[min(index, len(documented) - 1)], f"{where}[{index}]")
    elif isinstance(documented, str) and documented.startswith("<"):
        assert isinstance(got, str), f"{where}: {got!r} is no string"
        assert re.fullmatch(documented[1:-1], got), f"{where}: {got!r} is not {documented}"
    elif isinstance(documented, str) and documented == "number":
        assert isinstance(got, int | float), f"{where}: {got!r} is no number"
        assert not isinstance(got, bool), f"{where}: {got!r} is no number"
    else:
        assert got == documented, f"{where}: {got!r} is not {documented!r}"
        assert type(got) is type(documented), f"{where}: {got!r} is not a {type(documented).__name__}"
