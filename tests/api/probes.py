"""Views that the product does not have: one that breaks, one that names no scope, one that answers with Decimals."""

from datetime import UTC, datetime
from decimal import Decimal

from django.urls import path
from rest_framework.response import Response

from crm.common.api.envelope import success
from crm.common.api.views import ApiView
from crm.urls import handler400, handler403, handler404, handler500
from crm.urls import urlpatterns as real

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


class BrokenView(ApiView):
    required_scope = "messages:read"

    def get(self, request, client_id):
        raise RuntimeError("0712345678 is not for the caller's eyes")


class ScopelessView(ApiView):
    def get(self, request, client_id):
        return Response(success({}))


class ValuesView(ApiView):
    required_scope = "messages:read"

    def get(self, request, client_id):
        at = datetime(2025, 10, 9, 14, 30, 0, 999_999, tzinfo=UTC)
        return Response(success({"at": at, "half": Decimal("0.125"), "whole": Decimal("50.00"), "status": "own"}))


class KeepsNothingView(ApiView):
    """A refusal that is returned, not raised, has had an effect: with an Idempotency-Key it is kept."""

    required_scope = "messages:send"

    def post(self, request, client_id):
        return Response({"status": "error"}, status=400)


urlpatterns = [
    path("api/<int:client_id>/broken", BrokenView.as_view()),
    path("api/<int:client_id>/scopeless", ScopelessView.as_view()),
    path("api/<int:client_id>/values", ValuesView.as_view()),
    path("api/<int:client_id>/kept", KeepsNothingView.as_view()),
    *real,
]
