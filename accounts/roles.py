"""Which role may do what. A page or service names a permission; this table answers. What is not listed is refused."""

READ = {"home", "contacts.read", "campaigns.read", "messages.read", "wallet.read"}

PERMISSIONS: dict[str, set[str]] = {
    "owner": READ | {"contacts.write", "campaigns.write", "campaigns.send", "wallet.topup", "keys.read", "keys.write"},
    "admin": READ | {"contacts.write", "campaigns.write", "campaigns.send", "wallet.topup", "keys.read", "keys.write"},
    "sender": READ | {"contacts.write", "campaigns.write", "campaigns.send"},
    "approver": READ | {"campaigns.send"},
    "finance": {"home", "campaigns.read", "wallet.read", "wallet.topup"},
    "developer": READ | {"keys.read", "keys.write"},
    "viewer": READ,
}
