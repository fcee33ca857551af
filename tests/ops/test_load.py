"""The load client sends what the API accepts, counts its answers, and leaves other machines alone."""

import asyncio

import pytest

from accounts.models import Client
from crm.bench.load import Tally, measure
from crm.opening import open_ready_client
from messaging.models import Message
from tests.factories import PASSWORD


@pytest.mark.django_db(transaction=True)
def test_every_send_counted_as_accepted_is_there(live_server):
    opened = open_ready_client(
        name="Acme", email="amina@acme.test", password=PASSWORD, simulation=True, sender_ids=["HOSPITAL"]
    )
    Client.objects.filter(pk=opened.client.pk).update(rate_limit=10**6)
    tally = asyncio.run(measure(live_server.url, opened.client.pk, opened.issued.api_key, 2, 1.0))
    assert set(tally.statuses) == {200}
    assert Message.objects.for_client(opened.client).count() == tally.statuses[200] == len(tally.waits)


@pytest.mark.parametrize("url", ["http://192.0.2.1:8000", "http://[2001:db8::1]", "http://10.0.0.1"])
def test_only_this_machine_is_measured(url):
    with pytest.raises(ValueError, match="only this machine"):
        asyncio.run(measure(url, 1, "key", 1, 0.1))


def test_quantiles_in_milliseconds():
    tally = Tally()
    assert tally.quantile(0.95) == 0
    for milliseconds in range(1, 101):
        tally.add(200, milliseconds / 1000)
    assert (tally.quantile(0.5), tally.quantile(0.95), tally.quantile(1)) == (51, 96, 100)
