"""Members: invited, given a role, removed; what each role may do is shown and held."""

import re

import pytest
from django.core import mail
from django.test import Client as Browser

from accounts.models import AuditEntry, Invitation, Membership, Role, User
from tests.web.conftest import PASSWORD, add_member


def invite(browser: Browser, address: str = "baraka@acme.test", role: str = "sender") -> str:
    """The path of the link that inviting shows."""
    page = browser.post("/app/settings/team/invite", {"address": address, "role": role}).content.decode()
    return re.search(r"/invite/[\w-]+", page)[0]


def test_an_invited_colleague_registers_and_belongs(browser, acme):
    path = invite(browser)
    assert mail.outbox[0].to == ["baraka@acme.test"]
    assert path in mail.outbox[0].body
    guest = Browser()
    assert "Join Acme" in guest.get(path).content.decode()
    assert 'value="baraka@acme.test"' in guest.get("/register").content.decode()
    answer = guest.post("/register", {"name": "Baraka", "email": "other@acme.test", "password1": PASSWORD})
    assert answer.status_code == 302
    member = Membership.objects.get(user__email="baraka@acme.test")
    assert (member.client, member.role, member.user.is_confirmed) == (acme, "sender", True)
    assert not User.objects.filter(email="other@acme.test").exists()
    assert guest.get("/app").status_code == 200
    assert Browser().get(path).status_code == 404
    assert AuditEntry.objects.for_client(acme).filter(action="member.joined").exists()


def test_somebody_with_an_account_joins_a_second_organisation(browser, acme, stranger):
    path = invite(browser, "zuri@else.test", "viewer")
    zuri = Browser()
    zuri.force_login(User.objects.get(email="zuri@else.test"))
    assert zuri.post(path)["Location"] == "/app"
    assert "Acme" in zuri.get("/app").content.decode()
    assert Membership.objects.filter(user__email="zuri@else.test").count() == 2


def test_an_invitation_can_be_withdrawn_and_is_replaced_by_the_next(browser, acme):
    first = invite(browser)
    second = invite(browser)
    assert Browser().get(first).status_code == 404
    pk = Invitation.objects.for_client(acme).get(ended_at=None).pk
    browser.post(f"/app/settings/team/invitations/{pk}/revoke")
    assert Browser().get(second).status_code == 404


def test_an_admin_makes_no_owner_and_touches_none(acme):
    admin = add_member(acme, Role.ADMIN)
    assert admin.post("/app/settings/team/invite", {"address": "x@acme.test", "role": "owner"}).status_code == 422
    owner = Membership.objects.get(client=acme, role=Role.OWNER)
    assert admin.post(f"/app/settings/team/{owner.pk}", {"role": "viewer"}).status_code == 422
    assert admin.post(f"/app/settings/team/{owner.pk}/remove").status_code == 422
    assert Membership.objects.get(pk=owner.pk).role == Role.OWNER


def test_the_last_owner_stays(browser, acme):
    owner = Membership.objects.get(client=acme, role=Role.OWNER)
    assert browser.post(f"/app/settings/team/{owner.pk}", {"role": "viewer"}).status_code == 422
    assert browser.post(f"/app/settings/team/{owner.pk}/remove").status_code == 422
    assert Membership.objects.get(pk=owner.pk).role == Role.OWNER


@pytest.mark.parametrize("role", [Role.SENDER, Role.APPROVER, Role.FINANCE, Role.DEVELOPER, Role.VIEWER])
def test_T3_others_see_the_team_and_change_nothing(acme, role):
    member = add_member(acme, role)
    assert member.get("/app/settings/team").status_code == 200
    assert member.post("/app/settings/team/invite", {"address": "x@acme.test", "role": "viewer"}).status_code == 403
    owner = Membership.objects.get(client=acme, role=Role.OWNER)
    assert member.post(f"/app/settings/team/{owner.pk}", {"role": "viewer"}).status_code == 403
    assert member.post(f"/app/settings/team/{owner.pk}/remove").status_code == 403
    assert not Invitation.objects.for_client(acme).exists()


def test_T1_a_strangers_member_looks_like_none(browser, stranger):
    foreign = Membership.objects.get(client=stranger)
    assert browser.get(f"/app/settings/team/{foreign.pk}").status_code == 404
    assert browser.post(f"/app/settings/team/{foreign.pk}/remove").status_code == 404
    assert Membership.objects.filter(pk=foreign.pk).exists()


def test_A1_roles_ask_for_the_password_again_after_a_while(browser, acme):
    session = browser.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 3 * 3600
    session.save()
    answer = browser.post("/app/settings/team/invite", {"address": "baraka@acme.test", "role": "sender"})
    assert answer["Location"].startswith("/security/confirm")
    done = browser.post(answer["Location"], {"password": PASSWORD, "next": "/app/settings/team/invite"})
    assert "is invited" in done.content.decode()  # what was typed is carried out once confirmed
