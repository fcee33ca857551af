"""Fields of the client's own: what they are called and what may stand in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs
from contacts.importing.matching import MAX_ATTRIBUTES, attribute_key
from contacts.importing.rows import clean_text
from contacts.models import Contact, ContactField, FieldKind
from crm.common.errors import InvalidInput, WrongState
from crm.common.sql import database_now, insert_rows

MAX_CHOICES = 100
_TAKEN = frozenset({"name", "phone", "email", "department", "first name", "last name", "first_name", "last_name"})


def ensure_fields(*, client_id: int, kinds: Mapping[str, str]) -> None:
    """Make a field of each key (key → FieldKind) that the client has not yet, in whatever letter case; others stay."""
    now = database_now()
    known = {key.casefold() for key in ContactField.objects.for_client(client_id).values_list("key", flat=True)}
    rows: list[tuple[Any, ...]] = [
        (client_id, key, kind, [], now) for key, kind in kinds.items() if key.casefold() not in known
    ]
    columns = ["client_id", "key", "kind", "choices", "created_at"]
    insert_rows(ContactField, columns, rows, suffix="ON CONFLICT DO NOTHING")


@needs("contacts.write")
def create_field(*, client: Client, key: str, kind: str = FieldKind.TEXT, choices: Sequence[str] = ()) -> ContactField:
    """Raises: InvalidInput (key, kind, choices): the name is taken or cannot be written as {name} in a text."""
    title = clean_text(key.strip())
    if not title or attribute_key(title, 0) != title:
        raise InvalidInput({"key": [_("A name begins with a letter; letters, digits, spaces and hyphens may follow.")]})
    if title.casefold() in _TAKEN:
        raise InvalidInput({"key": [_("Every contact has this field already.")]})
    if ContactField.objects.for_client(client).count() >= MAX_ATTRIBUTES:
        raise InvalidInput({"key": [_("At most %(most)s fields.") % {"most": MAX_ATTRIBUTES}]})
    field = ContactField(client=client, key=title)
    _set_kind(field, kind, choices)
    try:
        with transaction.atomic():
            field.save()
    except IntegrityError:
        raise InvalidInput({"key": [_("There is a field “%(name)s” already.") % {"name": title}]}) from None
    return field


@needs("contacts.write", of="field")
def change_field(*, field: ContactField, kind: str, choices: Sequence[str] = ()) -> ContactField:
    """Change what may stand in a field from now on; what contacts have stays until it is edited.

    Raises: InvalidInput (kind, choices).
    """
    _set_kind(field, kind, choices)
    field.save(update_fields=["kind", "choices"])
    return field


@needs("contacts.write", of="field")
def delete_field(*, field: ContactField) -> None:
    """Raises: WrongState while a contact has a value in it."""
    with transaction.atomic():
        if Contact.objects.for_client(field.client_id).filter(attributes__has_key=field.key).exists():
            raise WrongState(_("Contacts have values in this field: empty them first."))
        field.delete()


def _set_kind(field: ContactField, kind: str, choices: Sequence[str]) -> None:
    if kind not in FieldKind.values:
        raise InvalidInput({"kind": [_("Choose what may stand in the field.")]})
    listed: dict[str, str] = {}
    for choice in choices:
        if text := clean_text(choice.strip()):
            listed.setdefault(text.casefold(), text)
    if kind == FieldKind.CHOICE and not 0 < len(listed) <= MAX_CHOICES:
        sentence = _("List between one and %(most)s words, one per line.") % {"most": MAX_CHOICES}
        raise InvalidInput({"choices": [sentence]})
    if any(len(text) > 100 for text in listed.values()):
        raise InvalidInput({"choices": [_("At most 100 characters each.")]})
    field.kind, field.choices = kind, list(listed.values()) if kind == FieldKind.CHOICE else []
