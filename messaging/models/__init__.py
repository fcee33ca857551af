"""What messaging keeps."""

from crm.common.channels import Channel
from messaging.models.campaigns import Campaign, CampaignRecipient, CampaignState, Repeat
from messaging.models.composing import OwnNumber
from messaging.models.hours import CountryRules, MessageClass, SendingHours
from messaging.models.inbound import InboundMessage
from messaging.models.incidents import Impact, Incident
from messaging.models.messages import (
    ASKED_FOR,
    EventKind,
    Message,
    MessageEvent,
    MessageLease,
    MessageStatus,
    MessageSum,
    WrittenTo,
)
from messaging.models.providers import (
    CallbackKind,
    ProviderAccount,
    ProviderCallback,
    ProviderLine,
    Route,
    SendingProcess,
)
from messaging.models.quotes import KeptQuote
from messaging.models.roads import DecisionKind, ProviderPace, ProviderTally, RouteDecision
from messaging.models.rules import ForeignCount, SendingRules
from messaging.models.senders import (
    DocumentKind,
    GoLiveRequest,
    NetworkState,
    SenderDocument,
    SenderId,
    SenderNetwork,
    SenderState,
)
from messaging.models.tallies import MessageTally, TallyState
from messaging.models.templates import Template, TemplateLanguage, TemplateVersion
from messaging.models.threads import (
    AutoReply,
    InboundNumber,
    ReplyWord,
    SavedReply,
    Thread,
    ThreadEvent,
    ThreadEventKind,
)
from messaging.models.whatsapp import (
    TemplateCategory,
    TemplateQuality,
    TemplateState,
    WhatsAppTemplate,
    WhatsAppTemplateEvent,
)

__all__ = [
    "ASKED_FOR",
    "AutoReply",
    "CallbackKind",
    "Campaign",
    "CampaignRecipient",
    "CampaignState",
    "Channel",
    "CountryRules",
    "DecisionKind",
    "DocumentKind",
    "EventKind",
    "ForeignCount",
    "GoLiveRequest",
    "Impact",
    "InboundMessage",
    "InboundNumber",
    "Incident",
    "KeptQuote",
    "Message",
    "MessageClass",
    "MessageEvent",
    "MessageLease",
    "MessageStatus",
    "MessageSum",
    "MessageTally",
    "NetworkState",
    "OwnNumber",
    "ProviderAccount",
    "ProviderCallback",
    "ProviderLine",
    "ProviderPace",
    "ProviderTally",
    "Repeat",
    "ReplyWord",
    "Route",
    "RouteDecision",
    "SavedReply",
    "SenderDocument",
    "SenderId",
    "SenderNetwork",
    "SenderState",
    "SendingHours",
    "SendingProcess",
    "SendingRules",
    "TallyState",
    "Template",
    "TemplateCategory",
    "TemplateLanguage",
    "TemplateQuality",
    "TemplateState",
    "TemplateVersion",
    "Thread",
    "ThreadEvent",
    "ThreadEventKind",
    "WhatsAppTemplate",
    "WhatsAppTemplateEvent",
    "WrittenTo",
]
