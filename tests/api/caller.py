"""A program that calls the API, and what every refusal must look like."""

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client as Browser

from crm.opening import OpenedClient


class Caller:
    """Calls the native API as a client's program does: JSON over HTTP with a key."""

    def __init__(self, opened: OpenedClient, key: str = "") -> None:
        self.client = opened.client
        self.key = key or opened.issued.api_key
        self.browser = Browser(raise_request_exception=False)

    def url(self, path: str) -> str:
        return f"/api/{self.client.pk}/{path}"

    def get(self, path: str, params: dict[str, Any] | None = None, **headers: str) -> HttpResponse:
        return self.browser.get(self.url(path), params or {}, headers={"X-API-KEY": self.key, **headers})

    def post(self, path: str, body: Any, content_type: str = "application/json", **headers: str) -> HttpResponse:
        """`body` is sent as JSON, or as it is where it is text or bytes."""
        raw = body if isinstance(body, str | bytes) else json.dumps(body)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.browser.generic(
            "POST", self.url(path), raw, content_type=content_type, headers={"X-API-KEY": self.key, **headers}
        )

    def send(self, **fields: Any) -> HttpResponse:
        """messages/send with everything it needs, changed by `fields`; None takes one away."""
        body = {"channel": "sms", "recipient": "254712345678", "sender": "HOSPITAL", "body": "Karibu"} | fields
        return self.post("messages/send", {name: value for name, value in body.items() if value is not None})

    def balance(self) -> float:
        return self.get("client/balance").json()["balance"]


def refusal(response: HttpResponse, status: int, error_code: str) -> dict[str, Any]:
    """Asserts that `response` is the documented error body, key by key, and returns it."""
    body = json.loads(response.content)
    assert (response.status_code, body["error_code"]) == (status, error_code), body
    assert response["Content-Type"] == "application/json"
    expected = {"status", "error_code", "message", "errors"} | ({"balance"} if status == 402 else set())
    assert set(body) == expected
    assert body["status"] == "error"
    assert isinstance(body["message"], str)
    assert body["message"]
    assert isinstance(body["errors"], list)
    for error in body["errors"]:
        assert set(error) == {"field", "message"}
        assert all(isinstance(value, str) for value in error.values())
    return body


def fields_of(body: dict[str, Any]) -> list[str]:
    return [error["field"] for error in body["errors"]]
