"""A client's book: people, the groups they are in, the files they came from, and who does not want messages."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.models import Client
from crm.common.tenancy import TenantManager

NAME_LENGTH = 200
DEPARTMENT_LENGTH = 120
EMAIL_LENGTH = 254
GROUP_NAME_LENGTH = 80


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
    last_import = models.ForeignKey(
        "ContactImport", null=True, blank=True, on_delete=models.SET_NULL, related_name="contacts", db_index=False
    )
    last_import_row = models.PositiveIntegerField(null=True, blank=True)
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
    """A contact's place in a group. The three belong to the same client; services see to it."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="members")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="memberships")

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["client", "group", "contact"], name="group_member_once")]

    def __str__(self) -> str:
        return f"{self.group_id}:{self.contact_id}"


class Channel(models.TextChoices):
    SMS = "sms", "SMS"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", "Email"


def normal_address(channel: str, address: str) -> str:
    """The one spelling under which an address is kept and compared."""
    return address.strip().lower() if channel == Channel.EMAIL else address.strip()


class OptOutSource(models.TextChoices):
    STOP = "stop", "The person replied STOP"
    NETWORK = "network", "The network blocks promotions to this number"
    STAFF = "staff", "Entered by hand"
    API = "api", "By API"


class OptOut(models.Model):
    """An address that wants no messages from a client on a channel; `sender` "" means from none of its senders.

    Stands for the address, not for a contact: it outlives the contact and no file upload changes it.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(max_length=10, choices=Channel)
    address = models.CharField(max_length=EMAIL_LENGTH, help_text="E.164 number, or e-mail address in lower case")
    sender = models.CharField(max_length=40, blank=True, default="")
    source = models.CharField(max_length=10, choices=OptOutSource)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["client", "channel", "address", "sender"], name="opt_out_once"),
        ]

    def __str__(self) -> str:
        return f"{self.channel}:{self.address}"


class ImportState(models.TextChoices):
    """uploaded (being checked) → ready (waits for a worker) → running → done | stopped | failed."""

    UPLOADED = "uploaded", "Not started"
    READY = "ready", "Waiting to start"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    STOPPED = "stopped", "Stopped"
    FAILED = "failed", "Failed"


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
    worker that may write and `lease_until` when another may take over.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    stored_as = models.CharField(max_length=120, help_text="Below MEDIA_ROOT; the file goes when the import is over")
    filename = models.CharField(max_length=200)
    size = models.BigIntegerField(help_text="Bytes")
    encoding = models.CharField(max_length=20)
    delimiter = models.CharField(max_length=1)
    has_header = models.BooleanField()
    headers = models.JSONField(default=list)
    mapping = models.JSONField(default=list)
    duplicates = models.CharField(max_length=10, choices=Duplicates, default=Duplicates.FILL)
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=10, choices=ImportState, default=ImportState.UPLOADED)
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
            models.Index(fields=["state"], condition=Q(state__in=["ready", "running"]), name="import_open"),
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
    def is_over(self) -> bool:
        return self.state in (ImportState.DONE, ImportState.STOPPED, ImportState.FAILED)


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
