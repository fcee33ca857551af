"""What every connection to PostgreSQL asks of the server: not to wait for hours for a host that was cut off.

Such a host may hold a transaction open, and with it the locks of rows that others need; PostgreSQL by itself notices
after two hours. The other half, the client's, is in crm/settings.py.
"""

import os
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from crm.common.replica import ALIAS

IDLE_IN_TRANSACTION_SECONDS = 60
_ASKED = (
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; "
    "SET tcp_user_timeout = 60000"
)


@receiver(connection_created)
def ask_server(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """By SET, since a pooler between us refuses options of the start-up message."""
    if connection.vendor != "postgresql":
        return
    statements = [_ASKED]
    if "PYTEST_VERSION" not in os.environ:  # a test's own transaction waits for whole processes
        statements.append(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_SECONDS} s'")
    if connection.alias == ALIAS:
        statements.append("SET default_transaction_read_only = on")
    with connection.cursor() as cursor:
        cursor.execute("; ".join(statements))
