"""The last calls of a client's programs."""

from django.db import models

from accounts.models.clients import Client
from accounts.models.keys import ApiKey
from crm.common.tenancy import TenantManager


class ApiRequest(models.Model):
    """A call to an API, for the page that lists the last ones. Without it nothing is lost; old rows are forgotten.

    path, query, body: shortened, without credentials and texts, phone numbers by their last three digits
    (accounts/requests/redacting.py). error_code: the caller's contract names it, "" for a success.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+", db_index=False)
    request_id = models.CharField(max_length=32, help_text="As the header X-Request-ID of the answer")
    at = models.DateTimeField()
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=200)
    query = models.CharField(max_length=500, blank=True)
    body = models.TextField(blank=True)
    status = models.PositiveSmallIntegerField()
    error_code = models.CharField(max_length=40, blank=True)
    milliseconds = models.PositiveIntegerField()
    address = models.CharField(max_length=45, blank=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["client", "-id"], name="api_request_by_client"),
            models.Index(fields=["at"], name="api_request_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.status}"
