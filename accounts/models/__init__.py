"""What accounts keeps: people and organisations, their keys and webhooks, and the audit log."""

from accounts.models.audit import AuditChain, AuditEntry, AuditIsFinal
from accounts.models.clients import Client, ClientState, Membership, Role, StaffNote
from accounts.models.exports import Export, ExportState
from accounts.models.invitations import Invitation
from accounts.models.keys import ApiKey, EndedToken, IdempotencyRecord, RateCounter
from accounts.models.notices import Notice, NoticeSettings, NoticeState
from accounts.models.people import Density, Theme, User, UserManager
from accounts.models.privacy import Closure, ErasedAddress, HashKey, PersonRequest, RequestState, Retention
from accounts.models.requests import ApiRequest
from accounts.models.views import VIEW_NAME_LENGTH, VIEW_QUERY_LENGTH, SavedView
from accounts.models.webhooks import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookFormat

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
    "StaffNote",
    "Theme",
    "User",
    "UserManager",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookFormat",
]
