"""Native API of wallet, mounted under /api/{client_id}/ by crm/urls.py."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
