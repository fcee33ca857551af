"""The operator's side of what people write: whose numbers and keywords are, and what came in, also to nobody."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from crm.common.errors import InvalidInput
from crm.common.look_only import EveryClientsAdmin
from messaging.models import Channel, InboundMessage, InboundNumber
from messaging.services.number_owners import give_number, take_number


class InboundNumberForm(forms.ModelForm):
    """Checked and written by the service."""

    class Meta:
        model = InboundNumber
        fields = ("client", "channel", "number", "keyword")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["channel"].choices = [  # type: ignore[attr-defined]
            (channel.value, channel.label) for channel in Channel if channel != Channel.EMAIL
        ]

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.given = give_number(
                    client=fields["client"],
                    channel=fields["channel"],
                    number=fields["number"],
                    keyword=fields["keyword"],
                )
            except InvalidInput as error:
                for name, sentences in error.errors.items():
                    self.add_error(name, sentences)
        return fields

    def _post_clean(self) -> None:
        """The service has written the row; the form's own instance is that one."""
        if hasattr(self, "given"):
            self.instance = self.given
        else:
            super()._post_clean()


@admin.register(InboundNumber)
class InboundNumberAdmin(admin.ModelAdmin):
    """A number or keyword is given to a client and taken back; to move it, delete it and give it anew."""

    form = InboundNumberForm
    list_display = ("number", "keyword", "channel", "client", "created_at")
    list_filter = ("channel",)
    list_select_related = ("client",)
    search_fields = ("number", "keyword", "client__name")
    autocomplete_fields = ("client",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboundNumber]:
        return InboundNumber.objects.unscoped().order_by("number", "keyword")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: InboundNumber, form: InboundNumberForm, change: bool) -> None:
        """The service wrote it while the form was checked."""

    def delete_model(self, request: HttpRequest, obj: InboundNumber) -> None:
        take_number(row=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[InboundNumber]) -> None:
        for row in queryset:
            take_number(row=row)


@admin.register(InboundMessage)
class InboundMessageAdmin(EveryClientsAdmin):
    """Filter by “client: empty” for what nobody's number got: give that number to a client."""

    list_display = ("id", "client", "channel", "sender", "recipient", "word", "received_at")
    list_filter = ("channel", ("client", admin.EmptyFieldListFilter))
    list_select_related = ("client", "account")
    search_fields = ("=sender", "=recipient")
