"""Staff may look into a client's book; changes go through the client's own pages."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from contacts.models import Contact, ContactImport, Group, OptOut


class ReadOnlyAdmin(admin.ModelAdmin):
    """Lists of every client's rows, without add, change or delete; no count over the whole table."""

    list_select_related = ["client"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return self.model.objects.unscoped().order_by("-pk")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Contact)
class ContactAdmin(ReadOnlyAdmin):
    list_display = ["id", "client", "name", "phone", "email", "department", "created_at"]
    search_fields = ["=phone", "=email", "name"]


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    list_display = ["id", "client", "name", "created_at"]
    search_fields = ["name", "client__name"]


@admin.register(ContactImport)
class ContactImportAdmin(ReadOnlyAdmin):
    list_display = ["id", "client", "filename", "state", "rows_total", "imported", "updated", "failed", "created_at"]
    list_filter = ["state"]


@admin.register(OptOut)
class OptOutAdmin(ReadOnlyAdmin):
    list_display = ["id", "client", "channel", "address", "sender", "source", "created_at"]
    list_filter = ["channel", "source"]
    search_fields = ["=address"]
