"""What a message costs: its units by the plan's rule, times the plan's rate for its channel and country.

`PriceList.quote` is the one function behind preview, reservation, charge and the API's cost.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from crm.common.reading import Part, read_part
from crm.common.text_units import Encoding, UnitRule, count_units
from wallet.errors import NoPrice
from wallet.models import PricePlan


class Quote(NamedTuple):
    """micros: millionths of the wallet's currency. characters: Unicode code points."""

    units: int
    segments: int
    encoding: Encoding
    characters: int
    unit_price_micros: int
    cost_micros: int


class PriceList:
    """A client's plan, loaded; pure and cheap to ask a million times. `rates` maps (channel, country) to micros.

    by_category: the rates of what WhatsApp bills by category, by (channel, country, category).
    """

    def __init__(
        self,
        unit_rule: UnitRule,
        rates: Mapping[tuple[str, str], int],
        costs: Mapping[tuple[str, str], int | None] | None = None,
        by_category: Mapping[tuple[str, str, str], int] | None = None,
    ) -> None:
        self.unit_rule = unit_rule
        self._rates = dict(rates)
        self._costs = dict(costs or {})
        self._by_category = dict(by_category or {})

    def unit_price_micros(self, channel: str, region: str, category: str = "") -> int:
        """The country's own rate, else the one for any country; of a category the rates of that category first, since
        those of one may be many times those of another.    Raises: NoPrice.
        """
        if category:
            for place in (region, ""):
                if (own := self._by_category.get((channel, place, category))) is not None:
                    return own
        price = self._rates.get((channel, region))
        if price is None:
            price = self._rates.get((channel, ""))
            if price is None:
                raise NoPrice(channel=channel, country=region)
            self._rates[channel, region] = price
        return price

    def unit_cost_micros(self, channel: str, region: str) -> int | None:
        """What a unit costs us where this list's price holds; None where that is not known."""
        key = (channel, region) if (channel, region) in self._costs else (channel, "")
        return self._costs.get(key)

    def quote(self, text: str, channel: str, region: str, unit_rule: UnitRule | None = None) -> Quote:
        """The price of one message with exactly this text to one recipient. unit_rule: in place of the plan's.

        Raises: NoPrice, EmptyText.
        """
        price = self.unit_price_micros(channel, region)
        counted = count_units(text, unit_rule or self.unit_rule)
        return Quote(
            counted.units, counted.segments, counted.encoding, counted.characters, price, counted.units * price
        )


def load_prices(client_id: int, at: datetime | None = None) -> PriceList:
    """The price list of the client's wallet as it holds at a moment (None: now), in one query; one without rates (or
    wallet) refuses every quote.
    """
    return list_prices(read_part(rates_part(client_id, at)))


def prices_of(plan: PricePlan, at: datetime | None = None) -> PriceList:
    """A plan's own list as it holds at a moment (None: now)."""
    return list_prices(read_part(_part("p.id = %s", plan.pk, at)))


def rates_part(client_id: int, at: datetime | None = None) -> Part:
    """The read behind `load_prices`; `list_prices` makes a list of its rows."""
    return _part("p.id = (SELECT w.price_plan_id FROM wallet_wallet w WHERE w.client_id = %s)", client_id, at)


def _part(which: str, pk: int, at: datetime | None) -> Part:
    moment = connection.ops.adapt_datetimefield_value(at or timezone.now())
    return Part(
        ("ROW_NUMBER() OVER (ORDER BY r.valid_from, r.id)", "p.unit_rule", "r.channel", "r.country",
         "r.unit_price_micros", "r.unit_cost_micros", "r.category"),
        f"wallet_rate r JOIN wallet_priceplan p ON p.id = r.plan_id WHERE {which} AND r.valid_from <= %s",
        [pk, moment],
    )  # fmt: skip


def list_prices(rows: Sequence[Sequence[Any]]) -> PriceList:
    """A price list of what `rates_part` gave. Of a price given twice the latest that holds counts."""
    found = sorted(rows, key=lambda row: row[0])
    rule: UnitRule = found[0][1] if found else "per_160"
    prices: dict[tuple[str, str], int] = {}
    costs: dict[tuple[str, str], int | None] = {}
    by_category: dict[tuple[str, str, str], int] = {}
    for _, _, channel, country, price, cost, category in found:
        if category:
            by_category[channel, country, category] = price
        else:
            prices[channel, country], costs[channel, country] = price, cost
    return PriceList(rule, prices, costs, by_category)
