"""A client's book: people, the groups they are in, the files they came from, and who does not want messages."""

from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from crm.common.channels import Channel
from crm.common.tenancy import TenantManager

NAME_LENGTH = 200
DEPARTMENT_LENGTH = 120
EMAIL_LENGTH = 254
GROUP_NAME_LENGTH = 80
FIELD_KEY_LENGTH = 60
PROOF_LENGTH = 300
STATEMENT_LENGTH = 500
KEEP_UNDO_DAYS = 7


class ConsentSource(models.TextChoices):
    FORM = "form", _("They signed or ticked a form")
    VERBAL = "verbal", _("They agreed in person or by phone")
    CUSTOMER = "customer", _("They are customers and were told")
    OTHER = "other", _("In another way")


class Consent(models.Model):
    """How people agreed to get messages: the words of whoever recorded it. One row serves all contacts of a file."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    source = models.CharField(max_length=10, choices=ConsentSource)
    statement = models.CharField(max_length=STATEMENT_LENGTH, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["client", "-id"], name="consent_by_client")]

    def __str__(self) -> str:
        return self.get_source_display()


class FieldKind(models.TextChoices):
    TEXT = "text", _("Text")
    NUMBER = "number", _("Number")
    DATE = "date", _("Date")
    CHOICE = "choice", _("One of a list")


class ContactField(models.Model):
    """A field of the client's own, kept in Contact.attributes under `key`, which is unique whatever its letter case.

    Values are text in one spelling per kind (importing/values.py); `choices` are those of a choice.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=FIELD_KEY_LENGTH)
    kind = models.CharField(max_length=10, choices=FieldKind, default=FieldKind.TEXT)
    choices = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["key", "pk"]
        constraints = [models.UniqueConstraint("client", Lower("key"), name="contact_field_once")]

    def __str__(self) -> str:
        return self.key


class Contact(models.Model):
    """A person whom a client may write to: by `phone` (E.164), or by e-mail alone where there is none.

    A phone is in a client's book once; an e-mail address is unique among the contacts without a phone, so that loading
    a file twice doubles nobody. E-mail addresses are kept in lower case. `attributes` maps further column titles to
    non-empty strings. `last_import` and its row say which file touched the contact last: that is how the engine knows
    a number it has met before in the same file, without remembering a million of them.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    phone = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001 - NULLs are distinct, "" is not
    email = models.CharField(max_length=EMAIL_LENGTH, blank=True, default="")
    name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    department = models.CharField(max_length=DEPARTMENT_LENGTH, blank=True, default="")
    attributes = models.JSONField(default=dict, blank=True)
    assigned = models.BooleanField(default=True, help_text="Off: no operator is known for the number's range")
    # Without constraints: an import that wrote a contact is never deleted, and on PostgreSQL the checks of foreign keys
    # took a third of the time of an import.
    last_import = models.ForeignKey(
        "ContactImport", null=True, blank=True, on_delete=models.SET_NULL, related_name="contacts", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    last_import_row = models.PositiveIntegerField(null=True, blank=True)
    created_import = models.ForeignKey(
        "ContactImport", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    consent = models.ForeignKey(
        Consent, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["client", "phone"], name="contact_phone_once"),
            models.UniqueConstraint(
                fields=["client", "email"], condition=Q(phone__isnull=True), name="contact_email_once_without_phone"
            ),
            models.CheckConstraint(
                condition=Q(phone__startswith="+") | (Q(phone__isnull=True) & ~Q(email="")), name="contact_reachable"
            ),
        ]
        indexes = [
            models.Index(fields=["client", "id"], name="contact_by_client"),
            models.Index(fields=["last_import"], condition=Q(last_import__isnull=False), name="contact_by_last_import"),
            models.Index(
                fields=["created_import", "id"],
                condition=Q(created_import__isnull=False),
                name="contact_by_first_import",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.phone or self.email


class Group(models.Model):
    """A named set of contacts; the name is unique within a client whatever its letter case."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=GROUP_NAME_LENGTH)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint("client", Lower("name"), name="group_name_once")]

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    """A contact's place in a group. The three belong to the same client; services see to it.

    added_by_import: the import that put the contact there, so that undoing it takes the contact out again. The client
    is the contact's, which has the constraint; a second one would cost every imported row a check.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="members")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="memberships")
    added_by_import = models.BigIntegerField(null=True, editable=False)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["client", "group", "contact"], name="group_member_once")]

    def __str__(self) -> str:
        return f"{self.group_id}:{self.contact_id}"


def normal_address(channel: str, address: str) -> str:
    """The one spelling under which an address is kept and compared."""
    return address.strip().lower() if channel == Channel.EMAIL else address.strip()


class OptOutSource(models.TextChoices):
    STOP = "stop", _("The person replied STOP")
    LINK = "link", _("The person used the opt-out link")
    NETWORK = "network", _("The network blocks promotions to this number")
    STAFF = "staff", _("Entered by hand")
    UPLOAD = "upload", _("From an uploaded list")
    API = "api", _("By API")


class OptOut(models.Model):
    """An address that wants no messages from a client on a channel; `sender` "" means from none of its senders.

    Stands for the address, not for a contact: it outlives the contact and no file of contacts changes it. `proof` is
    what shows that the person wanted it: the words of the reply, or what a colleague wrote down.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=10, choices=Channel)
    address = models.CharField(max_length=EMAIL_LENGTH, help_text="E.164 number, or e-mail address in lower case")
    sender = models.CharField(max_length=40, blank=True, default="")
    source = models.CharField(max_length=10, choices=OptOutSource)
    proof = models.CharField(max_length=PROOF_LENGTH, blank=True, default="", db_default="")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["client", "channel", "address", "sender"], name="opt_out_once"),
        ]

    def __str__(self) -> str:
        return f"{self.channel}:{self.address}"


class OptOutChange(models.Model):
    """What was recorded about an address, never changed: out (no more messages) or in again, why, and by whom."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=10, choices=Channel)
    address = models.CharField(max_length=EMAIL_LENGTH)
    sender = models.CharField(max_length=40, blank=True, default="")
    is_out = models.BooleanField()
    source = models.CharField(max_length=10, choices=OptOutSource)
    note = models.CharField(max_length=PROOF_LENGTH, blank=True, default="")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["client", "address", "-id"], name="opt_out_change_by_address")]

    def __str__(self) -> str:
        return f"{self.channel}:{self.address} {'out' if self.is_out else 'in'}"


class OptOutLink(models.Model):
    """The page on which the owner of an address says STOP to a sender. Its token carries the row's id, no number."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=10, choices=Channel)
    address = models.CharField(max_length=EMAIL_LENGTH)
    sender = models.CharField(max_length=40, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["client", "channel", "address", "sender"], name="opt_out_link_once"),
        ]

    def __str__(self) -> str:
        return f"link {self.pk}"


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
            # Two files of one client never run at once: the mark of the last import on a contact would not tell whose
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
