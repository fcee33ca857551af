"""What the back office shows of a client beside its own columns: money, volume, failures, notes, trial."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Client, StaffNote
from crm.common.errors import DomainError
from messaging.models import MessageTally, SendingRules, TallyState
from messaging.services.going_live import open_account, request_of, steps_of
from messaging.services.rules import rules_of
from wallet.models import Wallet

DAYS = 30
_NOTES = 20


def with_figures(clients: QuerySet[Client]) -> QuerySet[Client]:
    """Clients with `figure_balance` (micros), `figure_volume`, `figure_over` and `figure_failed` of the last DAYS."""
    since = now() - timedelta(days=DAYS)
    tallies = (
        MessageTally.objects.unscoped()
        .filter(client_id=OuterRef("pk"), hour__gte=since)
        .order_by()
        .values("client_id")
        .annotate(
            volume=Sum("messages"),
            over=Sum("messages", filter=~Q(state__in=[TallyState.WAITING, TallyState.CANCELLED])),
            failed=Sum("messages", filter=Q(state=TallyState.FAILED)),
        )
    )
    balance = Wallet.objects.unscoped().filter(pk=OuterRef("pk")).values("balance_micros")
    return clients.annotate(
        figure_balance=Subquery(balance[:1]),
        figure_volume=Subquery(tallies.values("volume")[:1]),
        figure_over=Subquery(tallies.values("over")[:1]),
        figure_failed=Subquery(tallies.values("failed")[:1]),
    )


def failed_share(client: Any) -> float | None:
    """Per cent of what was sent that failed, of a client `with_figures`; None where nothing was."""
    return 100 * (client.figure_failed or 0) / client.figure_over if client.figure_over else None


def facts_of_client(client: Client) -> dict[str, Any]:
    """For the client's own page."""
    steps = steps_of(client)
    rules = rules_of(client)
    wallet = Wallet.objects.for_client(client).select_related("price_plan").first()
    return {
        "notes": list(StaffNote.objects.for_client(client).select_related("by")[:_NOTES]),
        "rules": rules,
        "has_rules": SendingRules.objects.for_client(client).exists(),
        "steps": steps,
        "steps_done": sum(step.done for step in steps),
        "asked": request_of(client),
        "wallet": wallet,
    }


@require_POST
def go_live(request: HttpRequest, pk: int) -> HttpResponse:
    """POST /staff/clients/{id}/go-live ends the trial."""
    if not request.user.has_perm("accounts.change_client"):
        raise PermissionDenied
    client = get_object_or_404(Client, pk=pk)
    try:
        open_account(client=client)
        messages.success(request, _("%(client)s can write to everybody now.") % {"client": client})
    except DomainError as error:
        messages.warning(request, str(error))
    return redirect("admin:accounts_client_change", client.pk)
