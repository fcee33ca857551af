"""Pages of accounts, mounted at the root by crm/urls.py."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
