"""Numbers and amounts as people of the page's language write them."""

from decimal import Decimal

from django.utils.translation import get_language

from crm.common.money import format_money


def figure(number: int) -> str:
    """`12,480`; in French `12 480` with a no-break space."""
    separator = "\u00a0" if (get_language() or "en").startswith("fr") else ","
    return f"{number:,}".replace(",", separator)


def show_money(amount: Decimal | int, currency: str, *, plain: bool = False, unit_price: bool = False) -> str:
    """`format_money` in the language of the page."""
    return format_money(amount, currency, get_language() or "en", plain=plain, unit_price=unit_price)
