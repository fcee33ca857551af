"""Pages for visitors: front, prices, counter, status; and the palette, the brand, what staff tell."""

import re

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import AuditEntry, Role
from contacts.models import Contact
from crm.brand import check_brand, stylesheet
from crm.common.colours import contrast, read_colour
from messaging.models import Campaign, Incident, ProviderAccount
from messaging.services.incidents import publish_incident
from tests.web.conftest import add_member
from tests.web.test_frame import assert_nothing_inline
from wallet.models import PricePlan

FRAGMENT = {"HX-Request": "true"}


@pytest.mark.parametrize("path", ["/", "/pricing", "/sms-counter", "/status"])
def test_anybody_may_read_them_and_nothing_is_inline(db, path):
    response = Browser().get(path)
    assert response.status_code == 200
    page = response.content.decode()
    assert_nothing_inline(page)
    assert page.count("<h1") == 1
    assert len(page.encode()) < 40_000


def test_the_front_door_leads_members_to_work(browser):
    assert browser.get("/")["Location"] == "/app"


def test_the_counter_counts_without_scripts(acme):
    page = Browser().post("/sms-counter", {"text": "a" * 161}).content.decode()
    assert "<strong data-units>2</strong>" in page
    assert "KES\u00a02.00" in page
    page = Browser().post("/sms-counter", {"text": "L’eau"}).content.decode()
    assert "right single quotation mark" in page
    assert "Unicode" in page
    assert Browser().post("/sms-counter", {"text": "a\x00b"}).status_code == 200


def test_prices_are_those_of_the_default_plans_and_the_calculator_multiplies(acme):
    plan = PricePlan.objects.get(is_default=True, currency="KES")
    plan.rates.create(channel="sms", country="TZ", unit_price_micros=12_500_000)
    page = Browser().get("/pricing?price=KES-sms-TZ&messages=2,000").content.decode()
    assert "Tanzania" in page
    assert "KES\u00a025,000.00" in page
    assert "KES\u00a012.50" in page
    for odd in ("x", "-1", "99999999999", ""):
        assert Browser().get(f"/pricing?price=nope&messages={odd}").status_code == 200


def test_status_tells_of_roads_and_incidents_and_of_no_customer(acme, django_capture_on_commit_callbacks):
    ProviderAccount.objects.create(name="Uplink", adapter="generic")
    assert "Everything works" in Browser().get("/status").content.decode()
    incident = Incident(title="Airtel is slow", text="We look again at noon.", started_at=timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        publish_incident(incident=incident)
    page = Browser().get("/status").content.decode()
    for words in ("Uplink", "Working", "Airtel is slow", "We look again at noon.", "slow or partly failing"):
        assert words in page
    assert "Acme" not in page
    incident.ended_at = timezone.now()
    with django_capture_on_commit_callbacks(execute=True):
        publish_incident(incident=incident)
    page = Browser().get("/status").content.decode()
    assert "Everything works" in page
    assert "Over" in page
    assert AuditEntry.objects.unscoped().filter(action__startswith="incident.").count() == 2


def test_the_palette_finds_pages_people_campaigns_and_actions(acme, browser):
    person = Contact.objects.create(client=acme, name="Baraka Otieno", phone="+254712345678")
    campaign = Campaign.objects.create(client=acme, name="Barua ya shule", text="a")
    part = browser.get("/app/search?q=bar", headers=FRAGMENT).content.decode()
    assert "<html" not in part
    assert f'href="/app/contacts/{person.pk}"' in part
    assert f'href="/app/campaigns/{campaign.pk}"' in part
    page = browser.get("/app/search?q=top up").content.decode()
    assert 'class="palette-hit" href="/app/wallet/topup"' in page
    assert "Nothing is called “zzz”" in browser.get("/app/search?q=zzz").content.decode()


def test_the_palette_shows_what_the_role_may_open(acme, stranger):
    Contact.objects.create(client=stranger, name="Baraka", phone="+254712345678")
    finance = add_member(acme, Role.FINANCE)
    page = finance.get("/app/search?q=a", headers=FRAGMENT).content.decode()
    assert "/app/contacts" not in page
    assert "Baraka" not in finance.get("/app/search?q=baraka", headers=FRAGMENT).content.decode()


def test_the_frame_carries_the_keys_of_the_pages(browser):
    page = browser.get("/app").content.decode()
    assert "&quot;c&quot;: &quot;/app/campaigns&quot;" in page
    assert 'id="keys"' in page


def test_an_accent_is_read_in_both_themes(settings, browser):
    settings.BRAND_ACCENT = "#7a1f5c"
    assert 'href="/brand/accent.css?7a1f5c"' in browser.get("/app").content.decode()
    css = Browser().get("/brand/accent.css").content.decode()
    light, dark = re.findall(r"--primary: (#\w{6})", css)[:2]
    assert light == "#7a1f5c"
    assert contrast(read_colour(dark), (23, 32, 36)) >= 4.5
    ink = re.findall(r"--on-primary: (#\w{6})", css)
    assert contrast(read_colour(light), read_colour(ink[0])) >= 4.5
    assert contrast(read_colour(dark), read_colour(ink[1])) >= 4.5
    assert stylesheet("") == ""


@pytest.mark.parametrize(
    ("accent", "problem"), [("#f2b01e", "crm.E011"), ("petrol", "crm.E010"), ("#0e5a6b", ""), ("", "")]
)
def test_an_accent_that_cannot_be_read_stops_the_start(settings, accent, problem):
    settings.BRAND_ACCENT = accent
    assert [error.id for error in check_brand()] == ([problem] if problem else [])
    if problem:
        with pytest.raises(SystemCheckError):
            call_command("check")


def test_a_logo_is_an_image_of_modest_size(settings, tmp_path, browser):
    path = tmp_path / "logo.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    settings.BRAND_LOGO = str(path)
    assert check_brand() == []
    assert '<img src="/brand/logo" alt="Tarishi"' in browser.get("/app").content.decode()
    assert Browser().get("/brand/logo")["Content-Type"] == "image/png"
    path.write_bytes(b"<svg onload=alert(1)>")
    assert [error.id for error in check_brand()] == ["crm.E012"]
    assert Browser().get("/brand/logo").status_code == 404
