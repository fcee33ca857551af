"""Filters of a list that a member keeps under a name."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from accounts.models.clients import Client
from crm.common.tenancy import TenantManager

VIEW_NAME_LENGTH = 60
VIEW_QUERY_LENGTH = 1000


class SavedView(models.Model):
    """The query string of a list (`page`: "contacts", "messages") under a name: its owner's, or shared with all."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    page = models.CharField(max_length=20)
    name = models.CharField(max_length=VIEW_NAME_LENGTH)
    query = models.CharField(max_length=VIEW_QUERY_LENGTH, help_text="Without the question mark")
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint("client", "page", "owner", Lower("name"), name="saved_view_once"),
        ]

    def __str__(self) -> str:
        return self.name
