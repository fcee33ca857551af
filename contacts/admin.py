"""Staff may look into a client's book; changes go through the client's own pages."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact, ContactImport, Group, ImportState, OptOut
from contacts.services import refuse_import, release_import
from crm.common.errors import WrongState
from crm.common.look_only import EveryClientsAdmin


@admin.register(Contact)
class ContactAdmin(EveryClientsAdmin):
    list_select_related = ["client"]
    list_display = ["id", "client", "name", "phone", "email", "department", "created_at"]
    search_fields = ["=phone", "=email", "name"]


@admin.register(Group)
class GroupAdmin(EveryClientsAdmin):
    list_select_related = ["client"]
    list_display = ["id", "client", "name", "created_at"]
    search_fields = ["name", "client__name"]


@admin.register(ContactImport)
class ContactImportAdmin(EveryClientsAdmin):
    """Held imports wait here for a person (filter by state): release them, or refuse them with their reason."""

    list_select_related = ["client"]
    list_display = [
        "id", "client", "filename", "state", "hold_reason", "rows_total", "imported", "updated", "failed", "created_at",
    ]  # fmt: skip
    list_filter = ["state"]
    actions = ["release", "refuse"]

    @admin.action(description=_("Release held imports"))
    def release(self, request: HttpRequest, queryset: QuerySet[ContactImport]) -> None:
        self._each(request, queryset, release_import)

    @admin.action(description=_("Refuse held imports"))
    def refuse(self, request: HttpRequest, queryset: QuerySet[ContactImport]) -> None:
        self._each(request, queryset.filter(state=ImportState.HELD), refuse_import)

    def _each(self, request: HttpRequest, imports: QuerySet[ContactImport], act: Callable[..., Any]) -> None:
        for batch in imports:
            try:
                act(contact_import=batch)
            except WrongState as error:
                self.message_user(request, f"{batch.pk}: {error}", messages.WARNING)
            else:
                self.message_user(request, f"{batch.pk}: {_('done')}", messages.SUCCESS)


@admin.register(OptOut)
class OptOutAdmin(EveryClientsAdmin):
    list_select_related = ["client"]
    list_display = ["id", "client", "channel", "address", "sender", "source", "created_at"]
    list_filter = ["channel", "source"]
    search_fields = ["=address"]
