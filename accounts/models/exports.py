"""Files made for a member to download, and how far each has come."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models.clients import Client
from accounts.models.people import User
from crm.common.tenancy import TenantManager


class ExportState(models.TextChoices):
    """waiting → running → done | failed; a file that was swept or erased: gone."""

    WAITING = "waiting", _("Waiting to start")
    RUNNING = "running", _("Being written")
    DONE = "done", _("Ready")
    FAILED = "failed", _("Failed")
    GONE = "gone", _("Deleted")


class Export(models.Model):
    """One file. `query` is the filter of the page it was asked for on; `stored_as` lies below MEDIA_ROOT, is never
    served by its name, and goes at `expires_at`. masked: numbers were shortened for who may not see them.

    A worker holds the row by `lease_token` until `lease_until`; one that died is followed by another, which starts the
    file anew. in_background: the person did not wait for it; a letter says when it is ready.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    kind = models.CharField(max_length=30, help_text="A name in accounts/exporting.py")
    format = models.CharField(max_length=4, help_text="csv, xlsx or zip")
    query = models.TextField(blank=True)
    language = models.CharField(max_length=10, default="en")
    masked = models.BooleanField(default=False)
    in_background = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=ExportState, default=ExportState.WAITING)
    rows = models.BigIntegerField(default=0)
    rows_total = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0, help_text="Bytes")
    stored_as = models.CharField(max_length=120, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["client", "-id"], name="export_by_client"),
            models.Index(fields=["state", "id"], condition=Q(state__in=["waiting", "running"]), name="export_open"),
            models.Index(fields=["expires_at"], condition=Q(state="done"), name="export_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def path(self) -> Path:
        return Path(settings.MEDIA_ROOT) / self.stored_as

    @property
    def filename(self) -> str:
        return f"{self.kind}-{self.created_at:%Y-%m-%d}-{self.pk}.{self.format}"

    @property
    def is_open(self) -> bool:
        return self.state in (ExportState.WAITING, ExportState.RUNNING)
