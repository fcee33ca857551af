"""Pages and callbacks of messaging, mounted at the root by crm/urls.py."""

from django.urls import path

from messaging import callbacks

urlpatterns = [
    path("callbacks/<slug:adapter>/<str:token>/<slug:kind>", callbacks.provider_callback, name="provider_callback"),
]
