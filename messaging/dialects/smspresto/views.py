"""SMSPresto's one address: the action chooses what is done."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.errors import CredentialsMissing, WrongSecret
from accounts.models import ApiKey, Client
from accounts.queries import has_secret
from contacts import queries as contacts
from crm.common.errors import DomainError
from messaging import queries
from messaging.dialects import ground
from messaging.dialects.smspresto import wire
from messaging.dialects.smspresto.errors import UnknownAction, refusal
from messaging.models import CampaignState
from messaging.models import MessageStatus as S
from messaging.services.accept import Accepted, accept_messages
from wallet import queries as wallet
from wallet.topups.queries import bills_for, top_ups_for


class ConsoleView(ground.DialectView):
    """GET and POST alike. user and pass may stand in the address: it is never logged."""

    def refuse(self, error: DomainError) -> HttpResponse:
        return refusal(error)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._act(request, wire.with_data(ground.read_query(request)))

    def post(self, request: HttpRequest) -> HttpResponse:
        raw = ground.read_body(request)
        if ground.kind_of(request) == ground.MULTIPART:
            body = wire.with_data(ground.read_multipart(request, raw))
        else:
            body = wire.read_body(raw)
        return self._act(request, wire.with_data(ground.read_query(request)) | body)

    def _act(self, request: HttpRequest, fields: ground.Fields) -> HttpResponse:
        key = _find_key(fields)
        action = fields.get("action")
        scope, act = ACTIONS.get(action if isinstance(action, str) else "", ("", None))
        ground.admit(request, key, scope=scope, kind="smspresto")
        if act is None:
            raise UnknownAction
        return ground.answer(act(key, fields))


def _find_key(fields: ground.Fields) -> ApiKey:
    user, password = fields.get("user"), fields.get("pass")
    if not user or not password:
        raise CredentialsMissing
    key = ground.take_key(user)
    if not isinstance(password, str) or not has_secret(key, password):
        raise WrongSecret
    return key


def _send(key: ApiKey, fields: ground.Fields) -> Any:
    drafts = wire.read_send(fields)
    try:
        results = accept_messages(client=key.client, drafts=drafts, api_key_id=key.pk, all_or_nothing=True)
    except DomainError as error:
        if error.code in _OF_A_RECIPIENT:
            error.facts["recipient"] = drafts[error.facts["position"]].recipient[:40]
        raise
    return wire.show_sent(sum(isinstance(result, Accepted) for result in results))


_OF_A_RECIPIENT = {"invalid_phone", "opted_out", "no_price", "no_route"}


def _archive(key: ApiKey, fields: ground.Fields) -> Any:
    client = key.client
    asked = wire.read_archive(fields, client.time_zone)
    found = queries.messages_for(client, since=asked.since, before=asked.before).order_by("pk")
    messages = list(found[asked.start : asked.stop])
    return wire.show_archive(messages, queries.names_of(client, messages), client)


def _stock(key: ApiKey, fields: ground.Fields) -> int:
    return wallet.balance_of(key.client_id).units


def _counter(count: Callable[[Client], int]) -> Callable[[ApiKey, ground.Fields], int]:
    return lambda key, fields: count(key.client)


def _total(count: Callable[[Client], int]) -> Callable[[ApiKey, ground.Fields], dict[str, str]]:
    return lambda key, fields: wire.show_total(count(key.client))


def _sent(client: Client) -> int:
    return queries.messages_for(client).filter(sent_at__isnull=False).count()


def _in_status(*statuses: S) -> Callable[[Client], int]:
    return lambda client: queries.messages_for(client).filter(status__in=statuses).count()


def _contacts(client: Client) -> int:
    return contacts.contacts_for(client).count()


def _groups(client: Client) -> int:
    return contacts.groups_for(client).count()


def _orders(client: Client) -> int:
    return top_ups_for(client).count()


def _bills(client: Client) -> int:
    return bills_for(client).count()


def _scheduled(client: Client) -> int:
    """Messages and campaigns whose time has not come. A campaign is one: it has no messages before it starts."""
    campaigns = queries.campaigns_for(client, state=CampaignState.SCHEDULED)
    return _in_status(S.SCHEDULED)(client) + campaigns.count()


def _predefined(client: Client) -> int:
    return queries.templates_for(client).count()


# action → the scope that the key needs, and what answers.
ACTIONS: dict[str, tuple[str, Callable[[ApiKey, ground.Fields], Any]]] = {
    "sendsms": ("messages:send", _send),
    "get-stock": ("wallet:read", _stock),
    "get-send": ("messages:read", _counter(_sent)),
    "get-success": ("messages:read", _counter(_in_status(S.DELIVERED, S.READ))),
    "get-failed": ("messages:read", _counter(_in_status(S.FAILED))),
    "get-contact-total": ("contacts", _total(_contacts)),
    "get-group-total": ("contacts", _total(_groups)),
    "get-order-total": ("wallet:read", _total(_orders)),
    "get-bill-total": ("wallet:read", _total(_bills)),
    "get-scheduled-total": ("messages:read", _total(_scheduled)),
    "get-predefined-total": ("messages:read", _total(_predefined)),
    "list-archive": ("messages:read", _archive),
}


class UnknownView(ground.UnknownPathView, ConsoleView):
    """Any other address of this console."""
