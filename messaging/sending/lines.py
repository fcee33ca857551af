"""Long-lived connections to accounts whose providers allow few: one process holds each, by a lease in the database.

Receipts and inbound messages come by them also while nothing is sent. A holder that dies is followed within
LINE_SECONDS by another worker; one that ends in order hands the line over at once.
"""

import logging
import threading
from collections.abc import Callable

from django.db import connection, connections, transaction

from crm.common.sql import later_sql, now_sql
from crm.common.stopping import pause, stop_requested
from messaging.models import ProviderAccount, ProviderLine
from messaging.providers.base import LineSession
from messaging.providers.registry import keeps_line
from messaging.sending.claims import new_owner
from messaging.sending.loop import Loop
from messaging.services.queues import divert_queue

log = logging.getLogger(__name__)

LINE_SECONDS = 25
LOOK_SECONDS = 2.0


@transaction.atomic
def take_line(*, account_id: int, owner: str) -> bool:
    """Take the line of an account, or keep it. False: another holds it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO messaging_providerline (account_id, owner, until, problem)
                VALUES (%s, %s, {later_sql(LINE_SECONDS)}, '')
                ON CONFLICT (account_id) DO UPDATE SET owner = excluded.owner, until = excluded.until
                WHERE messaging_providerline.owner = excluded.owner OR messaging_providerline.until <= {now_sql()}""",
            [account_id, owner],
        )
        return cursor.rowcount == 1


def leave_line(*, account_id: int, owner: str) -> None:
    """Let another process have it at once."""
    ProviderLine.objects.filter(account_id=account_id, owner=owner).delete()


def line_accounts() -> list[ProviderAccount]:
    """The accounts in use whose line somebody should hold."""
    return [account for account in ProviderAccount.objects.filter(is_active=True) if keeps_line(account.adapter)]


class Lines:
    """Holds the lines that this process could get, a thread for each."""

    def __init__(self, stop: Callable[[], bool] = stop_requested) -> None:
        self._stop = stop
        self._held: dict[int, threading.Thread] = {}

    def keep(self) -> None:
        """Look for free lines until the process is asked to end, then wait until what flies has landed."""
        while not self._stop():
            try:
                self.look()
            except Exception:  # the database is away: once more in a moment
                log.exception("lines could not be looked after")
            connections.close_all()
            pause(LOOK_SECONDS)
        for thread in self._held.values():
            thread.join(timeout=5)

    def look(self) -> None:
        """Take the lines that nobody holds."""
        self._held = {pk: thread for pk, thread in self._held.items() if thread.is_alive()}
        for account in line_accounts():
            owner = new_owner()
            if account.pk not in self._held and take_line(account_id=account.pk, owner=owner):
                thread = threading.Thread(
                    target=self._hold, args=(account, owner), name=f"line-{account.pk}", daemon=True
                )
                self._held[account.pk] = thread
                thread.start()

    def _hold(self, account: ProviderAccount, owner: str) -> None:
        try:
            Loop(account, stop=self._stop, stays=lambda line: still_ours(account, owner, line)).run()
        except Exception:
            log.exception("the line of provider account %s ended", account.pk)
        finally:
            leave_line(account_id=account.pk, owner=owner)
            connections.close_all()


def still_ours(account: ProviderAccount, owner: str, line: LineSession) -> bool:
    """Keep the line, and say how it is. False where it is lost, switched off, or set up anew."""
    if not take_line(account_id=account.pk, owner=owner):
        return False
    now = ProviderAccount.objects.filter(pk=account.pk, is_active=True).first()
    if now is None or (now.credentials, now.base_url) != (account.credentials, account.base_url):
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_providerline SET problem = %s,
                connected_at = {f"COALESCE(connected_at, {now_sql()})" if line.is_up else "NULL"}
                WHERE account_id = %s AND owner = %s""",
            [line.problem[:200], account.pk, owner],
        )
    if now.rest_until:
        divert_queue(account_id=account.pk)
    return True
