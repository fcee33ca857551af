"""Duties that exactly one of many equal processes has: taken by one conditional statement, lost by silence.

The database's clock alone decides, so hosts whose clocks differ agree. A process that stops hands its duty on at once;
one that was killed or cut off is followed by another when its lease has run out.
"""

import os
import secrets
import socket

from django.db import connection

from crm.common.sql import database_now, later_sql, now_sql
from crm.models import Lease

SECONDS = 15.0


def new_owner() -> str:
    """A name for one process that no other one has, even after its id was used again."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def hold(name: str, owner: str, *, seconds: float = SECONDS) -> bool:
    """Take or renew the duty `name` for `seconds`. Returns whether `owner` has it now."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO crm_lease (name, owner, until) VALUES (%s, %s, {later_sql(seconds)})
                ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
                WHERE crm_lease.owner = excluded.owner OR crm_lease.until < {now_sql()} RETURNING owner""",
            [name, owner],
        )
        return cursor.fetchone() is not None


def release(name: str, owner: str) -> None:
    """Give the duty up, so that another process may take it at once; nothing where `owner` does not have it."""
    Lease.objects.filter(name=name, owner=owner).delete()


def holder_of(name: str) -> str:
    """Who has the duty now; "" for nobody."""
    held = Lease.objects.filter(name=name, until__gt=database_now()).first()
    return held.owner if held else ""
