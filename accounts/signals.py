"""News of accounts that travels up: sent inside the transaction that makes it, connected in the apps above."""

from django.dispatch import Signal

client_suspended = Signal()  # client: accounts.Client
client_resumed = Signal()  # client: accounts.Client
# Messages of the installation itself. Both are answered by the app that sends; "" or nobody: there is no such sender.
asking_system_sender = Signal()  # returns the sender ID that they go out under
system_sms = Signal()  # phone: E.164, text; returns "" once it is accepted, else why not, in a sentence
