"""T3: a program cannot set what the product decides: price, status, tenant, simulation."""

import pytest

from messaging.models import Message

pytestmark = pytest.mark.django_db


def test_T3_a_program_sets_no_price_status_or_tenant(acme, stranger):
    acme.send(
        cost=0, cost_micros=0, status="delivered", units=0, simulated=True, client=stranger.client.pk, campaign_id=1
    )
    for message in Message.objects.unscoped():
        assert message.client_id == acme.client.pk
        assert message.cost_micros > 0
        assert not message.simulated
        assert (message.status, message.campaign_id) == ("queued", None)
    assert not Message.objects.for_client(stranger.client).exists()


def test_T1_a_client_id_in_the_body_that_differs_reaches_nobody_else(acme, stranger):
    acme.post(
        "contacts", {"phone": "0712000001", "name": "Juma", "client_id": stranger.client.pk, "id": 1, "created_at": "x"}
    )
    from contacts.models import Contact

    assert not Contact.objects.for_client(stranger.client).exists()
