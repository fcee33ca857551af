"""Who a set of groups reaches: fixed groups, tags and groups by rule alike, minus others, as SQL of contact ids."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from contacts import rules
from contacts.models import Channel, Contact, Group, GroupKind, GroupMember
from contacts.queries.opt_outs import opted_out_among
from crm.common.sql import on_postgres

# (contact id, phone in E.164 or "", name, email or "", department, attributes)
Recipient = tuple[int, str, str, str, str, dict[str, str]]
Sql = tuple[str, list[Any]]

LARGEST_ID = 2**63 - 1


def address_in(person: Recipient, channel: str) -> str:
    """Where a message of this channel goes: the email address, or the phone number."""
    return person[3] if channel == Channel.EMAIL else person[1]


def _sets(client_id: int, group_ids: Iterable[int]) -> list[Group]:
    ids = list(group_ids)
    groups = Group.objects.for_client(client_id).select_related("client").filter(pk__in=ids).order_by("pk")
    return list(groups) if ids else []


def within_sql(client_id: int, group_ids: Iterable[int], contact: str) -> Sql:
    """A condition, with its parameters: whether the contact whose id is the SQL `contact` is in one of the groups.

    False for no groups, and for groups that are gone or another client's. `contact` must not name contacts_contact
    without an alias, which groups by rule use themselves. For every reader of audiences: the one
    place that knows what being in a group means.
    """
    groups = _sets(client_id, group_ids)
    parts: list[str] = []
    params: list[Any] = []
    if fixed := [group.pk for group in groups if group.kind != GroupKind.RULE]:
        places = ", ".join(["%s"] * len(fixed))
        parts.append(
            "EXISTS (SELECT 1 FROM contacts_groupmember x WHERE x.client_id = %s "
            f"AND x.group_id IN ({places}) AND x.contact_id = {contact})"
        )
        params += [client_id, *fixed]
    for group in groups:
        if group.kind == GroupKind.RULE:
            met = rules.matching(group.client, group.rule).filter(pk=RawSQL(contact, []))  # noqa: S611 - a column named in this file
            sql, more = met.order_by().values("pk").query.sql_with_params()
            parts.append(f"EXISTS ({sql})")
            params += more
    return (f"({' OR '.join(parts)})", params) if parts else ("1 = 0", [])


def _branch(group: Group) -> Sql:
    """FROM and WHERE of one group's contacts `k`, in a form whose ids come in order from an index."""
    if group.kind != GroupKind.RULE:
        return (
            "FROM contacts_groupmember m JOIN contacts_contact k ON k.id = m.contact_id "
            "WHERE m.client_id = %s AND m.group_id = %s",
            [group.client_id, group.pk],
        )
    condition, params = within_sql(group.client_id, [group.pk], "k.id")
    return f"FROM contacts_contact k WHERE k.client_id = %s AND {condition}", [group.client_id, *params]


def _reachable(client_id: int, groups: Iterable[int], sender: str, without: Iterable[int], channel: str) -> Sql:
    """Whether the contact `k` has an address of the channel, did not opt out of it, and is in no group `without`.

    Several contacts of these groups may share an email address: the first of them stands for it.
    """
    mail, gone = channel == Channel.EMAIL, list(without)
    column = "email" if mail else "phone"
    present = "<> ''" if mail else "IS NOT NULL"
    condition = (
        f"k.{column} {present} AND NOT EXISTS (SELECT 1 FROM contacts_optout o "
        f"WHERE o.client_id = k.client_id AND o.channel = %s AND o.address = k.{column} AND o.sender IN ('', %s))"
    )
    params: list[Any] = [str(channel), sender]
    if gone:
        excluded, more = within_sql(client_id, gone, "k.id")
        condition, params = f"{condition} AND NOT {excluded}", [*params, *more]
    if mail:
        inside, more = within_sql(client_id, groups, "d.id")
        earlier = f"d.client_id = k.client_id AND d.email = k.email AND d.email <> '' AND d.id < k.id AND {inside}"
        params += more
        if gone:
            excluded, more = within_sql(client_id, gone, "d.id")
            earlier, params = f"{earlier} AND NOT {excluded}", [*params, *more]
        condition += f" AND NOT EXISTS (SELECT 1 FROM contacts_contact d WHERE {earlier})"
    return condition, params


def audience(
    client_id: int,
    group_ids: Sequence[int],
    *,
    sender: str = "",
    without: Sequence[int] = (),
    after_id: int = 0,
    limit: int = 2000,
    channel: str = Channel.SMS,
) -> list[Recipient]:
    """The next recipients of a channel in these groups, by contact id above `after_id`; an empty list ends it.

    Each address once, only contacts that have one, without those who opted out of `sender` or of every sender, and
    without who is in one of the groups `without`. Costs `limit` rows per fixed group, however large the groups are; a
    group by rule is walked through the book. For the first few; whoever wants all walks by `audience_window`.
    """
    groups = _sets(client_id, group_ids)
    if not groups:
        return []
    reachable, reach_params = _reachable(client_id, group_ids, sender, without, channel)
    branches: list[str] = []
    params: list[Any] = []
    for group in groups:
        source, more = _branch(group)
        key = "k.id" if group.kind == GroupKind.RULE else "m.contact_id"
        branches.append(
            f"SELECT * FROM (SELECT {key} AS id {source} AND {reachable} AND {key} > %s ORDER BY {key} LIMIT %s) AS b"
        )
        params += [*more, *reach_params, after_id, limit]
    statement = (
        "SELECT c.id, COALESCE(c.phone, ''), c.name, c.email, c.department, c.attributes "
        f"FROM ({' UNION '.join(branches)}) AS ids JOIN contacts_contact c ON c.id = ids.id ORDER BY c.id LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*params, limit])
        return [(*row[:5], orjson.loads(row[5])) for row in cursor.fetchall()]


class Window(NamedTuple):
    """A stretch of an audience. end: the last contact id of it, None where nobody comes after."""

    end: int | None
    people: list[Recipient]


def audience_window(
    client_id: int,
    group_ids: Sequence[int],
    *,
    sender: str = "",
    without: Sequence[int] = (),
    after_id: int = 0,
    until: int | None = None,
    size: int = 2000,
    channel: str = Channel.SMS,
) -> Window:
    """The recipients of `audience` after one contact, about `size` of each group; fewer, or none, where many of them
    opted out. Its `end` is where the next window begins. until: the last contact id asked for.

    For walking a whole audience: the end is looked up first, in the index, so that the people are read from one range
    of keys on both sides. With LIMIT in place of the range the database may read the whole book for every window.
    """
    groups = _sets(client_id, group_ids)
    if not groups:
        return Window(None, [])
    end = _end_of_window(client_id, groups, after_id, size)
    if end is None or (until is not None and end >= until):
        end, last = None, LARGEST_ID if until is None else until
    else:
        last = end
    fixed = [group.pk for group in groups if group.kind != GroupKind.RULE]
    within, params = [], []
    if fixed:
        # Each group's members are read first, by the one index that has them in order. Joined, or looked up for each
        # contact, they are whatever index PostgreSQL takes: it takes any while its statistics do not know the client.
        members = " UNION ALL ".join(
            "SELECT * FROM (SELECT contact_id FROM contacts_groupmember WHERE client_id = %s AND group_id = %s "
            "AND contact_id > %s AND contact_id <= %s ORDER BY contact_id) AS b"
            for _ in fixed
        )
        within.append(f"k.id = ANY(ARRAY({members}))" if on_postgres() else f"k.id IN ({members})")
        params += [value for pk in fixed for value in (client_id, pk, after_id, last)]
    if by_rule := [group.pk for group in groups if group.kind == GroupKind.RULE]:
        condition, more = within_sql(client_id, by_rule, "k.id")
        within.append(condition)
        params += more
    reachable, more = _reachable(client_id, group_ids, sender, without, channel)
    statement = (
        "SELECT k.id, COALESCE(k.phone, ''), k.name, k.email, k.department, k.attributes FROM contacts_contact k "
        f"WHERE k.client_id = %s AND k.id > %s AND k.id <= %s AND ({' OR '.join(within)}) AND {reachable} ORDER BY k.id"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [client_id, after_id, last, *params, *more])
        return Window(end, [(*row[:5], orjson.loads(row[5])) for row in cursor.fetchall()])


def is_larger(client_id: int, group_ids: Sequence[int], most: int) -> bool:
    """Whether one of the groups has more than `most` members; of a group by rule, whether the whole book has."""
    groups = _sets(client_id, group_ids)
    return bool(groups) and _end_of_window(client_id, groups, 0, most + 1) is not None


def _end_of_window(client_id: int, groups: Sequence[Group], after_id: int, size: int) -> int | None:
    """The id of the member `size` places on, of the group that gets there first; None where no group has so many."""
    parts: list[str] = []
    params: list[Any] = []
    for group in groups:
        table, column, own = "contacts_contact", "id", []
        if group.kind != GroupKind.RULE:
            table, column, own = "contacts_groupmember", "contact_id", [group.pk]
        mine = " AND group_id = %s" if own else ""
        parts.append(
            f"SELECT * FROM (SELECT {column} AS id FROM {table} WHERE client_id = %s{mine} AND {column} > %s "
            f"ORDER BY {column} LIMIT 1 OFFSET %s) AS b"
        )
        params += [client_id, *own, after_id, size - 1]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT MIN(id) FROM ({' UNION ALL '.join(parts)}) AS ends", params)
        return cursor.fetchone()[0]


def people_by_address(
    client_id: int,
    addresses: Sequence[str],
    *,
    sender: str = "",
    outside: Sequence[int] = (),
    until_contact: int | None = None,
    without: Sequence[int] = (),
    channel: str = Channel.SMS,
) -> list[Recipient]:
    """These addresses of a channel (E.164, or lower-case email) as recipients, in their order; id 0 and no values for
    those of nobody in the book. Where several contacts share an email address, the first of them stands for it.

    Without those who opted out of `sender` or of every sender, without the members of the groups `outside` up to the
    contact `until_contact`, and without all members of the groups `without`. A constant number of queries.
    """
    mail = channel == Channel.EMAIL
    gone = opted_out_among(channel, [(client_id, address, sender) for address in addresses])
    known = Contact.objects.for_client(client_id).filter(**{"email__in" if mail else "phone__in": addresses})
    rows = known.order_by("pk").values_list("pk", "phone", "name", "email", "department", "attributes")
    people: dict[str, Recipient] = {}
    ids: dict[str, set[int]] = {}
    for pk, phone, *values in rows:
        person: Recipient = (pk, phone or "", *values)
        people.setdefault(address_in(person, channel), person)
        ids.setdefault(address_in(person, channel), set()).add(pk)
    every = [pk for found in ids.values() for pk in found]
    inside = members_among(client_id, outside, every) if outside else set()
    left_out = {pk for pk in inside if until_contact is None or pk <= until_contact}
    left_out |= members_among(client_id, without, every) if without else set()
    return [
        people.get(address) or ((0, "", "", address, "", {}) if mail else (0, address, "", "", "", {}))
        for address in addresses
        if (client_id, address, sender) not in gone and not left_out & ids.get(address, set())
    ]


def first_people(client_id: int, *, limit: int, channel: str = Channel.SMS) -> list[Recipient]:
    """The first contacts of the book that have an address of the channel and did not opt out of every sender."""
    mail = channel == Channel.EMAIL
    book = Contact.objects.for_client(client_id)
    book = book.exclude(email="") if mail else book.filter(phone__isnull=False)
    addresses = book.order_by("pk").values_list("email" if mail else "phone", flat=True)[:limit]
    return people_by_address(client_id, list(dict.fromkeys(addresses)), channel=channel)


def members_among(client_id: int, group_ids: Sequence[int], contact_ids: Sequence[int]) -> set[int]:
    """Which of these contacts are in one of the groups."""
    if not contact_ids or not group_ids:
        return set()
    found = members_of(client_id, group_ids).filter(pk__in=list(contact_ids))
    return set(found.values_list("pk", flat=True))


def audience_size(
    client_id: int,
    group_ids: Sequence[int],
    *,
    sender: str = "",
    without: Sequence[int] = (),
    channel: str = Channel.SMS,
) -> int:
    """How many recipients `audience` gives in all."""
    groups = _sets(client_id, group_ids)
    if not groups:
        return 0
    reachable, params = _reachable(client_id, group_ids, sender, without, channel)
    fixed = [group.pk for group in groups if group.kind != GroupKind.RULE]
    by_rule = [group.pk for group in groups if group.kind == GroupKind.RULE]
    if not by_rule:
        places = ", ".join(["%s"] * len(fixed))
        source = (
            "SELECT COUNT(DISTINCT m.contact_id) FROM contacts_groupmember m JOIN contacts_contact k "
            f"ON k.id = m.contact_id WHERE m.client_id = %s AND m.group_id IN ({places})"
        )
        source_params: list[Any] = [client_id, *fixed]
    else:
        condition, more = within_sql(client_id, [*fixed, *by_rule], "k.id")
        source = f"SELECT COUNT(*) FROM contacts_contact k WHERE k.client_id = %s AND {condition}"
        source_params = [client_id, *more]
    with connection.cursor() as cursor:
        cursor.execute(f"{source} AND {reachable}", [*source_params, *params])
        return cursor.fetchone()[0]


def members_of(client_id: int, group_ids: Sequence[int]) -> QuerySet[Contact]:
    """Every contact in one of the groups, each once, in no order."""
    groups = _sets(client_id, group_ids)
    fixed = [group.pk for group in groups if group.kind != GroupKind.RULE]
    book = Contact.objects.for_client(client_id)
    within = Q(pk__in=GroupMember.objects.for_client(client_id).filter(group_id__in=fixed).values("contact_id"))
    for group in groups:
        if group.kind == GroupKind.RULE:
            within |= Q(pk__in=rules.matching(group.client, group.rule).order_by().values("pk"))
    return book.filter(within)
