"""Money held for a campaign: set aside, drawn on by its charges, and freed once."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from wallet import queries
from wallet.errors import InsufficientBalance, ReservationShort
from wallet.models import LedgerEntry, Reservation
from wallet.services import debit_many, debit_wallet, refund_many, release_reservation, reserve

ONE = 1_000_000
CAMPAIGN = "campaign:81"


def money(client):
    now = queries.balance_of(client.pk)
    assert queries.check_wallets() == []
    return now.balance, now.reserved, now.available


def test_reserved_money_is_still_there_but_not_available(acme):
    reserve(client=acme, amount=Decimal(60), reference=CAMPAIGN)
    assert money(acme) == (100, 60, 40)
    with pytest.raises(InsufficientBalance) as refused:
        debit_wallet(client=acme, amount=Decimal("40.01"), reference="message:1")
    assert refused.value.facts["available"] == 40
    assert str(refused.value).endswith("Current balance: KES 100.00, of which KES 60.00 is reserved")
    debit_wallet(client=acme, amount=Decimal(40), reference="message:1")
    assert money(acme) == (60, 60, 0)


def test_only_what_is_available_can_be_reserved(acme):
    reserve(client=acme, amount=Decimal(60), reference=CAMPAIGN)
    with pytest.raises(InsufficientBalance):
        reserve(client=acme, amount=Decimal(41), reference="campaign:82")
    assert Reservation.objects.for_client(acme).count() == 1
    assert money(acme) == (100, 60, 40)


def test_a_cause_reserves_once(acme):
    reserve(client=acme, amount=Decimal(60), reference=CAMPAIGN)
    with pytest.raises(IntegrityError), transaction.atomic():
        reserve(client=acme, amount=Decimal(1), reference=CAMPAIGN)
    assert money(acme) == (100, 60, 40)


def test_charges_draw_on_their_reservation(acme):
    reserve(client=acme, amount=Decimal(60), reference=CAMPAIGN)
    debit_many(client_id=acme.pk, charges=[("message:1", 20 * ONE), ("message:2", 10 * ONE)], reservation=CAMPAIGN)
    assert money(acme) == (70, 30, 40)
    assert Reservation.objects.for_client(acme).get().remaining_micros == 30 * ONE
    refund_many(client_id=acme.pk, refunds=[("message:1", 20 * ONE)])
    assert money(acme) == (90, 30, 60)


@pytest.mark.parametrize("reservation", [CAMPAIGN, "campaign:404"])
def test_a_short_reservation_pays_nothing_even_if_the_wallet_could(acme, reservation):
    reserve(client=acme, amount=Decimal(2), reference=CAMPAIGN)
    with pytest.raises(ReservationShort):
        debit_many(client_id=acme.pk, charges=[("message:1", 3 * ONE)], reservation=reservation)
    assert money(acme) == (100, 2, 98)
    assert LedgerEntry.objects.for_client(acme).filter(kind="debit").count() == 0


def test_another_clients_reservation_does_not_pay(acme, stranger):
    reserve(client=acme, amount=Decimal(50), reference=CAMPAIGN)
    with pytest.raises(ReservationShort):
        debit_many(client_id=stranger.pk, charges=[("message:1", ONE)], reservation=CAMPAIGN)
    assert release_reservation(client_id=stranger.pk, reference=CAMPAIGN) == 0
    assert money(acme) == (100, 50, 50)


def test_release_frees_the_rest_once(acme):
    reserve(client=acme, amount=Decimal(60), reference=CAMPAIGN)
    debit_many(client_id=acme.pk, charges=[("message:1", 20 * ONE)], reservation=CAMPAIGN)
    assert release_reservation(client_id=acme.pk, reference=CAMPAIGN) == 40
    assert release_reservation(client_id=acme.pk, reference=CAMPAIGN) == 0
    assert release_reservation(client_id=acme.pk, reference="campaign:404") == 0
    assert money(acme) == (80, 0, 80)
    with pytest.raises(ReservationShort):
        debit_many(client_id=acme.pk, charges=[("message:2", ONE)], reservation=CAMPAIGN)
