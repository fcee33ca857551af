"""Starts sending loops: at most one per account in a process, and none forgotten when a wake-up meets a running one."""

import threading

from django.db.models import F, Q

from crm.common.sql import DatabaseNow
from messaging import open_months
from messaging.models import Message, MessageLease, MessageStatus, ProviderAccount
from messaging.providers.registry import keeps_line
from messaging.sending.loop import Loop
from messaging.services.queues import divert_queue

_guard = threading.Lock()
_running: dict[int, bool] = {}  # account → somebody asked again while it ran
_stopping = threading.Event()


def stop_all() -> None:
    """Ask every loop of this process to let its flying requests land and end. For the worker's shutdown."""
    _stopping.set()


def send_waiting(*, account_id: int) -> int:
    """Send what waits for an account; returns how many messages were written to the provider.

    Where this process is already sending for it, that loop is told to look again instead.
    """
    with _guard:
        if account_id in _running:
            _running[account_id] = True
            return 0
        _running[account_id] = False
    submitted, again = 0, True
    try:
        while again:
            sent, again = _send_once(account_id)
            submitted += sent
            with _guard:  # whoever asks after this finds no loop running and starts one
                again = again and _running[account_id] and not _stopping.is_set()
                if again:
                    _running[account_id] = False
                else:
                    del _running[account_id]
    except BaseException:
        with _guard:
            _running.pop(account_id, None)
        raise
    return submitted


def _send_once(account_id: int) -> tuple[int, bool]:
    """One loop over an account: how many messages were written, and whether another one makes sense now."""
    account = ProviderAccount.objects.filter(pk=account_id, is_active=True).first()
    if account is None or keeps_line(account.adapter):
        return 0, False  # whoever holds the line of such an account sends by it: messaging/sending/lines.py
    loop = Loop(account, stop=_stopping.is_set)
    submitted = loop.run().submitted
    if loop.resting:
        for other in divert_queue(account_id=account_id):
            submitted += send_waiting(account_id=other)
    return submitted, not loop.resting


def accounts_with_work() -> list[int]:
    """Accounts that are awake and have a message due now."""
    return list(
        Message.objects.unscoped()
        .filter(
            open_months.queued().q,
            Q(next_attempt_at=None) | Q(next_attempt_at__lte=DatabaseNow()),
            Q(provider_account__rest_until=None) | Q(provider_account__rest_until__lte=DatabaseNow()),
            status=MessageStatus.QUEUED,
            provider_account__is_active=True,
        )
        .exclude(pk__in=MessageLease.objects.values("message_id"))
        .values_list(F("provider_account_id"), flat=True)
        .order_by()
        .distinct()
    )
