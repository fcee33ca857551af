"""Simulation: the end of a number decides what becomes of its message, and nothing else does."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import Client
from messaging.models import Message, MessageEvent
from messaging.sending.simulation import MAGIC_NUMBERS, advance_simulated
from messaging.services.accept import Draft, accept_messages
from messaging.statistics import statistics_of
from tests.messaging.core.world import make_sender


@pytest.mark.django_db
def test_magic_numbers_fail_for_their_cause_and_others_arrive():
    acme = make_sender(simulation=True, credit=0)
    numbers = [f"+2547120{one.ending}" for one in MAGIC_NUMBERS] + ["+254712000000"]
    accept_messages(client=acme, drafts=[Draft(recipient=number, text="Habari") for number in numbers], sender="ACME")
    mine = Message.objects.for_client(acme)
    assert advance_simulated() == (9, True)
    mine.update(sent_at=F("sent_at") - timedelta(seconds=5))
    moved, more = advance_simulated()
    assert (moved, more) == (8, False)
    found = {row.recipient[-5:]: (row.status, row.error_code) for row in mine}
    for one in MAGIC_NUMBERS:
        assert found[one.ending] == (("failed", one.code) if one.code else ("sent", ""))
    assert found["00000"] == ("delivered", "")
    assert mine.filter(status="failed", failed_at=None).count() == 0
    assert MessageEvent.objects.for_client(acme).filter(kind="failed", code="unreachable").count() == 1
    fared = statistics_of(Client.objects.get(pk=acme.pk), timezone.now())["total"]
    assert (fared.delivered, fared.failed) == (1, 7)
