"""What an API key may be used for (contracts/dialects/native.md, "Authentication")."""

SCOPES: dict[str, str] = {
    "messages:send": "Send messages",
    "messages:read": "Read messages and their states",
    "contacts": "Read and change contacts and groups",
    "campaigns": "Read, change and start campaigns",
    "wallet:read": "Read the balance and the statement",
    "wallet:topup": "Top up the wallet",
    "webhooks": "Read and change webhooks",
}
