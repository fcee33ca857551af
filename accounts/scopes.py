"""What an API key may be used for (contracts/dialects/native.md, "Authentication")."""

from django.utils.translation import gettext_noop as _

SCOPES: dict[str, str] = {
    "messages:send": _("Send messages"),
    "messages:read": _("Read messages and their states"),
    "contacts": _("Read and change contacts and groups"),
    "campaigns": _("Read, change and start campaigns"),
    "wallet:read": _("Read the balance and the statement"),
    "wallet:topup": _("Top up the wallet"),
    "webhooks": _("Read and change webhooks"),
}
