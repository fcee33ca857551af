"""Native API of messaging, mounted under /api/{client_id}/ by crm/urls.py."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
