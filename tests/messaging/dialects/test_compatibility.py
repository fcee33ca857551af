"""The Compatibility page: for each guide the values to paste, and a harmless call through the dialect itself."""

import pytest
from django.test import Client as Browser

from accounts.models import Membership, Role, User
from messaging.dialects.guides import GUIDES
from messaging.models import Message
from tests.factories import make_key

pytestmark = pytest.mark.django_db

URL = "/app/settings/api-webhooks/compat"


@pytest.fixture
def amina(acme) -> Browser:
    browser = Browser()
    browser.force_login(User.objects.get(email="amina@acme.test"))
    return browser


def values(program) -> dict[str, str]:
    return {"api_key": program.key, "api_secret": program.secret}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.slug)
def test_each_guide_says_what_to_paste_where(acme, amina, guide):
    page = amina.get(f"{URL}?guide={guide.slug}").content.decode()
    assert "http://127.0.0.1:8000" + guide.address.format(client=acme.client.pk) in page
    for name, _ in guide.pastes:
        assert str(name) in page
    assert "Taarifa-SMS" in page
    assert ("addresses are written down" in page) is (guide.slug == "smspresto")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.slug)
def test_the_button_makes_a_harmless_call(acme, amina, guide):
    response = amina.post(URL, {"guide": guide.slug} | values(acme))
    page = response.content.decode()
    assert response.status_code == 200
    assert "It works" in page
    assert "access_token" in page or "1000" in page
    for secret in (acme.key, acme.secret, acme.app_key):
        assert secret not in page
    assert "eyJ" not in page  # a token
    assert not Message.objects.unscoped().exists()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.slug)
def test_wrong_values_show_the_dialects_own_refusal(acme, amina, guide):
    page = amina.post(URL, {"guide": guide.slug, "api_key": "nobody", "api_secret": "x"}).content.decode()
    assert "It was refused" in page
    assert "It works" not in page


def test_a_key_that_may_not_is_shown_as_refused(acme, amina):
    narrow = make_key(acme.client, scopes=["webhooks"])
    page = amina.post(URL, {"guide": "smspresto", "api_key": narrow.api_key, "api_secret": narrow.api_secret})
    assert "It was refused" in page.content.decode()


def test_T1_a_strangers_key_is_not_tried(amina, stranger):
    response = amina.post(URL, {"guide": "texin"} | values(stranger))
    assert response.status_code == 422
    assert "another organisation" in response.content.decode()
    assert "zuri" not in response.content.decode()


def test_a_form_without_its_values_is_refused(amina):
    assert amina.post(URL, {"guide": "paydunya", "api_key": "x"}).status_code == 422
    assert amina.get(f"{URL}?guide=nothing").status_code == 200
    assert amina.post(URL, {"guide": "texin", "api_key": "x\x00"}).status_code == 422


def test_only_roles_with_keys_open_it(acme):
    user = User.objects.create_user("baraka@acme.test", "kikombe cha chai 7")
    Membership.objects.create(user=user, client=acme.client, role=Role.VIEWER)
    browser = Browser()
    browser.force_login(user)
    assert browser.get(URL).status_code == 403
