"""Addresses of the documentation, mounted under /docs by crm/urls.py."""

from django.urls import path

from crm.docs import views

urlpatterns = [
    path("", views.guide, name="docs"),
    path("/api", views.interactive, name="docs_api"),
    path("/search", views.search, name="docs_search"),
    path("/errors", views.errors, name="docs_errors"),
    path("/errors/<str:code>", views.error, name="docs_error"),
    path("/reference/<str:group>", views.reference, name="docs_reference"),
    path("/run/<str:slug>", views.run, name="docs_run"),
    path("/moving/<str:slug>", views.moving, name="docs_moving"),
    path("/<str:slug>", views.guide, name="docs_guide"),
]
