"""A suspended client's messages stay where they are until somebody lets it act again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.services.clients import resume_client, suspend_client
from messaging.models import Campaign, CampaignState, Message, MessageStatus
from messaging.sending import claims
from messaging.sending.sweep import queue_due
from messaging.services.accept import Draft, accept_messages
from messaging.services.campaigns import save_draft

pytestmark = pytest.mark.django_db


def test_nothing_of_a_suspended_client_leaves_and_single_messages_leave_afterwards(acme, road, zuri):
    accept_messages(client=acme, drafts=[Draft("0712345678", "Hello"), Draft("0712345679", "Hello")])
    accept_messages(client=zuri, drafts=[Draft("0712345678", "Hello")])
    taken = claims.claim(account_id=road.pk, owner="one", limit=1)
    campaign = save_draft(client=acme, by=None, name="Fees", text="Hi", group_ids=[])
    Campaign.objects.for_client(acme).filter(pk=campaign.pk).update(state=CampaignState.SENDING)

    suspend_client(client=acme, reason="Unpaid")

    assert claims.mark_submitting(owner="one", ids=[row.id for row in taken]) == set()
    assert {row.client_id for row in claims.claim(account_id=road.pk, owner="two", limit=10)} == {zuri.pk}
    assert Campaign.objects.for_client(acme).get().state == CampaignState.PAUSED

    resume_client(client=acme)

    waiting = Message.objects.for_client(acme)
    assert set(waiting.values_list("status", flat=True)) == {MessageStatus.QUEUED}
    assert len(claims.claim(account_id=road.pk, owner="three", limit=10)) == 2
    assert Campaign.objects.for_client(acme).get().state == CampaignState.PAUSED


def test_a_scheduled_message_of_a_suspended_client_waits_past_its_time(acme, road):
    accept_messages(
        client=acme, drafts=[Draft("0712345678", "Hello")], schedule_at=timezone.now() + timedelta(seconds=30)
    )
    suspend_client(client=acme, reason="Unpaid")
    Message.objects.for_client(acme).update(schedule_at=timezone.now() - timedelta(minutes=1))

    assert queue_due() == 0

    resume_client(client=acme)

    assert queue_due() == 1
