"""Native API of contacts, mounted under /api/{client_id}/ by crm/urls.py."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
