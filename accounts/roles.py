"""Which role may do what. A page or service names a permission; this table answers. What is not listed is refused."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

READ = {"home", "contacts.read", "campaigns.read", "messages.read", "wallet.read", "team.read", "organisation.read"}
SEND = {"campaigns.send", "messages.send"}
MANAGE = {
    "audit.read", "campaigns.policy", "contacts.write", "campaigns.write", "wallet.topup", "keys.read", "keys.write",
}  # fmt: skip
RUN = {"team.write", "organisation.write", "privacy.write", "client.write", "senders.write"}

PERMISSIONS: dict[str, set[str]] = {
    "owner": READ | SEND | MANAGE | RUN,
    "admin": READ | SEND | MANAGE | RUN,
    "sender": READ | SEND | {"contacts.write", "campaigns.write"},
    "approver": READ | {"campaigns.send"},
    "finance": {"home", "campaigns.read", "wallet.read", "wallet.topup", "team.read", "organisation.read"},
    "developer": READ | {"keys.read", "keys.write"},
    "viewer": READ,
}

# What the team page shows of it, in the order of the navigation.
NAMES: dict[str, str | Promise] = {
    "messages.read": _("Read messages"),
    "messages.send": _("Send messages"),
    "campaigns.read": _("See campaigns"),
    "campaigns.write": _("Write campaigns and templates"),
    "campaigns.send": _("Send and release campaigns"),
    "campaigns.policy": _("Say which campaigns a second person releases"),
    "senders.write": _("Ask for sender IDs and for going live"),
    "contacts.read": _("See contacts"),
    "contacts.write": _("Change contacts and import"),
    "wallet.read": _("See the wallet"),
    "wallet.topup": _("Top up"),
    "keys.read": _("See API keys and webhooks"),
    "keys.write": _("Change API keys and webhooks"),
    "team.read": _("See the team"),
    "team.write": _("Invite people and give roles"),
    "organisation.read": _("See the organisation"),
    "organisation.write": _("Change the organisation and simulation"),
    "audit.read": _("Read the audit log"),
    "privacy.write": _("Export or erase one person's data"),
    "client.write": _("Say how long data is kept, take everything along"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the matrix: what may be done, and for each role in the order of PERMISSIONS whether it may."""

    name: str | Promise
    allowed: list[bool]


def matrix() -> list[Row]:
    """Every permission against every role."""
    return [Row(name, [permission in held for held in PERMISSIONS.values()]) for permission, name in NAMES.items()]
