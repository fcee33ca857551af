"""Every documented example is answered with the documented shape: key by key, in order, type by type."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from contacts.services.contacts import create_contact
from messaging.models import Message, MessageStatus
from tests.messaging.dialects.cast import HERE, Program, payload, same_shape

pytestmark = pytest.mark.django_db

CASES = sorted((path.parent.name, path.name.removesuffix(".request.json")) for path in HERE.glob("*/*.request.json"))


@pytest.fixture
def history(acme: Program) -> list[Message]:
    """Two messages of one Mifumo call: the first was delivered, of the second nothing is known yet."""
    body = {"message": "Hello from Mifumo SMS!", "recipients": ["+255123456789", "+255987654321"]}
    acme.mifumo("POST", "sms/send/", body)
    now = timezone.now()
    first, second = Message.objects.for_client(acme.client).order_by("pk")
    Message.objects.for_client(acme.client).filter(pk=first.pk).update(
        status=MessageStatus.DELIVERED, sent_at=now, delivered_at=now, provider_message_id="ATXid_1"
    )
    create_contact(client=acme.client, phone="+255123456789", name="Diarrassouba Rémi")
    return [first, second]


FRESH = {("mifumo", "send"), ("mifumo", "schedule")}  # examples of a first call


@pytest.mark.parametrize(("dialect", "case"), CASES, ids="/".join)
def test_an_example_is_answered_as_documented(acme, request, dialect, case):
    head = 0 if (dialect, case) in FRESH else request.getfixturevalue("history")[0].pk
    asked, documented = payload(
        dialect,
        case,
        KEY=acme.key,
        SECRET=acme.secret,
        APP=acme.app_key,
        TOKEN=acme.token() if dialect == "paydunya" else "",
        ID=f"msg_{head:09d}",
        TOMORROW=(timezone.now() + timedelta(days=1)).isoformat(),
    )
    documented = json.loads(json.dumps(documented).replace('"$CLIENT"', str(acme.client.pk)))
    if (dialect, case) == ("texin", "check_status"):
        asked["body"]["message_id"] = f"API-{head:010d}"
    response = acme.call(asked["method"], asked["path"], asked.get("body", b""), **asked.get("headers", {}))
    assert response["Content-Type"] == "application/json"
    same_shape(json.loads(response.content), documented)


def test_every_dialect_has_its_examples():
    assert {dialect for dialect, _ in CASES} == {"mifumo", "texin", "paydunya", "smspresto"}
    assert all((Path(HERE) / dialect / f"{case}.response.json").exists() for dialect, case in CASES)
