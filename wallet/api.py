"""Native API of the wallet (contracts/dialects/native.md)."""

from rest_framework.request import Request
from rest_framework.response import Response

from crm.common.api.envelope import success
from crm.common.api.views import ApiView
from wallet import queries


class BalanceView(ApiView):
    """What the client's balance is and how many units it buys. price_per_unit is null where the plan has no price."""

    required_scope = "wallet:read"

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
