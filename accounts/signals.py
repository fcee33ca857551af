"""News of accounts that travels up: sent inside the transaction that makes it, connected in the apps above."""

from django.dispatch import Signal

client_suspended = Signal()  # client: accounts.Client
client_resumed = Signal()  # client: accounts.Client
