"""Groups and who is in them."""

from collections.abc import Iterable

from django.db import IntegrityError, transaction

from accounts.models import Client
from contacts.errors import GroupExists
from contacts.importing.engine import add_members
from contacts.importing.rows import clean_text
from contacts.models import GROUP_NAME_LENGTH, Group, GroupMember
from crm.common.errors import InvalidInput


def create_group(*, client: Client, name: str) -> Group:
    """Raises: InvalidInput (name), GroupExists."""
    return _save(Group(client=client), name)


def rename_group(*, group: Group, name: str) -> Group:
    """Raises: InvalidInput (name), GroupExists."""
    return _save(group, name)


def delete_group(*, group: Group) -> None:
    """Delete the group; its contacts stay in the book."""
    with transaction.atomic():
        GroupMember.objects.filter(client_id=group.client_id, group=group).delete()
        group.delete()


def add_to_group(*, group: Group, contact_ids: Iterable[int]) -> int:
    """Put contacts of the same client into the group; others are passed over. Returns how many were not in it."""
    return add_members(group.client_id, group.pk, list(contact_ids))


def remove_from_group(*, group: Group, contact_ids: Iterable[int]) -> int:
    """Take contacts out of the group. Returns how many were in it."""
    members = GroupMember.objects.filter(client_id=group.client_id, group=group, contact_id__in=list(contact_ids))
    return members.delete()[0]


def _save(group: Group, name: str) -> Group:
    group.name = clean_text(name.strip())
    if not group.name:
        raise InvalidInput({"name": ["Give the group a name."]})
    if len(group.name) > GROUP_NAME_LENGTH:
        raise InvalidInput({"name": [f"At most {GROUP_NAME_LENGTH} characters."]})
    try:
        with transaction.atomic():
            group.save()
    except IntegrityError:
        other = Group.objects.filter(client_id=group.client_id, name__iexact=group.name).exclude(pk=group.pk).first()
        if other is None:
            raise
        raise GroupExists(f"There is a group “{other.name}” already.", group_id=other.pk) from None
    return group
