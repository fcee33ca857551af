"""Pages of wallet, mounted at the root by crm/urls.py."""

from django.urls import path

from wallet import views

app_name = "wallet"
urlpatterns = [
    path("app/wallet", views.ledger, name="ledger"),
]
