"""Which role may do what. A page or service names a permission; this table answers. What is not listed is refused."""

READ = {"home", "contacts.read", "campaigns.read", "messages.read", "wallet.read"}
SEND = {"campaigns.send", "messages.send"}
MANAGE = {
    "audit.read", "campaigns.policy", "contacts.write", "campaigns.write", "wallet.topup", "keys.read", "keys.write",
}  # fmt: skip

PERMISSIONS: dict[str, set[str]] = {
    "owner": READ
    | SEND
    | {
        "audit.read",
        "campaigns.policy",
        "contacts.write",
        "campaigns.write",
        "wallet.topup",
        "keys.read",
        "keys.write",
    },
    "admin": READ
    | SEND
    | {
        "audit.read",
        "campaigns.policy",
        "contacts.write",
        "campaigns.write",
        "wallet.topup",
        "keys.read",
        "keys.write",
    },
    "sender": READ | SEND | {"contacts.write", "campaigns.write"},
    "approver": READ | {"campaigns.send"},
    "finance": {"home", "campaigns.read", "wallet.read", "wallet.topup"},
    "developer": READ | {"keys.read", "keys.write"},
    "viewer": READ,
}
