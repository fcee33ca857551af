"""Who a set of groups reaches: fixed groups, tags and groups by rule alike, minus others, as SQL of contact ids."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from contacts import rules
from contacts.models import Channel, Contact, Group, GroupKind, GroupMember
from contacts.queries.opt_outs import opted_out_among

# (contact id, phone in E.164, name, email, department, attributes)
Recipient = tuple[int, str, str, str, str, dict[str, str]]
Sql = tuple[str, list[Any]]

_NOT_OPTED_OUT = """NOT EXISTS (
    SELECT 1 FROM contacts_optout o WHERE o.client_id = k.client_id AND o.channel = 'sms'
    AND o.address = k.phone AND o.sender IN ('', %s))"""


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


def _reachable(client_id: int, sender: str, without: Iterable[int]) -> Sql:
    condition, params = f"k.phone IS NOT NULL AND {_NOT_OPTED_OUT}", [sender]
    if gone := list(without):
        excluded, more = within_sql(client_id, gone, "k.id")
        condition, params = f"{condition} AND NOT {excluded}", [*params, *more]
    return condition, params


def audience(
    client_id: int,
    group_ids: Sequence[int],
    *,
    sender: str = "",
    without: Sequence[int] = (),
    after_id: int = 0,
    limit: int = 2000,
) -> list[Recipient]:
    """The next recipients of an SMS to these groups, by contact id above `after_id`; an empty list ends it.

    Each contact once, only with a phone, without those who opted out of `sender` or of every sender, and without who
    is in one of the groups `without`. Costs `limit` rows per fixed group, however large the groups are; a group by rule
    is walked through the book.
    """
    groups = _sets(client_id, group_ids)
    if not groups:
        return []
    reachable, reach_params = _reachable(client_id, sender, without)
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
        "SELECT c.id, c.phone, c.name, c.email, c.department, c.attributes "
        f"FROM ({' UNION '.join(branches)}) AS ids JOIN contacts_contact c ON c.id = ids.id ORDER BY c.id LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*params, limit])
        return [(*row[:5], orjson.loads(row[5])) for row in cursor.fetchall()]


def people_by_phone(
    client_id: int,
    phones: Sequence[str],
    *,
    sender: str = "",
    outside: Sequence[int] = (),
    until_contact: int | None = None,
    without: Sequence[int] = (),
) -> list[Recipient]:
    """These numbers (E.164) as recipients, in their order; id 0 and no values for those of nobody in the book.

    Without those who opted out of `sender` or of every sender, without the members of the groups `outside` up to the
    contact `until_contact`, and without all members of the groups `without`. A constant number of queries.
    """
    gone = opted_out_among(Channel.SMS, [(client_id, phone, sender) for phone in phones])
    known = Contact.objects.for_client(client_id).filter(phone__in=phones)
    rows = known.values_list("pk", "phone", "name", "email", "department", "attributes")
    people: dict[str, Recipient] = {row[1]: row for row in rows}  # type: ignore[misc]  # none of these is null
    ids = [person[0] for person in people.values()]
    inside = members_among(client_id, outside, ids) if outside else set()
    left_out = {pk for pk in inside if until_contact is None or pk <= until_contact}
    left_out |= members_among(client_id, without, ids) if without else set()
    asked = (people.get(phone) or (0, phone, "", "", "", {}) for phone in phones)
    return [row for row in asked if row[0] not in left_out and (client_id, row[1], sender) not in gone]


def members_among(client_id: int, group_ids: Sequence[int], contact_ids: Sequence[int]) -> set[int]:
    """Which of these contacts are in one of the groups."""
    if not contact_ids or not group_ids:
        return set()
    found = members_of(client_id, group_ids).filter(pk__in=list(contact_ids))
    return set(found.values_list("pk", flat=True))


def audience_size(client_id: int, group_ids: Sequence[int], *, sender: str = "", without: Sequence[int] = ()) -> int:
    """How many recipients `audience` gives in all."""
    groups = _sets(client_id, group_ids)
    if not groups:
        return 0
    reachable, params = _reachable(client_id, sender, without)
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
