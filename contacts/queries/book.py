"""Reads of a client's book, shared by pages, API and messaging."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, Exists, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Lower, NullIf
from phonenumbers import country_code_for_region

from accounts.models import Client
from contacts import rules
from contacts.models import BinnedContact, Channel, Contact, ContactField, Group, GroupKind, GroupMember, OptOut
from contacts.queries.audiences import members_of
from contacts.queries.opt_outs import opted_out_among
from contacts.search import candidates, common, is_small, newest
from contacts.signals import all_messages
from crm.common.phones import InvalidPhone, read_phone

# Without an index: the first pages of a sorted list keep a few rows while they read, as a search does.
_ORDERS: dict[str, Sequence[Any]] = {
    "": ["-pk"],
    "oldest": ["pk"],
    "name": [Lower(NullIf("name", Value(""))).asc(nulls_last=True), "pk"],
}


def contacts_for(
    client: Client,
    *,
    search: str = "",
    group: int | None = None,
    tag: int | None = None,
    department: str = "",
    contact_import: int | None = None,
    opted_out: bool | None = None,
    country: str = "",
    has_consent: bool | None = None,
    sort: str = "",
) -> QuerySet[Contact]:
    """The client's contacts. search: part of a name, address, department or number. sort: "" newest, oldest, name.

    group: of any kind. opted_out: only those who want no SMS from any sender, or only the others. country: ISO 3166,
    of the number. has_consent: whether a record of it is kept.
    """
    found = Contact.objects.for_client(client)
    for each in (group, tag):
        if each is not None:
            found = found.filter(pk__in=members_of(client.pk, [each]).values("pk"))
    if department:
        found = found.filter(department=department)
    if contact_import is not None:
        found = found.filter(rules.in_import(client.pk, contact_import))
    if opted_out is not None:
        gone = OptOut.objects.for_client(client).filter(channel=Channel.SMS, sender="", address=OuterRef("phone"))
        found = found.filter(Exists(gone) if opted_out else ~Exists(gone))
    if country:
        found = found.filter(phone__startswith=f"+{country_code_for_region(country)}")
    if has_consent is not None:
        found = found.filter(consent__isnull=not has_consent)
    if text := search.replace("\x00", "").strip()[:200]:
        others = (group, tag, department, contact_import, country)
        is_alone = not any((*others, sort)) and opted_out is None and has_consent is None
        found, many = _searched(found, text, client, is_alone)
        if many:
            rows = found.order_by(*_ORDERS[sort])
            rows.more_than = many  # type: ignore[attr-defined]  # so that nobody has to count them
            return rows
    return found.order_by(*_ORDERS[sort])


def _searched(found: Any, text: str, client: Client, is_alone: bool) -> tuple[Any, int]:
    """(`found` narrowed to the text, how many there are at least where they are too many to count, else 0).

    is_alone: the text is all that `found` is narrowed by, and the newest come first.
    """
    condition = Q(name__icontains=text) | Q(email__icontains=text) | Q(department__icontains=text)
    plain = "".join(char for char in text if char.isdigit())
    if plain and not any(char.isalpha() for char in text):
        try:
            return found.filter(phone=read_phone(text, client.country).e164), 0
        except InvalidPhone:
            if text.startswith(("+", "00")):
                return _numbers_from(found, plain.removeprefix("00"), is_alone)
            plain = plain.removeprefix("00").lstrip("0") or plain
        condition |= Q(phone__contains=plain)
    else:
        plain = ""
    book = Contact.objects.for_client(client)
    if is_small(book):
        return found.filter(condition), 0
    if is_alone and (many := common(book, condition)):
        return found.filter(condition), many
    narrowed, many = candidates(client.pk, [text, plain] if plain and plain != text else [text], condition)
    if narrowed is not None and (is_alone or not many):
        return found.filter(narrowed, condition), many
    return found.filter(condition), 0


def _numbers_from(found: Any, digits: str, is_alone: bool) -> tuple[Any, int]:
    """As `_searched`, for numbers that begin with these digits of their international form: a range of an index."""
    condition = Q(phone__gte=f"+{digits}", phone__lte=f"+{digits:9<16}")
    if not is_alone:
        return found.filter(condition), 0
    if many := common(found, condition):
        return found.filter(condition), many
    narrowed, many = newest(found.filter(condition))
    return found.filter(narrowed), many


def decorate(client: Client, contacts: Sequence[Contact]) -> None:
    """Give each contact of one page `group_names`, `tag_names`, `opted_out` (SMS, every sender) and `last_message_at`.

    Three queries. Groups by rule are not among the names: they have no list of members.
    """
    names: dict[int, list[tuple[str, str]]] = {}
    members = GroupMember.objects.filter(client=client, contact_id__in=[contact.pk for contact in contacts])
    rows = members.order_by("group__name").values_list("contact_id", "group__kind", "group__name")
    for contact_id, kind, name in rows:
        names.setdefault(contact_id, []).append((kind, name))
    out = opted_out_among(Channel.SMS, [(client.pk, contact.phone, "") for contact in contacts if contact.phone])
    last = _last_messages(client, [contact.phone or contact.email for contact in contacts])
    for contact in contacts:
        own = names.get(contact.pk, [])
        contact.group_names = [name for kind, name in own if kind != GroupKind.TAG]  # type: ignore[attr-defined]
        contact.tag_names = [name for kind, name in own if kind == GroupKind.TAG]  # type: ignore[attr-defined]
        contact.opted_out = (client.pk, contact.phone, "") in out  # type: ignore[attr-defined]
        contact.last_message_at = last.get(contact.phone or contact.email)  # type: ignore[attr-defined]


def _last_messages(client: Client, addresses: Sequence[str]) -> dict[str, datetime]:
    messages = all_messages()
    if messages is None or not addresses:
        return {}
    found = messages.filter(client_id=client.pk, recipient__in=addresses).order_by().values_list("recipient")
    return dict(found.annotate(last=Max("created_at")))


def messages_of(contact: Contact, count: int = 20) -> list[Any]:
    """The last messages to the contact's number and address, and to those of contacts merged into it, newest first."""
    messages = all_messages()
    if messages is None:
        return []
    former = contact.former_addresses.filter(client_id=contact.client_id).values_list("address", flat=True)
    addresses = [address for address in (contact.phone, contact.email, *former) if address]
    return list(messages.filter(client_id=contact.client_id, recipient__in=addresses).order_by("-pk")[:count])


def rule_groups_of(contact: Contact) -> list[str]:
    """The names of the groups by rule that the contact is in now. One query for each rule."""
    by_rule = Group.objects.for_client(contact.client_id).filter(kind=GroupKind.RULE).order_by("name")
    return [
        group.name for group in by_rule if rules.matching(contact.client, group.rule).filter(pk=contact.pk).exists()
    ]


def groups_for(client: Client) -> QuerySet[Group]:
    """Fixed groups and groups by rule, by name."""
    return Group.objects.for_client(client).exclude(kind=GroupKind.TAG).order_by("name", "pk")


def fixed_groups_for(client: Client) -> QuerySet[Group]:
    """The groups that contacts can be put into, by name."""
    return Group.objects.for_client(client).filter(kind=GroupKind.FIXED).order_by("name", "pk")


def tags_for(client: Client) -> QuerySet[Group]:
    return Group.objects.for_client(client).filter(kind=GroupKind.TAG).order_by("name", "pk")


def groups_with_counts(client: Client) -> QuerySet[Group]:
    """The client's fixed groups and groups by rule, by name, each with `size`: its number of contacts now."""
    by_rule = Group.objects.for_client(client).filter(kind=GroupKind.RULE)
    whens = [When(pk=group.pk, then=_counted(rules.matching(client, group.rule), "client_id")) for group in by_rule]
    size = Case(*whens, default=_members_counted(client)) if whens else _members_counted(client)
    return groups_for(client).annotate(size=Coalesce(size, 0))


def tags_with_counts(client: Client) -> QuerySet[Group]:
    """The client's tags by name, each with `size`."""
    return tags_for(client).annotate(size=Coalesce(_members_counted(client), 0))


def _members_counted(client: Client) -> Subquery:
    return _counted(GroupMember.objects.filter(client=client, group_id=OuterRef("pk")), "group_id")


def _counted(rows: QuerySet, same: str) -> Subquery:
    """The number of `rows`, which share the value of `same`, as an expression; NULL for none."""
    return Subquery(rows.order_by().values(same).annotate(n=Count("pk")).values("n"), output_field=IntegerField())


def bin_for(client: Client, *, search: str = "") -> QuerySet[BinnedContact]:
    """What was deleted and can be restored, the latest first."""
    found = BinnedContact.objects.for_client(client)
    if text := search.replace("\x00", "").strip()[:200]:
        plain = "".join(char for char in text if char.isdigit()).lstrip("0")
        condition = Q(name__icontains=text) | Q(email__icontains=text)
        found = found.filter(condition | Q(phone__contains=plain) if plain else condition)
    return found.order_by("-pk")


def titles_of(client: Client) -> list[str]:
    """The names of the client's own fields."""
    return list(ContactField.objects.for_client(client).values_list("key", flat=True))
