"""Uploaded files, how far they have come, what they changed and what they refused."""

from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.utils import timezone

from accounts.models import Client
from contacts.models.book import KEEP_UNDO_DAYS, Consent, Contact, Group
from crm.common.tenancy import TenantManager


class ImportState(models.TextChoices):
    """uploaded (being checked) → ready (waits for a worker) → running → done | stopped | failed.

    A worker that finds invented-looking numbers puts a ready import to held, from where staff release it to ready or
    refuse it to stopped. What is over can be undone for a while: undoing → undone.
    """

    UPLOADED = "uploaded", "Not started"
    READY = "ready", "Waiting to start"
    HELD = "held", "Held for review"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    STOPPED = "stopped", "Stopped"
    FAILED = "failed", "Failed"
    UNDOING = "undoing", "Being undone"
    UNDONE = "undone", "Undone"


class Duplicates(models.TextChoices):
    """What a row does to a contact that is in the book already. A blank cell never erases a value."""

    FILL = "fill", "Fill in what is blank"
    OVERWRITE = "overwrite", "Overwrite with the file's values"
    SKIP = "skip", "Leave existing contacts as they are"


class ContactImport(models.Model):
    """One uploaded file and how far it has come. Row numbers are those a spreadsheet shows, from 1, header included.

    `rows_total` = imported + updated + skipped + duplicates + failed once it is done. `mapping` has one
    {"field", "key"} per column. `next_row` is the first row not yet committed: it moves in the transaction that writes
    the rows before it, so a killed worker's successor goes on exactly there. While it runs, `lease_token` names the
    worker that may write and `lease_until` when another may take over. `edits` are corrections made on the check page:
    row number → column index → text. `undo_cursor` is the last contact that undoing has dealt with.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    stored_as = models.CharField(max_length=120, help_text="Below MEDIA_ROOT; the file goes when the import is over")
    filename = models.CharField(max_length=200)
    size = models.BigIntegerField(help_text="Bytes")
    sheet = models.CharField(
        max_length=100, blank=True, db_default="", help_text="Of a workbook: the sheet that was read"
    )
    other_sheets = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Sheets with contents that were not read"
    )
    encoding = models.CharField(max_length=20)
    delimiter = models.CharField(max_length=1)
    has_header = models.BooleanField()
    headers = models.JSONField(default=list)
    mapping = models.JSONField(default=list)
    edits = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    duplicates = models.CharField(max_length=10, choices=Duplicates, default=Duplicates.FILL)
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    tags = models.JSONField(
        default=list, blank=True, db_default=Value([], models.JSONField()), help_text="Ids of tags for everybody in it"
    )
    consent = models.ForeignKey(Consent, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=10, choices=ImportState, default=ImportState.UPLOADED)
    hold_reason = models.CharField(max_length=300, blank=True, db_default="")
    screened = models.BooleanField(
        default=False, db_default=False, help_text="Looked through for invented numbers, or released by staff"
    )
    rows_total = models.PositiveIntegerField(default=0)
    next_row = models.PositiveIntegerField(default=1)
    imported = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    duplicate_rows = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    lease_token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    undo_cursor = models.BigIntegerField(default=0, db_default=0)
    removed = models.PositiveIntegerField(default=0, db_default=0)
    restored = models.PositiveIntegerField(default=0, db_default=0)
    kept = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            # Two files of one client never run at once: what they note of contacts that both meet would not tell whose
            # row came first.
            models.UniqueConstraint(fields=["client"], condition=Q(state="running"), name="import_one_running"),
        ]
        indexes = [
            models.Index(fields=["client", "-id"], name="import_by_client"),
            models.Index(fields=["state"], condition=Q(state__in=["ready", "running", "undoing"]), name="import_open"),
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def path(self) -> Path:
        """Where the upload lies until the import is over."""
        return Path(settings.MEDIA_ROOT) / self.stored_as

    @property
    def rows_done(self) -> int:
        return self.imported + self.updated + self.skipped + self.duplicate_rows + self.failed

    @property
    def percent_done(self) -> int:
        return 100 * self.rows_done // max(self.rows_total, 1)

    @property
    def is_over(self) -> bool:
        return self.state in (ImportState.DONE, ImportState.STOPPED, ImportState.FAILED, ImportState.UNDONE)

    @property
    def can_undo(self) -> bool:
        """Whether it is over, did something, and ended less than KEEP_UNDO_DAYS ago."""
        if not self.is_over or self.state == ImportState.UNDONE or not self.finished_at:
            return False
        return bool(self.imported + self.updated) and self.finished_at > timezone.now() - timedelta(days=KEEP_UNDO_DAYS)


class ImportChange(models.Model):
    """What an import changed on a contact that existed: field → [before, after]. Kept while undoing is offered."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    contact_import = models.ForeignKey(ContactImport, on_delete=models.CASCADE, related_name="changes", db_index=False)
    contact_id = models.BigIntegerField()
    values = models.JSONField(default=dict)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["contact_import", "contact_id"], name="import_change_once")]

    def __str__(self) -> str:
        return f"{self.contact_import_id}:{self.contact_id}"


class ImportMeeting(models.Model):
    """The last file in which a contact stood that another one, or a person, had put into the book, and its row there.

    Apart from the contact, so that a file which changes nothing writes a narrow row here for each contact instead of a
    wide one with all its entries in indexes there. For the import's list of contacts, the rule "was in the import", and
    undoing: what a later file met is kept.
    """

    contact = models.OneToOneField(
        Contact, primary_key=True, on_delete=models.CASCADE, related_name="met", db_constraint=False
    )
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    contact_import = models.ForeignKey(
        ContactImport, on_delete=models.CASCADE, related_name="meetings", db_index=False, db_constraint=False
    )
    row = models.PositiveIntegerField()

    objects = TenantManager()

    class Meta:
        indexes = [models.Index(fields=["contact_import", "contact"], name="import_meeting_by_import")]

    def __str__(self) -> str:
        return f"{self.contact_import_id}:{self.row}"


class ImportReject(models.Model):
    """A row that was not taken: refused for its contents, or (`reason` "duplicate") met before in the same file.

    `cells` is the row as it was read, for the file of rejected rows; NUL characters are replaced by U+FFFD.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    contact_import = models.ForeignKey(ContactImport, on_delete=models.CASCADE, related_name="rejects", db_index=False)
    row = models.PositiveIntegerField()
    field = models.CharField(max_length=20)
    value = models.CharField(max_length=100)
    reason = models.CharField(max_length=20)
    sentence = models.CharField(max_length=300)
    cells = models.JSONField(default=list)

    objects = TenantManager()

    class Meta:
        ordering = ["row"]
        constraints = [models.UniqueConstraint(fields=["contact_import", "row"], name="import_reject_once")]

    def __str__(self) -> str:
        return f"{self.contact_import_id}:{self.row} {self.reason}"
