"""Where M-Pesa tells of payments, mounted by crm/urls.py before the providers' addresses, which have the same shape."""

from django.urls import path

from wallet import callbacks

urlpatterns = [
    path("pay/<str:token>", callbacks.payment_notice, name="payment_notice"),
    path("pay/<str:token>/<slug:kind>", callbacks.paybill_notice, name="paybill_notice"),
]
