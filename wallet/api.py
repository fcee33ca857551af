"""Native API of the wallet (contracts/dialects/native.md)."""

import json
from decimal import Decimal
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import RequestInProgress
from accounts.services.idempotency import amend_answer
from crm.common.api.describe import describe
from crm.common.api.envelope import failure, success
from crm.common.api.renderers import render_json
from crm.common.api.views import ApiView
from crm.common.errors import NotFound
from wallet import queries
from wallet.models import Asked, TopUp, TopUpState
from wallet.payments.registry import METHODS
from wallet.topups.outcomes import words_of
from wallet.topups.queries import find_top_up
from wallet.topups.settling import is_being_asked
from wallet.topups.starting import Started, ask_for_prompt, start_top_up


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


class TopUpRequest(serializers.Serializer):
    """The body of wallet/topup; limits and numbers are the service's to judge."""

    amount = serializers.DecimalField(
        max_digits=12, decimal_places=2, help_text="Whole shillings, 100 to 50,000 in one payment."
    )
    payment_method = serializers.CharField(max_length=20, default="mpesa", help_text="`mpesa`.")
    phone_number = serializers.CharField(
        max_length=30, help_text="The phone that is to pay: `254712345678`, `0712345678` or `+254712345678`."
    )

    def validate_amount(self, amount: Decimal) -> int:
        if amount != int(amount):
            raise serializers.ValidationError("Give whole shillings.")
        return int(amount)

    def validate_payment_method(self, method: str) -> str:
        if method not in METHODS:
            raise serializers.ValidationError(f"Choose one of: {', '.join(METHODS)}.")
        return method


class StartedShape(serializers.Serializer):
    transaction_id = serializers.CharField(help_text="Ours; ask for the state with it.")
    status = serializers.ChoiceField(choices=TopUpState.values)
    amount = serializers.FloatField()
    checkout_request_id = serializers.CharField(allow_null=True, help_text="The operator's id of the prompt.")


class TopUpShape(serializers.Serializer):
    transaction_id = serializers.CharField()
    status = serializers.ChoiceField(
        choices=TopUpState.values,
        help_text="pending: waiting for the payment; processing: being confirmed; completed: the balance has it; "
        "failed: see `reason`.",
    )
    amount = serializers.FloatField()
    payment_method = serializers.CharField()
    mpesa_receipt = serializers.CharField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    reason = serializers.CharField(allow_null=True, help_text="Why it failed, and what to do.")


class TopUpStartView(ApiView):
    """Ask for money on a phone. The top-up's own status stands at the top level, as documented.

    With an Idempotency-Key the row and the answer that is kept are written in one transaction, without the network; the
    prompt is asked for after it, and the kept answer becomes the one that was given.
    """

    required_scope = "wallet:topup"
    while_suspended = True  # who owes money can pay it
    error_fields: ClassVar[dict[str, str]] = {"prompt_open": "phone_number", "repeat_blocked": "amount"}

    @describe(
        "Top up by M-Pesa",
        "Sends the M-Pesa prompt to a phone. The balance changes when the payer has entered the PIN and M-Pesa has "
        "confirmed it: wait for the webhook `topup.completed`, or ask for the state.",
        takes=TopUpRequest,
        answers=StartedShape,
        flat=True,
        refuses={
            409: "A prompt is still open on this phone, or the same payment was just made.",
            503: "M-Pesa could not be reached, or is not set up here. Nothing was paid.",
        },
        example={"amount": 1000, "payment_method": "mpesa", "phone_number": "254712345678"},
        example_answer={
            "transaction_id": "TXN-20251009-001",
            "status": "pending",
            "amount": 1000,
            "checkout_request_id": "ws_CO_09102025143000",
        },
        message="Please check your phone for M-Pesa prompt",
    )
    def post(self, request: Request, client_id: int) -> Response:
        if request.auth.simulation:
            raise PermissionDenied("This key is for simulation: it cannot take real money. Use a live key.")
        asked = self.read(TopUpRequest)
        self.started = start_top_up(
            client=request.auth.client,
            amount=asked["amount"],
            phone=asked["phone_number"],
            method=asked["payment_method"],
            sure=True,  # a program repeats by its Idempotency-Key
        )
        return Response(_show_started(self.started.top_up))

    def finalize_response(self, request: Request, response: HttpResponse, *args: Any, **kwargs: Any) -> HttpResponse:
        """The prompt is asked for when no transaction is open any more."""
        started: Started | None = getattr(self, "started", None)
        if started is not None and isinstance(response, Response) and response.status_code == 200:
            top_up = ask_for_prompt(started=started)
            if top_up.state == TopUpState.FAILED:
                words = words_of(top_up)
                unreachable = top_up.asked == Asked.UNSENT
                response.status_code = 503 if unreachable else 400
                code = "PROVIDER_UNAVAILABLE" if unreachable else "INVALID_REQUEST"
                response.data = failure(code, words.sentence)
            else:
                response.data = _show_started(top_up)
            if (key := request.headers.get("Idempotency-Key")) is not None:
                amend_answer(
                    client=request.auth.client,
                    endpoint=request.path,
                    key=key,
                    status=response.status_code,
                    body=render_json(response.data).decode(),
                )
        elif "Idempotent-Replayed" in response.headers and self._is_being_asked(request, response):
            running = RequestInProgress(retry_after=1)
            response = Response(failure("CONFLICT", str(running)), status=409, headers={"Retry-After": "1"})
        return super().finalize_response(request, response, *args, **kwargs)

    @staticmethod
    def _is_being_asked(request: Request, response: HttpResponse) -> bool:
        """Whether the first call with this key has not been answered yet: its prompt is being asked for."""
        kept = json.loads(response.content)
        top_up = find_top_up(request.auth.client, str(kept.get("transaction_id", "")))
        return top_up is not None and is_being_asked(top_up)


class TopUpStatusView(ApiView):
    """Where a top-up is."""

    required_scope = "wallet:topup"

    @describe("Read a top-up", answers=TopUpShape, flat=True, refuses={404: "There is no such top-up."})
    def get(self, request: Request, client_id: int, transaction_id: str) -> Response:
        top_up = find_top_up(request.auth.client, transaction_id)
        if top_up is None:
            raise NotFound("There is no such top-up.")
        data = _show(top_up)
        return Response(success(data, status=data["status"]))


def _show_started(top_up: TopUp) -> dict[str, Any]:
    data = {
        "transaction_id": top_up.transaction_id,
        "status": str(top_up.state),
        "amount": top_up.amount,
        "checkout_request_id": top_up.checkout_request_id or None,
    }
    return success(data, message="Please check your phone for M-Pesa prompt", status=str(top_up.state))


def _show(top_up: TopUp) -> dict[str, Any]:
    failed = top_up.state == TopUpState.FAILED
    return {
        "transaction_id": top_up.transaction_id,
        "status": str(top_up.state),
        "amount": top_up.amount,
        "payment_method": top_up.method,
        "mpesa_receipt": top_up.receipt,
        "completed_at": top_up.completed_at,
        "created_at": top_up.created_at,
        "reason": words_of(top_up).sentence if failed else None,
    }
