"""The prompt that comes by itself at eight, once a day, while the balance is low."""

from datetime import UTC, datetime

import pytest

from tests.wallet.test_ledger_page import signed_in
from tests.wallet.topups.world import make_account
from wallet.models import MorningPrompt, TopUp
from wallet.services import credit_wallet
from wallet.topups import mornings

EIGHT = datetime(2026, 11, 28, 5, 0, 10, tzinfo=UTC)  # in Nairobi
FORM = {"morning-ask": "on", "morning-amount": "500", "morning-phone": "0712345678"}


@pytest.fixture
def asked(acme, monkeypatch):
    """Prompts that were asked for; the operator is out of reach and is not asked."""
    make_account(base_url="http://127.0.0.1:9")
    sent = []
    monkeypatch.setattr(mornings, "ask_for_prompt", lambda started: sent.append(started.top_up))
    monkeypatch.setattr(mornings, "database_now", lambda: EIGHT)
    acme.low_balance_micros = 150_000_000
    acme.save()
    return sent


def test_it_comes_once_a_day_while_the_balance_is_low(acme, stranger, asked):
    assert signed_in(acme).post("/app/wallet/threshold/morning", FORM).status_code == 302
    assert [mornings.ask_in_the_morning() for _ in range(2)] == [1, 0]
    (top_up,) = asked
    assert (top_up.client, top_up.amount, top_up.phone) == (acme, 500, "+254712345678")
    assert TopUp.objects.unscoped().count() == 1


def test_it_comes_at_eight_only_and_not_where_there_is_enough(acme, asked, monkeypatch):
    mornings.set_morning_prompt(client=acme, amount=500, phone="0712345678", by=None)
    for hour in (4, 6):
        monkeypatch.setattr(mornings, "database_now", lambda hour=hour: EIGHT.replace(hour=hour))
        assert mornings.ask_in_the_morning() == 0
    monkeypatch.setattr(mornings, "database_now", lambda: EIGHT)
    credit_wallet(client=acme, amount=500, reference="topup:8")
    assert mornings.ask_in_the_morning() == 0
    assert asked == []


def test_what_keeps_it_from_coming_is_shown(acme, asked, settings):
    mornings.set_morning_prompt(client=acme, amount=500, phone="0712345678", by=None)
    settings.TOPUP_MIN = 1000
    assert mornings.ask_in_the_morning() == 0
    page = signed_in(acme).get("/app/wallet/threshold").content.decode()
    assert "The last prompt could not be sent" in page
    assert "from KES 1,000" in page


@pytest.mark.parametrize("change", [{"morning-amount": "5"}, {"morning-amount": ""}, {"morning-phone": "12"}])
def test_a_choice_that_cannot_work_is_refused_with_the_form_kept(acme, asked, change):
    response = signed_in(acme).post("/app/wallet/threshold/morning", FORM | change)
    assert response.status_code == 422
    assert b"checked" in response.content
    assert not MorningPrompt.objects.unscoped().exists()


def test_it_is_switched_off_again_and_is_not_for_everybody(acme, asked):
    mornings.set_morning_prompt(client=acme, amount=500, phone="0712345678", by=None)
    assert signed_in(acme, "viewer", "see@acme.test").post("/app/wallet/threshold/morning", {}).status_code == 403
    assert signed_in(acme).post("/app/wallet/threshold/morning", {}).status_code == 302
    assert not MorningPrompt.objects.unscoped().exists()
