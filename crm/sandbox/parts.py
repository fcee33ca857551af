"""How many parts a carrier bills for a text: its own count, so that it can disagree with the product's.

Source: 3GPP TS 23.038 section 6.2.1 (alphabet), TS 23.040 section 9.2.3.24.1 (concatenation).
"""

_SINGLE = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_DOUBLE = frozenset("^{}\\[~]|€\f")
_GSM7 = _SINGLE | _DOUBLE


def count_parts(text: str) -> int:
    """Parts on air, at least 1. A two-unit character is never cut, so it may leave a unit of a part unused."""
    if _GSM7.issuperset(text):
        units = [2 if character in _DOUBLE else 1 for character in text] if not _SINGLE.issuperset(text) else []
        alone, joined, total = 160, 153, sum(units) or len(text)
    else:
        units = [2 if character > "\uffff" else 1 for character in text]
        alone, joined, total = 70, 67, sum(units)
    if total <= alone:
        return 1
    if not units:
        return -(-total // joined)
    parts, used = 1, 0
    for unit in units:
        if used + unit > joined:
            parts, used = parts + 1, 0
        used += unit
    return parts
