"""Every change to a campaign: written, confirmed, paused, resumed, cancelled, finished; re-exported for doors."""

from messaging.services.campaigns.confirming import (
    check_time,
    confirm_campaign,
    needs_approval,
    next_slot,
)
from messaging.services.campaigns.drafts import (
    Unlisted,
    delete_draft,
    get_campaign,
    list_recipients,
    save_draft,
    version_of,
)
from messaging.services.campaigns.running import (
    audit_campaign,
    cancel_campaign,
    finish_campaigns,
    hold_messages,
    pause_campaign,
    resume_campaign,
)

__all__ = [
    "Unlisted",
    "audit_campaign",
    "cancel_campaign",
    "check_time",
    "confirm_campaign",
    "delete_draft",
    "finish_campaigns",
    "get_campaign",
    "hold_messages",
    "list_recipients",
    "needs_approval",
    "next_slot",
    "pause_campaign",
    "resume_campaign",
    "save_draft",
    "version_of",
]
