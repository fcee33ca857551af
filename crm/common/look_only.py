"""Back office lists that are looked at: nobody adds, changes or deletes there, whatever their permissions."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest


class LookOnlyAdmin(admin.ModelAdmin):
    """Rows to look at; no count over the whole table, which may be large."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class EveryClientsAdmin(LookOnlyAdmin):
    """The same for rows that clients own: those of all of them, newest first."""

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return self.model.objects.unscoped().order_by("-pk")
