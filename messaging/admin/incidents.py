"""Incidents of the public status page."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from messaging.models import Incident
from messaging.services.incidents import publish_incident


@admin.register(Incident)
class IncidentAdmin(admin.ModelAdmin):
    """Opened, changed and ended here; customers read them at /status."""

    list_display = ("title", "impact", "started_at", "ended_at")
    list_filter = ("impact",)
    search_fields = ("title",)
    fields = ("title", "text", "impact", "started_at", "ended_at")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict:
        return {"started_at": timezone.now()} | super().get_changeform_initial_data(request)

    def has_delete_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Incident, form: forms.ModelForm, change: bool) -> None:
        publish_incident(incident=obj)
