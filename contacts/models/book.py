"""A client's book: people, and the groups and tags they have."""

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from accounts.models import Client
from crm.common.tenancy import TenantManager

NAME_LENGTH = 200
DEPARTMENT_LENGTH = 120
EMAIL_LENGTH = 254
GROUP_NAME_LENGTH = 80
FIELD_KEY_LENGTH = 60
PROOF_LENGTH = 300
STATEMENT_LENGTH = 500
KEEP_UNDO_DAYS = 7
KEEP_BIN_DAYS = 30


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
    """A person whom a client may write to: by `phone` (E.164), or by email alone where there is none.

    A phone is in a client's book once; an email address is unique among the contacts without a phone, so that loading
    a file twice doubles nobody. Email addresses are kept in lower case. `attributes` maps further column titles to
    non-empty strings. `created_import` and its row say which file made the contact, without a row if it has been in the
    bin since; a later file that meets it is noted in ImportMeeting. That is how the engine knows a number it has met
    before in the same file, without remembering a million of them.
    """

    # Foreign keys without constraints: a client is never deleted, nor an import that wrote a contact, and on PostgreSQL
    # checking each row took a third of the time of an import.
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    phone = models.CharField(max_length=16, null=True, blank=True)  # noqa: DJ001 - NULLs are distinct, "" is not
    email = models.CharField(max_length=EMAIL_LENGTH, blank=True, default="")
    name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    department = models.CharField(max_length=DEPARTMENT_LENGTH, blank=True, default="")
    attributes = models.JSONField(default=dict, blank=True)
    assigned = models.BooleanField(default=True, help_text="Off: no operator is known for the number's range")
    created_import = models.ForeignKey(
        "ContactImport", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False,
        db_constraint=False,
    )  # fmt: skip
    created_row = models.PositiveIntegerField(null=True, blank=True)
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
            models.Index(fields=["client", "email", "id"], condition=~Q(email=""), name="contact_by_email"),
            models.Index(
                fields=["created_import", "id"],
                condition=Q(created_import__isnull=False),
                name="contact_by_first_import",
            ),
            models.Index(fields=["updated_at", "id"], name="contact_by_change"),
        ]

    def __str__(self) -> str:
        return self.name or self.phone or self.email


class SearchMark(models.Model):
    """How far the index of contacts/search.py is: every change up to this moment and contact is in it. One row."""

    updated_at = models.DateTimeField()
    contact_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.updated_at}"


class GroupKind(models.TextChoices):
    """fixed: people are put in and taken out. rule: whoever meets the conditions now. tag: a label, fixed as well."""

    FIXED = "fixed", _("Fixed")
    RULE = "rule", _("By rule")
    TAG = "tag", _("Tag")


class Group(models.Model):
    """A named set of contacts, or a tag; the name is unique among a client's groups, or tags, whatever its letter case.

    A tag is a set like another, kept here so that lists, rules, imports and audiences know one kind of set. `rule`
    (contacts/rules.py) says who is in a group by rule, which has no GroupMember rows.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=GROUP_NAME_LENGTH)
    kind = models.CharField(max_length=10, choices=GroupKind, default=GroupKind.FIXED, db_default=GroupKind.FIXED)
    rule = models.JSONField(default=dict, blank=True, db_default=Value({}, models.JSONField()))
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint("client", Lower("name"), condition=~Q(kind="tag"), name="group_name_once"),
            models.UniqueConstraint("client", Lower("name"), condition=Q(kind="tag"), name="tag_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class GroupMember(models.Model):
    """A contact's place in a group. The three belong to the same client; services see to it.

    added_by_import: the import that put the contact there, so that undoing it takes the contact out again. Of the three
    only the contact has a constraint: each costs every imported row a check, and the place in a group that is gone is
    met by no query.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="members", db_constraint=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="memberships")
    added_by_import = models.BigIntegerField(null=True, editable=False)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["client", "group", "contact"], name="group_member_once")]

    def __str__(self) -> str:
        return f"{self.group_id}:{self.contact_id}"


class BinnedContact(models.Model):
    """A contact that was deleted: as it stood, with the ids of its groups and tags, for KEEP_BIN_DAYS.

    Its row in Contact is gone, so that no list, audience or number check can meet it. Restoring gives it its former id.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    contact_id = models.BigIntegerField()
    phone = models.CharField(max_length=16, null=True)  # noqa: DJ001 - as in Contact
    email = models.CharField(max_length=EMAIL_LENGTH)
    name = models.CharField(max_length=NAME_LENGTH)
    department = models.CharField(max_length=DEPARTMENT_LENGTH)
    attributes = models.JSONField(default=dict)
    assigned = models.BooleanField()
    created_import_id = models.BigIntegerField(null=True)
    consent_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    groups = models.JSONField(default=list)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    deleted_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["client", "contact_id"], name="binned_contact_once")]
        indexes = [
            models.Index(fields=["client", "-id"], name="bin_by_client"),
            models.Index(fields=["client", "phone"], name="bin_by_phone"),
            models.Index(fields=["deleted_at"], name="bin_by_age"),
        ]

    def __str__(self) -> str:
        return self.name or self.phone or self.email


class FormerAddress(models.Model):
    """An address of a contact that was merged into another: what was sent to it is the other's history now."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="former_addresses")
    address = models.CharField(max_length=EMAIL_LENGTH)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantManager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["client", "contact", "address"], name="former_address_once")]

    def __str__(self) -> str:
        return self.address


class BulkState(models.TextChoices):
    """waiting → running → done | stopped | failed."""

    WAITING = "waiting", _("Waiting to start")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    STOPPED = "stopped", _("Stopped")
    FAILED = "failed", _("Failed")


class BulkAct(models.TextChoices):
    ADD = "add", _("Add to group")
    REMOVE = "remove", _("Remove from group")
    DELETE = "delete", _("Move to the bin")
    OPT_OUT = "opt_out", _("Opt out")


class BulkChange(models.Model):
    """One act on every contact that matches `filters` (contacts/filters.py) and was in the book when it was asked for.

    Done in chunks by contact id; `cursor` moves in the transaction that changes the contacts before it, so that a
    successor of a killed worker goes on there. `until` is the newest contact that is meant. `changed` counts those on
    whom something changed.
    """

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+", db_index=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    act = models.CharField(max_length=10, choices=BulkAct)
    group = models.ForeignKey(Group, null=True, on_delete=models.SET_NULL, related_name="+")
    group_name = models.CharField(max_length=GROUP_NAME_LENGTH, blank=True)
    filters = models.JSONField(default=dict)
    note = models.CharField(max_length=PROOF_LENGTH, blank=True)
    state = models.CharField(max_length=10, choices=BulkState, default=BulkState.WAITING)
    error = models.CharField(max_length=300, blank=True)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    cursor = models.BigIntegerField(default=0)
    until = models.BigIntegerField(default=0)
    lease_token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["client", "-id"], name="bulk_by_client"),
            models.Index(fields=["state"], condition=Q(state__in=["waiting", "running"]), name="bulk_open"),
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.pk}"

    @property
    def is_over(self) -> bool:
        return self.state not in (BulkState.WAITING, BulkState.RUNNING)
