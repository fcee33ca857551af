"""Money: Decimal in Python, integer millionths of the currency in columns, rounded once, when it is shown."""

from decimal import ROUND_HALF_UP, Decimal

MICROS = 1_000_000
MAX_MICROS = 2**63 - 1  # what a BigIntegerField holds: about nine million million shillings

# Shown without decimals: the currencies that have none, and the Tanzanian shilling, whose cents are out of use.
_WHOLE = frozenset({"BIF", "DJF", "GNF", "KMF", "MGA", "RWF", "TZS", "UGX", "XAF", "XOF"})
_FRENCH_NAMES = {"XOF": "F CFA", "XAF": "F CFA"}
_UNIT_PRICE_DECIMALS = 4


def to_micros(amount: Decimal | int) -> int:
    """Millionths. Raises: ValueError for more than six decimals, no number, or more than a column holds; TypeError
    for a float, which is not the amount somebody meant.
    """
    if not isinstance(amount, Decimal | int):
        raise TypeError(f"money is Decimal, not {type(amount).__name__}")
    exact = Decimal(amount)
    if not exact.is_finite() or exact.adjusted() > 15:
        raise ValueError("not an amount of money")
    sign, figures, exponent = exact.as_tuple()
    # By integers, since Decimal arithmetic rounds to the context's precision.
    unsigned = int("".join(map(str, figures)))
    shift = int(exponent) + 6
    if shift >= 0:
        micros = unsigned * 10**shift
    elif unsigned % 10**-shift:
        raise ValueError("an amount of money has at most 6 decimals")
    else:
        micros = unsigned // 10**-shift
    if micros > MAX_MICROS:
        raise ValueError("not an amount of money")
    return -micros if sign else micros


def from_micros(micros: int) -> Decimal:
    """The exact amount, with at least two decimals: 1_500_000 is Decimal("1.50")."""
    amount = Decimal(micros).scaleb(-6)
    return amount.quantize(Decimal("0.01")) if micros % 10_000 == 0 else amount.normalize()


def json_money(micros: int) -> int | float:
    """The JSON number the native API prints: at most two decimals, half up; whole amounts have no fraction."""
    cents = (abs(micros) + 5_000) // 10_000
    if micros < 0:
        cents = -cents
    return cents // 100 if cents % 100 == 0 else cents / 100


def format_money(
    amount: Decimal | int, currency: str, lang: str = "en", *, plain: bool = False, unit_price: bool = False
) -> str:
    """`KES 1,049.00`, `TZS 22,000`; in French `1 049,00 KES`, `10 000 F CFA`.

    plain: plain spaces, for SMS, CSV and copying; on screen they are no-break spaces.
    unit_price: up to four decimals where the price has them (`KES 0.305`), never fewer than the currency shows.
    """
    shown = 0 if currency in _WHOLE else 2
    most = _UNIT_PRICE_DECIMALS if unit_price else shown
    rounded = Decimal(amount).quantize(Decimal(1).scaleb(-most), rounding=ROUND_HALF_UP)
    whole, _, fraction = f"{abs(rounded):,f}".partition(".")
    while len(fraction) > shown and fraction.endswith("0"):
        fraction = fraction[:-1]
    sign = "-" if rounded < 0 else ""
    if lang.startswith("fr"):
        name = _FRENCH_NAMES.get(currency, currency)
        text = sign + whole.replace(",", " ") + (f",{fraction}" if fraction else "") + f" {name}"
    else:
        text = f"{sign}{currency} {whole}" + (f".{fraction}" if fraction else "")
    return text if plain else text.replace(" ", "\u00a0")
