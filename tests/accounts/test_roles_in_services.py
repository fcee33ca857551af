"""T3: every service that changes something of a client asks for the role itself, whatever door it was called from."""

import importlib
import pkgutil
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

import accounts.services
import contacts.services
import messaging.services
import wallet.topups
from accounts.errors import NotAllowed
from accounts.models import Client, Membership, Role, User
from accounts.roles import PERMISSIONS
from accounts.services.access import require
from crm.common.acting import key_acts, request_acts


def guarded() -> dict[str, object]:
    """Every service that says what it needs, by its full name."""
    found = {}
    for package in (accounts.services, contacts.services, messaging.services, wallet.topups):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, thing in vars(importlib.import_module(module.name)).items():
                if hasattr(thing, "needs") and getattr(thing, "__module__", "") == module.name:
                    found[f"{module.name}.{name}"] = thing
    return found


SERVICES = guarded()


def asked(path="/app", *, user=None, membership=None):
    request = RequestFactory().get(path)
    request.user, request.membership = user or AnonymousUser(), membership
    return request


def member(role: str, client: Client) -> object:
    person = User(pk=5, email="baraka@acme.test")
    return asked(user=person, membership=Membership(pk=3, user=person, client=client, role=role))


def call(service, client):
    """Call it with nothing but whose it is: whoever passes the question fails at the missing rest."""
    owner = client if service.of == "client" else SimpleNamespace(client_id=client.pk)
    service(**{service.of: owner})


@pytest.mark.parametrize("name", sorted(SERVICES))
@pytest.mark.parametrize("role", [*Role.values])
def test_T3_a_service_asks_for_what_it_needs(name, role):
    service, client = SERVICES[name], Client(pk=7, name="Acme")
    allowed = bool(PERMISSIONS[role] & set(service.needs))
    with request_acts(member(role, client)):
        if allowed:
            with pytest.raises(Exception) as met:  # noqa: PT011 - the point is what it is not
                call(service, client)
            assert not isinstance(met.value, NotAllowed)
        else:
            with pytest.raises(NotAllowed):
                call(service, client)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_T1_an_owner_elsewhere_is_a_stranger_here(name):
    with request_acts(member(Role.OWNER, Client(pk=8, name="Zuri Ltd"))), pytest.raises(NotAllowed):
        call(SERVICES[name], Client(pk=7, name="Acme"))


def test_every_service_asks_for_a_permission_that_exists():
    known = set().union(*PERMISSIONS.values())
    assert {permission for service in SERVICES.values() for permission in service.needs} <= known
    assert len(SERVICES) >= 70


MUST_ASK = [
    "accounts.services.keys.create_api_key", "accounts.services.keys.rotate_api_key",
    "accounts.services.keys.revoke_api_key", "accounts.services.webhooks.create_endpoint",
    "accounts.services.webhooks.rotate_secret", "accounts.services.team.invite_member",
    "accounts.services.team.change_role", "accounts.services.organisation.change_organisation",
    "accounts.services.closing.ask_closure", "accounts.services.privacy.request_erasure",
    "contacts.services.contacts.create_contact", "contacts.services.imports.start_import",
    "contacts.services.bin.delete_contacts", "contacts.services.merging.merge_contacts",
    "messaging.services.campaigns.confirming.confirm_campaign",
    "messaging.services.campaigns.running.cancel_campaign",
    "messaging.services.approval.approve_campaign", "messaging.services.direct.send_direct",
    "messaging.services.sender_requests.save_request",
    "messaging.services.sender_requests.submit_request", "messaging.services.going_live.ask_to_go_live",
    "wallet.topups.starting.start_top_up", "wallet.topups.paybill.claim_payment",
]  # fmt: skip


def test_what_spends_sends_or_gives_access_is_among_them():
    assert [name for name in MUST_ASK if name not in SERVICES] == []


def test_the_system_programs_and_staff_at_their_desk_are_not_asked():
    client = Client(pk=7)
    require(client, "keys.write")  # outside a request
    staff = User(pk=1, email="staff@tarishi.test", is_staff=True)
    with request_acts(asked()):
        require(client, "keys.write")  # nobody signed in: a person's own opt-out page, a registration
    with request_acts(asked("/callbacks/x", user=staff)):
        require(client, "keys.write")
    with request_acts(asked("/staff/accounts/client/", user=staff)):
        require(client, "keys.write")
    with request_acts(asked("/app", user=User(pk=2, email="a@b.test"))):
        key_acts(SimpleNamespace(pk=1, name="Shop", prefix="tk_live_"))
        require(client, "keys.write")
    with request_acts(asked("/app", user=staff)), pytest.raises(NotAllowed):
        require(client, "keys.write")
    with request_acts(asked("/staff/x", user=User(pk=2, email="a@b.test"))), pytest.raises(NotAllowed):
        require(client, "keys.write")


def test_the_refusal_names_the_least_role_that_may():
    with request_acts(member(Role.VIEWER, Client(pk=7))), pytest.raises(NotAllowed) as met:
        require(7, "keys.write")
    assert met.value.facts == {"needed": "developer"}
