"""What anybody may read of prices: the present rates of the plans that new wallets get."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from crm.common.money import from_micros
from wallet.models import PricePlan, Rate


@dataclass(frozen=True, slots=True)
class PublicPrice:
    """One unit on `channel` to `country` (ISO 3166; "" is every country without a price of its own).

    category: what WhatsApp bills it as; "" is every one without a price of its own.
    """

    currency: str
    channel: str
    country: str
    micros: int
    unit_rule: str
    category: str = ""

    @property
    def price(self) -> Decimal:
        return from_micros(self.micros)


def public_prices(now: datetime | None = None) -> list[PublicPrice]:
    """By currency, channel and country, those for every country last. Two queries."""
    plans = {plan.pk: plan for plan in PricePlan.objects.filter(is_default=True)}
    rates = Rate.objects.filter(plan__in=plans, valid_from__lte=now or timezone.now()).order_by("valid_from")
    current = {(rate.plan_id, rate.channel, rate.country, rate.category): rate.unit_price_micros for rate in rates}
    found = [
        PublicPrice(plans[plan].currency, channel, country, micros, plans[plan].unit_rule, category)
        for (plan, channel, country, category), micros in current.items()
    ]
    channels = ("sms", "whatsapp", "email")
    return sorted(
        found,
        key=lambda row: (row.currency, channels.index(row.channel), row.category, not row.country, row.country),
    )
