"""What accounts keeps: people and organisations, their keys and webhooks, and the audit log."""

from accounts.models.audit import AuditChain, AuditEntry, AuditIsFinal
from accounts.models.clients import (
    ApiKey,
    Client,
    ClientState,
    DeliveryState,
    Density,
    EndedToken,
    IdempotencyRecord,
    Membership,
    Notice,
    NoticeSettings,
    NoticeState,
    RateCounter,
    Role,
    Theme,
    User,
    UserManager,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookFormat,
)
from accounts.models.exports import Export, ExportState
from accounts.models.invitations import Invitation
from accounts.models.privacy import Closure, ErasedAddress, HashKey, PersonRequest, RequestState, Retention
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
    "Closure",
    "DeliveryState",
    "Density",
    "EndedToken",
    "ErasedAddress",
    "Export",
    "ExportState",
    "HashKey",
    "IdempotencyRecord",
    "Invitation",
    "Membership",
    "Notice",
    "NoticeSettings",
    "NoticeState",
    "PersonRequest",
    "RateCounter",
    "RequestState",
    "Retention",
    "Role",
    "SavedView",
    "Theme",
    "User",
    "UserManager",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookFormat",
]
