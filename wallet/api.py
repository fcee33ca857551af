"""Native API of the wallet (contracts/dialects/native.md)."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm.common.api.describe import describe
from crm.common.api.envelope import success
from crm.common.api.views import ApiView
from wallet import queries


class BalanceShape(serializers.Serializer):
    balance = serializers.FloatField()
    currency = serializers.CharField()
    units = serializers.IntegerField(help_text="Whole units that the balance buys.")
    price_per_unit = serializers.FloatField(allow_null=True, help_text="null where your price plan has no such price.")
    low_balance = serializers.BooleanField(help_text="Below the threshold of your account.")


class BalanceView(ApiView):
    """What the client's balance is and how many units it buys. price_per_unit is null where the plan has no price."""

    required_scope = "wallet:read"

    @describe(
        "Read the balance",
        "How much there is, and how many SMS to your own country it buys.",
        answers=BalanceShape,
        example_answer={"balance": 1049, "currency": "KES", "units": 1049, "price_per_unit": 1, "low_balance": False},
    )
    def get(self, request: Request, client_id: int) -> Response:
        found = queries.balance_of(client_id)
        return Response(
            success(
                {
                    "balance": found.balance,
                    "currency": found.currency,
                    "units": found.units,
                    "price_per_unit": found.unit_price,
                    "low_balance": found.low,
                }
            )
        )
