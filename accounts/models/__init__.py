"""What accounts keeps: people and organisations, their keys and webhooks, and the audit log."""

from accounts.models.audit import AuditChain, AuditEntry, AuditIsFinal
from accounts.models.clients import (
    ApiKey,
    Client,
    ClientState,
    DeliveryState,
    EndedToken,
    IdempotencyRecord,
    Membership,
    Notice,
    NoticeSettings,
    NoticeState,
    RateCounter,
    Role,
    User,
    UserManager,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookFormat,
)
from accounts.models.exports import Export, ExportState
from accounts.models.requests import ApiRequest
from accounts.models.views import VIEW_NAME_LENGTH, VIEW_QUERY_LENGTH, SavedView

__all__ = [
    "VIEW_NAME_LENGTH",
    "VIEW_QUERY_LENGTH",
    "ApiKey",
    "ApiRequest",
    "AuditChain",
    "AuditEntry",
    "AuditIsFinal",
    "Client",
    "ClientState",
    "DeliveryState",
    "EndedToken",
    "Export",
    "ExportState",
    "IdempotencyRecord",
    "Membership",
    "Notice",
    "NoticeSettings",
    "NoticeState",
    "RateCounter",
    "Role",
    "SavedView",
    "User",
    "UserManager",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookFormat",
]
