"""Where providers report, mounted by crm/urls.py before all pages: nothing else is called so often."""

from django.urls import path

from messaging import callbacks

urlpatterns = [
    path("<slug:adapter>/<str:token>/<slug:kind>", callbacks.provider_callback, name="provider_callback"),
]
