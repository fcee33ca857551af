"""Texin's calls: authenticate by the key in the body, call a service, answer in its words."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.text import slugify

from accounts.models import ApiKey
from crm.common.api.errors import http_failure
from crm.common.errors import DomainError, NotFound
from crm.common.sql import database_now
from messaging import queries
from messaging.dialects import ground
from messaging.dialects.texin import wire
from messaging.dialects.texin.errors import refusal
from messaging.models import SenderId
from messaging.services.accept import Accepted, Draft, Refused, accept_messages
from wallet import queries as wallet

_PER_MINUTE = 100  # of all calls together


class TexinView(ground.DialectView):
    """scope: what the key needs; failed: the error body's `message`."""

    scope = "messages:send"
    failed = "Failed to send SMS"

    def refuse(self, error: DomainError) -> HttpResponse:
        return refusal(error, self.failed)

    def read(self, request: HttpRequest) -> tuple[ApiKey, ground.Fields]:
        """The key, judged and counted, and the fields: of JSON, or of a form."""
        raw = ground.read_body(request)
        kind = ground.kind_of(request)
        if kind == ground.MULTIPART:
            self.fields = ground.read_multipart(request, raw)
        elif kind == ground.FORM and not raw.lstrip().startswith(b"{"):
            self.fields = ground.read_form(raw)
        else:
            self.fields = ground.read_json(raw) if raw.strip() else {}
        self.key = ground.take_key(self.fields.get("api_key"))
        ground.admit(request, self.key, scope=self.scope, kind="texin", documented=_PER_MINUTE)
        return self.key, self.fields

    key: ApiKey | None = None
    fields: ground.Fields = {}  # replaced, never changed


class SendingView(TexinView):
    """A refused send also says which sender ID it would have used."""

    def refuse(self, error: DomainError) -> HttpResponse:
        return refusal(error, self.failed, sender_id_used=self._sender_used(), **error.facts.get("bulk", {}))

    def _sender_used(self) -> str:
        given = self.fields.get("sender_id")
        if isinstance(given, str) and given.strip():
            return given.strip()[:20]
        sender = queries.approved_senders(self.key.client).first() if self.key else None
        return sender.name if sender and sender.is_default else ""


class SendView(SendingView):
    """One message."""

    def post(self, request: HttpRequest) -> HttpResponse:
        key, body = self.read(request)
        asked = wire.read_send(body)
        (result,) = _accept(key, asked)
        if isinstance(result, Refused):
            raise result.error
        balance = wallet.balance_of(key.client_id)
        return ground.answer(wire.show_sent(result, asked.message, key.client, balance))


class SendBulkView(SendingView):
    """One text to many."""

    failed = "Failed to send bulk SMS"

    def post(self, request: HttpRequest) -> HttpResponse:
        key, body = self.read(request)
        results = _accept(key, wire.read_bulk(body))
        found = wire.sort_results(results)
        if not found.accepted:
            raise _none_accepted(results, found)
        return ground.answer(wire.show_bulk(found, key.client, wallet.balance_of(key.client_id)))


def _accept(key: ApiKey, asked: wire.SendRequest) -> list[Accepted | Refused]:
    return accept_messages(
        client=key.client,
        sender=asked.sender_id,
        drafts=[Draft(recipient=recipient, text=asked.message) for recipient in asked.recipients],
        api_key_id=key.pk,
        unit_rule=wire.UNIT_RULE,
    )


def _none_accepted(results: list[Accepted | Refused], found: wire.BulkOutcome) -> DomainError:
    error = next(result.error for result in results if isinstance(result, Refused))
    error.facts["bulk"] = {
        "statistics": found.statistics,
        "invalid_numbers": found.invalid,
        "failed_recipients": found.failed,
    }
    return error


class StatusView(TexinView):
    """Where a message is."""

    scope, failed = "messages:read", "Failed to check status"

    def post(self, request: HttpRequest) -> HttpResponse:
        key, body = self.read(request)
        message = queries.find_message(key.client, wire.read_message_id(body))
        if message is None:
            raise NotFound("Message not found")
        return ground.answer(wire.show_status(message, key.client))


class BalanceView(TexinView):
    """What the wallet buys, and whose it is."""

    scope, failed = "wallet:read", "Failed to get balance"

    def post(self, request: HttpRequest) -> HttpResponse:
        key, _ = self.read(request)
        client = key.client
        shown = wire.show_balance(
            client,
            wallet.balance_of(client.pk),
            username=slugify(client.name) or f"client{client.pk}",
            default_sender=_default_sender(queries.approved_senders(client).first()),
            now=database_now(),
        )
        return ground.answer(shown)


def _default_sender(first: SenderId | None) -> str | None:
    return first.name if first and first.is_default else None


ENDPOINTS = {
    "GET /api/test_connection": "Test the connection; needs no key",
    "POST /api/send_sms": "Send one message",
    "POST /api/send_bulk_sms": "Send one text to many",
    "POST /api/check_status": "State of a message",
    "POST /api/get_balance": "Balance and account",
}


class InformationView(TexinView):
    """What this API is. Nothing is asked of the caller."""

    failed = "Failed to get information"

    def get(self, request: HttpRequest) -> HttpResponse:
        about: dict[str, Any] = {"name": f"{settings.BRAND_NAME} SMS API", "version": wire.VERSION}
        return ground.answer({"success": True, **about, "endpoints": ENDPOINTS})


class ConnectionView(TexinView):
    """Whether this server is reached."""

    failed = "Failed to test the connection"

    def get(self, request: HttpRequest) -> HttpResponse:
        told = {"message": "API connection successful", "version": wire.VERSION}
        return ground.answer({"success": True, **told, "timestamp": wire.show_time(database_now(), "UTC")})


class UnknownView(ground.UnknownPathView, TexinView):
    """Any other address directly under /api/: both this dialect's error body and the native one, in one object."""

    def refuse(self, error: DomainError) -> HttpResponse:
        native = {name: value for name, value in http_failure(404).items() if name != "message"}
        return refusal(error, "Endpoint not found", **native)
