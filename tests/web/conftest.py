import pytest
from django.test import Client as Browser

from accounts.models import Client, Membership, Role, User
from crm.opening import open_ready_client

PASSWORD = "correct-horse-7"


@pytest.fixture
def acme(db) -> Client:
    """Amina's organisation, with 1,049 shillings, a sender ID and one API key."""
    return open_ready_client(
        name="Acme", email="amina@acme.test", password=PASSWORD, credit=1049, sender_ids=["HOSPITAL"]
    ).client


@pytest.fixture
def stranger(db) -> Client:
    return open_ready_client(name="Zuri Ltd", email="zuri@else.test", password=PASSWORD).client


def sign_in(email: str) -> Browser:
    browser = Browser()
    browser.force_login(User.objects.get(email=email))
    return browser


def add_member(client: Client, role: Role, email: str = "baraka@acme.test") -> Browser:
    """A browser in which a new member of `client` with `role` is signed in."""
    Membership.objects.create(user=User.objects.create_user(email, PASSWORD), client=client, role=role)
    return sign_in(email)


@pytest.fixture
def browser(acme) -> Browser:
    return sign_in("amina@acme.test")
