"""Mifumo's calls: authenticate, call a service, answer in its words."""

from django.http import HttpRequest, HttpResponse

from accounts.errors import KeyMissing
from accounts.models import ApiKey
from crm.common.api import params
from crm.common.errors import DomainError, NotFound
from messaging import batches
from messaging.dialects import ground
from messaging.dialects.mifumo import wire
from messaging.dialects.mifumo.errors import refusal
from messaging.services.accept import Accepted, Draft, Refused, accept_messages
from wallet import queries as wallet

_STATUSES = {"": 1, "sent": 1, "delivered": 1, "failed": 1}
_PER_PAGE = "50"


class MifumoView(ground.DialectView):
    """scope, kind and documented: what `ground.admit` judges by; the documented limits are calls a key and minute."""

    scope = "messages:read"
    kind = ""
    documented = 0

    def refuse(self, error: DomainError) -> HttpResponse:
        return refusal(error)

    def admit(self, request: HttpRequest) -> ApiKey:
        scheme, _, credential = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not credential.strip():
            raise KeyMissing
        key = ground.take_key(credential.strip())
        ground.admit(request, key, scope=self.scope, kind=self.kind, documented=self.documented)
        return key


class SendView(MifumoView):
    """One text to many recipients, under one id."""

    scope, kind, documented = "messages:send", "mifumo-send", 100

    def post(self, request: HttpRequest) -> HttpResponse:
        key = self.admit(request)
        asked = wire.read_send(ground.read_json(ground.read_body(request)), key.client.time_zone)
        results = accept_messages(
            client=key.client,
            sender=asked.sender_id,
            drafts=[Draft(recipient=recipient, text=asked.message) for recipient in asked.recipients],
            schedule_at=asked.schedule_time,
            api_key_id=key.pk,
            as_batch=True,
        )
        accepted = [result for result in results if isinstance(result, Accepted)]
        refused = [result for result in results if isinstance(result, Refused)]
        if not accepted:
            error = refused[0].error
            error.facts["refused"] = wire.show_refused(refused)
            raise error
        carriers = batches.provider_names(key.client, [accepted[0].id])
        provider = carriers.get(accepted[0].id, "simulation")
        return ground.answer(wire.show_sent(accepted, refused, currency=key.client.currency, provider=provider))


class StatusView(MifumoView):
    """Where a batch and each of its members are."""

    kind, documented = "mifumo-status", 200

    def get(self, request: HttpRequest, message_id: str) -> HttpResponse:
        key = self.admit(request)
        members = batches.find_batch(key.client, message_id)
        if not members:
            raise NotFound("Message not found")
        return ground.answer(wire.show_status(members))


class ReportsView(MifumoView):
    """The client's batches, newest first; what was sent by other doors too."""

    kind, documented = "mifumo-reports", 50

    def get(self, request: HttpRequest) -> HttpResponse:
        key = self.admit(request)
        asked = {name: value for name, value in ground.read_query(request).items() if isinstance(value, str) and value}
        page = params.read_page({"per_page": _PER_PAGE} | asked)
        zone = key.client.time_zone
        found = batches.heads_for(
            key.client,
            status=params.read_choice(asked, "status", _STATUSES, default=""),
            since=params.read_moment(asked, "start_date", zone),
            before=params.read_moment(asked, "end_date", zone, ends=True),
        )
        heads = list(found[page.start : page.stop])
        tallies = batches.tallies_of(key.client, heads)
        return ground.answer(wire.show_reports(heads, tallies, page, found.count()))


class BalanceView(MifumoView):
    """What is in the wallet."""

    scope, kind, documented = "wallet:read", "mifumo-balance", 20

    def get(self, request: HttpRequest) -> HttpResponse:
        key = self.admit(request)
        found = wallet.balance_of(key.client_id)
        last = wallet.entries_for(key.client_id).values_list("created_at", flat=True).first()
        data = {
            "account_id": f"ACC-{key.client_id:06d}",
            "balance": float(found.balance),
            "currency": found.currency,
            "last_updated": last or key.client.created_at,
        }
        return ground.answer(wire.success("Balance retrieved successfully", data))


class UnknownView(ground.UnknownPathView, MifumoView):
    """Any other address of this API."""
