"""Opening, suspending and resuming clients."""

import pytest

from accounts.models import Client, Membership, User
from accounts.services.clients import open_client, resume_client, suspend_client
from crm.common.errors import InvalidInput
from tests.factories import PASSWORD, make_client

pytestmark = pytest.mark.django_db


def test_opening_a_client_makes_its_owner():
    client = open_client(name=" Acme ", email="Amina@Acme.test", password=PASSWORD)
    owner = User.objects.get()
    assert (client.name, client.country, client.currency, client.time_zone) == ("Acme", "KE", "KES", "Africa/Nairobi")
    assert (client.contact_email, client.rate_limit, client.simulation) == ("amina@acme.test", None, False)
    assert owner.email == "amina@acme.test"
    assert owner.check_password(PASSWORD)
    assert [(m.user, m.client, m.role) for m in Membership.objects.all()] == [(owner, client, "owner")]


def test_the_country_decides_what_is_left_out():
    client = open_client(name="Duka", email="zuri@duka.test", password=PASSWORD, country="tz")
    assert (client.country, client.currency, client.time_zone) == ("TZ", "TZS", "Africa/Dar_es_Salaam")


def test_somebody_known_may_own_a_second_client_and_keeps_the_password():
    first = make_client()
    second = open_client(name="Acme Two", email="AMINA@acme.test")
    assert list(User.objects.get().memberships.values_list("client_id", flat=True)) == [first.pk, second.pk]
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": " "}, "name", "a name"),
        ({"name": "x" * 121}, "name", "120"),
        ({"email": "amina"}, "email", "no email address"),
        ({"password": ""}, "password", "give a password"),
        ({"country": "XX"}, "country", "no country code"),
        ({"country": "FR"}, "currency", "which currency"),
        ({"currency": "ABC"}, "currency", "no currency code"),
        ({"time_zone": "Africa/Nowhere"}, "time_zone", "no time zone"),
        ({"rate_limit": 0}, "rate_limit", "between"),
    ],
)
def test_wrong_fields_open_nothing(change, field, words):
    with pytest.raises(InvalidInput) as refusal:
        open_client(**{"name": "Acme", "email": "amina@acme.test", "password": PASSWORD} | change)
    assert list(refusal.value.errors) == [field]
    assert words in refusal.value.errors[field][0]
    assert not Client.objects.exists()
    assert not User.objects.exists()


def test_the_password_of_somebody_known_is_not_overwritten():
    make_client()
    with pytest.raises(InvalidInput) as refusal:
        open_client(name="Other", email="amina@acme.test", password="another password")
    assert "already signs in here" in str(refusal.value)
    assert User.objects.get().check_password(PASSWORD)
    assert Client.objects.count() == 1


def test_suspending_keeps_the_reason_and_resuming_drops_it():
    client = make_client()
    with pytest.raises(InvalidInput):
        suspend_client(client=client, reason="  ")
    client.refresh_from_db()
    assert client.is_active
    suspend_client(client=client, reason="Unpaid")
    client.refresh_from_db()
    assert (client.is_active, client.suspended_reason) == (False, "Unpaid")
    resume_client(client=client)
    client.refresh_from_db()
    assert (client.is_active, client.suspended_reason) == (True, "")
