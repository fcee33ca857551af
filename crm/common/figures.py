"""Whole numbers as people of a language write them."""

from django.utils.translation import get_language


def figure(number: int) -> str:
    """`12,480`; in French `12 480` with a no-break space."""
    separator = "\u00a0" if (get_language() or "en").startswith("fr") else ","
    return f"{number:,}".replace(",", separator)
