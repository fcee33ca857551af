"""Groups, tags and who is in them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs
from contacts import rules
from contacts.errors import GroupExists
from contacts.importing.engine import add_members
from contacts.importing.rows import clean_text
from contacts.models import GROUP_NAME_LENGTH, ContactImport, Group, GroupKind, GroupMember
from crm.common.errors import InvalidInput, WrongState

MOST_TAGS = 500


@needs("contacts.write")
def create_group(*, client: Client, name: str) -> Group:
    """Raises: InvalidInput (name), GroupExists."""
    return _save(Group(client=client), name)


@needs("contacts.write", of="group")
def rename_group(*, group: Group, name: str) -> Group:
    """Raises: InvalidInput (name), GroupExists."""
    return _save(group, name)


@needs("contacts.write")
def create_rule_group(*, client: Client, name: str, match: str, conditions: Iterable[Mapping[str, Any]]) -> Group:
    """A group of whoever meets the conditions (contacts/rules.py) whenever it is asked.

    Raises: InvalidInput (name, rule), GroupExists.
    """
    return _save(Group(client=client, kind=GroupKind.RULE, rule=rules.read_rule(client, match, conditions)), name)


@needs("contacts.write", of="group")
def change_rule(*, group: Group, name: str, match: str, conditions: Iterable[Mapping[str, Any]]) -> Group:
    """Raises: InvalidInput (name, rule), GroupExists, WrongState (it is no group by rule)."""
    if group.kind != GroupKind.RULE:
        raise WrongState(_("People are put into this group by hand; it has no rule."))
    group.rule = rules.read_rule(group.client, match, conditions)
    return _save(group, name)


def group_of_import(*, contact_import: ContactImport) -> Group:
    """The group that the file's contacts were put into, or one by rule that holds whoever was in the file."""
    batch = contact_import
    if batch.group:
        return batch.group
    condition = {"field": "import", "op": "in", "value": batch.pk}
    rule = {"match": "all", "conditions": [condition]}
    known = Group.objects.for_client(batch.client_id).filter(kind=GroupKind.RULE, rule=rule).first()
    if known:
        return known
    name = batch.filename[: GROUP_NAME_LENGTH - 12]
    taken = Group.objects.for_client(batch.client_id).exclude(kind=GroupKind.TAG).filter(name__iexact=name).exists()
    return create_rule_group(
        client=batch.client, name=f"{name} ({batch.pk})" if taken else name, match="all", conditions=[condition]
    )


@needs("contacts.write")
def create_tag(*, client: Client, name: str) -> Group:
    """Raises: InvalidInput (name), GroupExists."""
    return ensure_tags(client=client, names=[name], must_be_new=True)[0]


def ensure_tags(*, client: Client, names: Sequence[str], must_be_new: bool = False) -> list[Group]:
    """The client's tags of these names, in their order and each once, made where there is none yet.

    Raises: InvalidInput (name), and with must_be_new GroupExists.
    """
    tags: dict[int, Group] = {}
    for name in names:
        known = Group.objects.for_client(client).filter(kind=GroupKind.TAG)
        tag = None if must_be_new else known.filter(name__iexact=clean_text(name.strip())).first()
        if tag is None:
            if known.count() >= MOST_TAGS:
                raise InvalidInput({"name": [_("At most %(most)s tags.") % {"most": MOST_TAGS}]})
            tag = _save(Group(client=client, kind=GroupKind.TAG), name)
        tags[tag.pk] = tag
    return list(tags.values())


@needs("contacts.write", of="group")
def delete_group(*, group: Group) -> None:
    """Delete the group or tag; its contacts stay in the book. Raises: WrongState (a rule asks about it)."""
    with transaction.atomic():
        for other in Group.objects.for_client(group.client_id).filter(kind=GroupKind.RULE):
            if group.pk in rules.sets_in(other.rule):
                sentence = _("The rule of the group “%(name)s” asks about it: change that rule first.")
                raise WrongState(sentence % {"name": other.name})
        GroupMember.objects.filter(client_id=group.client_id, group=group).delete()
        group.delete()


@needs("contacts.write", of="group")
def add_to_group(*, group: Group, contact_ids: Iterable[int]) -> int:
    """Put contacts of the same client into the group or give them the tag; others are passed over.

    Returns how many were not in it. Raises: InvalidInput (`group`: it is by rule).
    """
    refuse_by_rule(group)
    return add_members(group.client_id, group.pk, list(contact_ids))


@needs("contacts.write", of="group")
def remove_from_group(*, group: Group, contact_ids: Iterable[int]) -> int:
    """Take contacts out of the group. Returns how many were in it. Raises: InvalidInput (`group`: it is by rule)."""
    refuse_by_rule(group)
    members = GroupMember.objects.filter(client_id=group.client_id, group=group, contact_id__in=list(contact_ids))
    return members.delete()[0]


def refuse_by_rule(group: Group) -> None:
    """Raises: InvalidInput (`group`) for a group that fills itself."""
    if group.kind == GroupKind.RULE:
        sentence = _("“%(name)s” fills itself by its rule; nobody is put in or taken out.") % {"name": group.name}
        raise InvalidInput({"group": [sentence]})


def _save(group: Group, name: str) -> Group:
    group.name = clean_text(name.strip())
    if not group.name:
        raise InvalidInput({"name": [_("Give it a name.")]})
    if len(group.name) > GROUP_NAME_LENGTH:
        raise InvalidInput({"name": [_("At most %(most)s characters.") % {"most": GROUP_NAME_LENGTH}]})
    try:
        with transaction.atomic():
            group.save()
    except IntegrityError:
        same = Group.objects.filter(client_id=group.client_id, name__iexact=group.name).exclude(pk=group.pk)
        is_tag = group.kind == GroupKind.TAG
        other = (same.filter(kind=GroupKind.TAG) if is_tag else same.exclude(kind=GroupKind.TAG)).first()
        if other is None:
            raise
        of_tag, of_group = _("There is a tag “%(name)s” already."), _("There is a group “%(name)s” already.")
        sentence = (of_tag if is_tag else of_group) % {"name": other.name}
        raise GroupExists(sentence, group_id=other.pk) from None
    return group
