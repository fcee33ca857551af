"""Native API of the wallet, mounted under /api/{client_id}/ by crm/urls.py."""

from django.urls import path

from wallet.api import BalanceView, TopUpStartView, TopUpStatusView

urlpatterns = [
    path("client/balance", BalanceView.as_view(), name="api_balance"),
    path("wallet/topup", TopUpStartView.as_view(), name="api_topup"),
    path("wallet/topup/<str:transaction_id>", TopUpStatusView.as_view(), name="api_topup_status"),
]
