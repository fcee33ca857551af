"""Telling a client's webhooks that its balance has fallen below its threshold: once per fall, at most once a day."""

from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q

from accounts.models import Client
from accounts.services.events import every_listening_client, record_events_bulk
from crm.common.money import json_money
from crm.common.sql import database_now
from wallet.models import Wallet
from wallet.queries import is_funded

AGAIN_AFTER = timedelta(days=1)


@transaction.atomic
def tell_low_balances() -> int:
    """Tell of each balance that is low and was not told of yet; returns how many. For the sweep; harmless to repeat.

    The mark goes when the balance is no longer low, yet not within a day: a balance that swings around its threshold
    is told of once a day.
    """
    listening = every_listening_client("balance.low")
    if not listening:
        return 0
    now = database_now()
    told = Client.objects.filter(pk__in=listening)
    low = Wallet.objects.unscoped().filter(is_funded(), balance_micros__lt=F("client__low_balance_micros"))
    told.exclude(pk__in=low.values("client_id")).filter(low_balance_told_at__lte=now - AGAIN_AFTER).update(
        low_balance_told_at=None
    )
    fresh = low.filter(Q(client__low_balance_told_at=None), client_id__in=listening).select_related("client")
    rows = []
    for wallet in fresh.order_by("pk"):
        if told.filter(pk=wallet.client_id, low_balance_told_at=None).update(low_balance_told_at=now):
            data = {
                "balance": json_money(wallet.balance_micros),
                "threshold": json_money(wallet.client.low_balance_micros),
                "currency": wallet.currency,
            }
            rows.append((wallet.client_id, "balance.low", data))
    return record_events_bulk(rows)
