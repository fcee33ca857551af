"""The language of a page: the person's own, else the browser's choice, else what the browser asks for."""

from datetime import UTC, datetime

import pytest
from django.template import Context
from django.test import Client as Browser
from django.utils import translation

from accounts.models import User
from crm.templatetags.tarishi import when

pytestmark = pytest.mark.django_db


def test_a_visitor_gets_the_language_the_browser_asks_for(client):
    answer = client.get("/login", headers={"Accept-Language": "sw,en;q=0.5"})
    assert answer["Content-Language"] == "sw"
    assert '<html lang="sw"' in answer.content.decode()
    assert "Accept-Language" in answer["Vary"]


def test_an_unknown_language_reads_english(client):
    assert client.get("/login", headers={"Accept-Language": "zu"})["Content-Language"] == "en"


def test_a_choice_stays_in_the_browser_and_with_the_person(browser):
    amina = User.objects.get(email="amina@acme.test")
    answer = browser.post("/language", {"language": "fr", "next": "/app/contacts"})
    assert answer["Location"] == "/app/contacts"
    amina.refresh_from_db()
    assert amina.language == "fr"
    browser.cookies.clear()
    browser.force_login(amina)
    assert browser.get("/app", headers={"Accept-Language": "en"})["Content-Language"] == "fr"


def test_a_language_nobody_offers_changes_nothing(browser):
    browser.post("/language", {"language": "xx", "next": "/app"})
    assert User.objects.get(email="amina@acme.test").language == ""


def test_choosing_never_leads_off_this_site(client):
    assert client.post("/language", {"language": "fr", "next": "https://elsewhere.example/"})["Location"] == "/"


def test_programs_are_answered_in_english(acme):
    answer = Browser().get("/api/1/wallet/balance", headers={"Accept-Language": "fr"})
    assert answer.status_code in (401, 404)
    assert "Content-Language" not in answer


def test_moments_are_written_as_the_language_does():
    moment = datetime(2026, 11, 20, 14, 5, tzinfo=UTC)
    with translation.override("fr"):
        assert "20 nov. 2026 à 14:05 (UTC)" in when(Context(), moment)
    assert "20 Nov 2026, 14:05 UTC" in when(Context(), moment)
