"""Amounts: exact millionths, and how each language writes them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.common.money import MAX_MICROS, format_money, from_micros, json_money, to_micros


def test_micros_are_exact():
    assert to_micros(Decimal("0.3")) - 3 * to_micros(Decimal("0.1")) == 0
    assert to_micros(Decimal("1049.000001")) == 1_049_000_001
    assert to_micros(Decimal("1E+3")) == to_micros(1000) == 1_000_000_000
    assert to_micros(Decimal("-0.000001")) == -1
    assert to_micros(Decimal("1.0000000000")) == 1_000_000


@pytest.mark.parametrize("amount", ["0.0000001", "NaN", "Infinity", "1E+30", "9223372036854.775808"])
def test_refused_amounts(amount):
    with pytest.raises(ValueError, match="amount of money"):
        to_micros(Decimal(amount))


def test_floats_are_refused():
    with pytest.raises(TypeError):
        to_micros(0.3)


@given(st.integers(-MAX_MICROS, MAX_MICROS))
def test_there_and_back(micros):
    assert to_micros(from_micros(micros)) == micros


def test_from_micros_shows_at_least_cents():
    assert str(from_micros(1_500_000)) == "1.50"
    assert str(from_micros(1_049_000_000)) == "1049.00"
    assert str(from_micros(305_000)) == "0.305"
    assert str(from_micros(0)) == "0.00"


@pytest.mark.parametrize(
    ("micros", "number"),
    [
        (1_049_000_000, "1049"),
        (500_000, "0.5"),
        (305_000, "0.31"),
        (304_999, "0.3"),
        (-305_000, "-0.31"),
        (4_999, "0"),
        (-4_999, "0"),
        (123_456_789_120_000, "123456789.12"),
    ],
)
def test_json_money(micros, number):
    assert repr(json_money(micros)) == number


@pytest.mark.parametrize(
    ("amount", "currency", "lang", "text"),
    [
        ("1049", "KES", "en", "KES 1,049.00"),
        ("1049", "KES", "sw", "KES 1,049.00"),
        ("22000", "TZS", "en", "TZS 22,000"),
        ("10000", "XOF", "en", "XOF 10,000"),
        ("100", "USD", "en", "USD 100.00"),
        ("10000", "XOF", "fr", "10 000 F CFA"),
        ("1049", "KES", "fr", "1 049,00 KES"),
        ("1049", "KES", "fr-ci", "1 049,00 KES"),
        ("-5.005", "KES", "en", "-KES 5.01"),
        ("-0.001", "KES", "en", "KES 0.00"),
        ("1234567.891", "KES", "en", "KES 1,234,567.89"),
    ],
)
def test_format_money(amount, currency, lang, text):
    assert format_money(Decimal(amount), currency, lang, plain=True) == text
    assert format_money(Decimal(amount), currency, lang) == text.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("0.3", "KES", "KES 0.30"),
        ("0.305", "KES", "KES 0.305"),
        ("0.12345", "KES", "KES 0.1235"),
        ("18", "TZS", "TZS 18"),
        ("18.5", "TZS", "TZS 18.5"),
    ],
)
def test_unit_prices_show_up_to_four_decimals(amount, currency, text):
    assert format_money(Decimal(amount), currency, plain=True, unit_price=True) == text
