"""PayDunya's calls: log in for a token, send, ask what was sent, log out."""

from django.http import HttpRequest, HttpResponse

from accounts.errors import TokenMissing, WrongAppKey, WrongSecret
from accounts.models import ApiKey
from accounts.queries import has_app_key, has_secret
from accounts.services import tokens
from crm.common.errors import DomainError
from messaging import queries
from messaging.dialects import ground
from messaging.dialects.paydunya import wire
from messaging.dialects.paydunya.errors import refusal
from messaging.services.accept import Draft, accept_messages

MOST_SHOWN = 10_000  # messages in one answer of stats, the newest


class PayDunyaView(ground.DialectView):
    scope = ""

    def refuse(self, error: DomainError) -> HttpResponse:
        return refusal(error)

    def admit(self, request: HttpRequest) -> tuple[ApiKey, str]:
        """The key that the token acts for, judged and counted, and the token."""
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            raise TokenMissing
        key = tokens.read_token(token.strip())
        ground.admit(request, key, scope=self.scope, kind="paydunya")
        return key, token.strip()


class LoginView(PayDunyaView):
    """A token for a user key and its secret."""

    def post(self, request: HttpRequest) -> HttpResponse:
        user_key, secret_key = wire.read_login(_read_any(request))
        key = ground.take_key(user_key)
        if not has_secret(key, secret_key):
            raise WrongSecret
        ground.admit(request, key, scope=self.scope, kind="paydunya")
        return ground.answer(wire.show_token(tokens.issue_token(key=key), tokens.SECONDS))


def _read_any(request: HttpRequest) -> ground.Fields:
    raw, kind = ground.read_body(request), ground.kind_of(request)
    if kind == ground.MULTIPART:
        return ground.read_multipart(request, raw)
    if kind == ground.FORM and not raw.lstrip().startswith(b"{"):
        return ground.read_form(raw)
    return ground.read_json(raw) if raw.strip() else {}


class LogoutView(PayDunyaView):
    """The end of a token."""

    def post(self, request: HttpRequest) -> HttpResponse:
        _, token = self.admit(request)
        tokens.end_token(token=token)
        return ground.answer(wire.show_logout())


class SendView(PayDunyaView):
    """1 to 50 messages, all of them or none."""

    scope = "messages:send"

    def post(self, request: HttpRequest) -> HttpResponse:
        key, _ = self.admit(request)
        node, app_key = wire.read_node(ground.read_json(ground.read_body(request)), wire.SEND)
        if not has_app_key(key, app_key):
            raise WrongAppKey
        drafts: list[Draft] = wire.read_drafts(node)
        results = accept_messages(
            client=key.client, drafts=drafts, api_key_id=key.pk, all_or_nothing=True, or_default_sender=True
        )
        return ground.answer(wire.show_sent(drafts, results))


class StatsView(PayDunyaView):
    """What was sent to some numbers, or to all."""

    scope = "messages:read"

    def post(self, request: HttpRequest) -> HttpResponse:
        key, _ = self.admit(request)
        node, app_key = wire.read_node(ground.read_json(ground.read_body(request)), wire.STATS)
        if not has_app_key(key, app_key):
            raise WrongAppKey
        filters = wire.read_filters(node, key.client.time_zone)
        found = queries.messages_for(key.client, since=filters.since, before=filters.before)
        valid: list[str] = []
        invalid: list[str] = []
        if filters.numbers is not None:
            valid, invalid = wire.sort_numbers(filters.numbers, key.client.country)
            found = found.filter(recipient__in=valid)
        return ground.answer(wire.show_stats(found[:MOST_SHOWN], valid, invalid))


class UnknownView(ground.UnknownPathView, PayDunyaView):
    """Any other address of this API."""
