"""Shapes of what the native API of contacts takes and gives (contracts/dialects/native.md, "Contacts").

Only shape is checked here; what a number, a name or an attribute may be, the services decide.
"""

from typing import Any

from rest_framework import serializers

from contacts.models import (
    DEPARTMENT_LENGTH,
    EMAIL_LENGTH,
    GROUP_NAME_LENGTH,
    NAME_LENGTH,
    Contact,
    ContactImport,
    Group,
    ImportReject,
    ImportState,
)
from crm.common.phones import digits

MOST_IDS = 1000
MOST_ERRORS = 1000
_LARGEST_ID = 2**63 - 1


def _text(longest: int, help_text: str, **options: Any) -> serializers.CharField:
    options = {"required": False, "allow_null": True, "allow_blank": True} | options
    return serializers.CharField(max_length=longest, help_text=help_text, **options)


class ContactRequest(serializers.Serializer):
    """POST contacts, and PUT contacts/{id}, which replaces everything."""

    phone = serializers.CharField(max_length=40, help_text="In any spelling; a local one is read in your country.")
    name = _text(NAME_LENGTH, "Full name.")
    email = _text(EMAIL_LENGTH, "Kept in lower case.")
    department = _text(DEPARTMENT_LENGTH, "Department, branch or class.")
    attributes = serializers.DictField(
        required=False, allow_null=True, help_text="Further values by name; they fill {placeholders} of campaigns."
    )
    groups = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=_LARGEST_ID),
        max_length=100,
        required=False,
        allow_null=True,
        help_text="Ids of groups to put the contact into; those it is in already stay.",
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=GROUP_NAME_LENGTH),
        max_length=100,
        required=False,
        allow_null=True,
        help_text="Names of tags to give the contact; a new name makes a tag, and those it has already stay.",
    )


class ContactChange(ContactRequest):
    """PATCH contacts/{id}: only what is given changes."""

    phone = serializers.CharField(max_length=40, required=False, help_text="In any spelling.")


class GroupRequest(serializers.Serializer):
    name = serializers.CharField(max_length=GROUP_NAME_LENGTH, help_text="Unique, whatever its letter case.")


class MembersRequest(serializers.Serializer):
    contacts = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=_LARGEST_ID),
        min_length=1,
        max_length=MOST_IDS,
        help_text="Ids of contacts.",
    )


class ImportRequest(serializers.Serializer):
    file = serializers.FileField(help_text="A table with a header row. At most 50 MB and 1,000,000 rows.")
    group = _text(GROUP_NAME_LENGTH, "Id or name of a group for everybody in the file; a new name makes a group.")
    duplicates = serializers.ChoiceField(
        choices=["update", "skip"],
        default="update",
        help_text="What a row does to a contact that exists: overwrite its values (blank cells never do), or nothing.",
    )


class ContactShape(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    phone = serializers.CharField(allow_null=True, help_text="International, digits only.")
    email = serializers.CharField()
    department = serializers.CharField()
    groups = serializers.ListField(child=serializers.CharField(), help_text="Names; groups by rule are not listed.")
    tags = serializers.ListField(child=serializers.CharField(), help_text="Names.")
    attributes = serializers.DictField(child=serializers.CharField())
    opted_out = serializers.BooleanField(help_text="Wants no SMS from any of your senders.")
    created_at = serializers.DateTimeField()


class SavedContactShape(ContactShape):
    created = serializers.BooleanField(help_text="False where ?upsert=true found the contact and changed it.")


class GroupShape(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    contacts = serializers.IntegerField(help_text="How many are in it.")
    created_at = serializers.DateTimeField()


class MembersShape(serializers.Serializer):
    id = serializers.IntegerField(help_text="Of the group.")
    changed = serializers.IntegerField(help_text="How many were put in, or taken out.")
    contacts = serializers.IntegerField(help_text="How many are in the group now.")


class DeletedShape(serializers.Serializer):
    id = serializers.IntegerField()


class ImportErrorShape(serializers.Serializer):
    row = serializers.IntegerField(help_text="As a spreadsheet numbers it, the header being row 1.")
    field = serializers.CharField()
    value = serializers.CharField()
    message = serializers.CharField()


class ImportShape(serializers.Serializer):
    import_id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=["success", "processing", "failed"])
    total = serializers.IntegerField(help_text="Rows in the file.")
    imported = serializers.IntegerField(help_text="New contacts.")
    updated = serializers.IntegerField()
    skipped = serializers.IntegerField(help_text="Left alone, or the same number again in this file.")
    failed = serializers.IntegerField()
    errors = ImportErrorShape(many=True, help_text="The first 1,000 refused rows.")  # type: ignore[assignment]
    message = serializers.CharField(allow_null=True, help_text="Why it ended early, if it did.")


def show_contact(contact: Contact) -> dict[str, Any]:
    """A contact that contacts.queries.decorate has been over."""
    return {
        "id": contact.pk,
        "name": contact.name,
        "phone": digits(contact.phone) if contact.phone else None,
        "email": contact.email,
        "department": contact.department,
        "groups": contact.group_names,  # type: ignore[attr-defined]
        "tags": contact.tag_names,  # type: ignore[attr-defined]
        "attributes": contact.attributes,
        "opted_out": contact.opted_out,  # type: ignore[attr-defined]
        "created_at": contact.created_at,
    }


def show_group(group: Group) -> dict[str, Any]:
    """A group with its `size`."""
    return {"id": group.pk, "name": group.name, "contacts": group.size, "created_at": group.created_at}  # type: ignore[attr-defined]


_STATUSES = {ImportState.DONE: "success", ImportState.STOPPED: "failed", ImportState.FAILED: "failed"}


def show_import(batch: ContactImport, rejects: list[ImportReject]) -> dict[str, Any]:
    return {
        "import_id": batch.pk,
        "status": _STATUSES.get(ImportState(batch.state), "processing"),
        "total": batch.rows_total,
        "imported": batch.imported,
        "updated": batch.updated,
        "skipped": batch.skipped + batch.duplicate_rows,
        "failed": batch.failed,
        "errors": [
            {"row": row.row, "field": row.field, "value": row.value, "message": row.sentence} for row in rejects
        ],
        "message": batch.error or ("It was stopped." if batch.state == ImportState.STOPPED else None),
    }
