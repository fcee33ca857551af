"""Native API of the wallet, mounted under /api/{client_id}/ by crm/urls.py."""

from django.urls import path

from wallet.api import BalanceView

urlpatterns = [path("client/balance", BalanceView.as_view(), name="api_balance")]
