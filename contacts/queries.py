"""Reads of a client's book, shared by pages, API and messaging."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from accounts.models import Client
from contacts.importing import checking
from contacts.importing.reading import Table
from contacts.importing.rows import RowReader
from contacts.models import (
    Channel,
    Contact,
    ContactImport,
    Group,
    GroupMember,
    ImportReject,
    ImportState,
    OptOut,
    OptOutChange,
    normal_address,
)
from crm.common.phones import InvalidPhone, digits, read_phone
from crm.common.sql import as_json, rows_sql

# (contact id, phone in E.164, name, email, department, attributes)
Recipient = tuple[int, str, str, str, str, dict[str, str]]


def contacts_for(
    client: Client,
    *,
    search: str = "",
    group: int | None = None,
    department: str = "",
    contact_import: int | None = None,
    opted_out: bool | None = None,
) -> QuerySet[Contact]:
    """The client's contacts, newest first. search: part of a name, address, department or number.

    opted_out: only those who want no SMS from any sender, or only the others.
    """
    found = Contact.objects.for_client(client)
    if group is not None:
        found = found.filter(pk__in=GroupMember.objects.filter(client=client, group_id=group).values("contact_id"))
    if department:
        found = found.filter(department=department)
    if contact_import is not None:
        found = found.filter(last_import_id=contact_import)
    if opted_out is not None:
        gone = OptOut.objects.for_client(client).filter(channel=Channel.SMS, sender="", address=OuterRef("phone"))
        found = found.filter(Exists(gone) if opted_out else ~Exists(gone))
    if text := search.replace("\x00", "").strip()[:200]:
        found = found.filter(_matches(text, client.country))
    return found.order_by("-pk")


def _matches(text: str, region: str) -> Q:
    condition = Q(name__icontains=text) | Q(email__icontains=text) | Q(department__icontains=text)
    plain = "".join(char for char in text if char.isdigit())
    if plain and not any(char.isalpha() for char in text):
        try:
            plain = digits(read_phone(text, region).e164)
        except InvalidPhone:
            plain = plain.removeprefix("00").lstrip("0") or plain
        condition |= Q(phone__contains=plain)
    return condition


def decorate(client: Client, contacts: Sequence[Contact]) -> None:
    """Give each contact of one page `group_names` and `opted_out` (SMS, every sender). Two queries."""
    names: dict[int, list[str]] = {}
    members = GroupMember.objects.filter(client=client, contact_id__in=[contact.pk for contact in contacts])
    for contact_id, name in members.order_by("group__name").values_list("contact_id", "group__name"):
        names.setdefault(contact_id, []).append(name)
    rows = [(client.pk, contact.phone, "") for contact in contacts if contact.phone]
    out = opted_out_among(Channel.SMS, rows)
    for contact in contacts:
        contact.group_names = names.get(contact.pk, [])  # type: ignore[attr-defined]
        contact.opted_out = (client.pk, contact.phone, "") in out  # type: ignore[attr-defined]


def groups_for(client: Client) -> QuerySet[Group]:
    return Group.objects.for_client(client).order_by("name", "pk")


def groups_with_counts(client: Client) -> QuerySet[Group]:
    """The client's groups by name, each with `size`, its number of contacts."""
    return groups_for(client).annotate(size=Count("members"))


def opt_outs_for(client: Client, *, search: str = "") -> QuerySet[OptOut]:
    """Newest first; search: part of an address."""
    found = OptOut.objects.for_client(client)
    if text := search.replace("\x00", "").strip()[:100]:
        plain = "".join(char for char in text if char.isdigit())
        found = found.filter(address__contains=plain.lstrip("0") or plain) if plain and "@" not in text else (
            found.filter(address__icontains=text)
        )  # fmt: skip
    return found.order_by("-pk")


def opt_outs_of(contact: Contact) -> list[OptOut]:
    """Every opt-out of the contact's number and e-mail address."""
    condition = Q(address="-")
    if contact.phone:
        condition |= Q(channel__in=[Channel.SMS, Channel.WHATSAPP], address=contact.phone)
    if contact.email:
        condition |= Q(channel=Channel.EMAIL, address=contact.email)
    return list(OptOut.objects.for_client(contact.client_id).filter(condition))


def opt_out_history_of(contact: Contact, count: int = 20) -> list[OptOutChange]:
    """What was recorded about the contact's number and address, newest first, with who recorded it."""
    addresses = [address for address in (contact.phone, contact.email) if address]
    found = OptOutChange.objects.for_client(contact.client_id).filter(address__in=addresses)
    return list(found.select_related("by").order_by("-pk")[:count])


def opted_out_among(channel: str, rows: Iterable[tuple[int, str, str]]) -> set[tuple[int, str, str]]:
    """Which of (client id, address, sender) may not be written to: the address opted out of that sender or of all.

    One query for any number of rows and clients. The tuples come back as they were given.
    """
    asked = {(client_id, normal_address(channel, address), sender): (client_id, address, sender)
             for client_id, address, sender in rows}  # fmt: skip
    if not asked:
        return set()
    columns = ["client_id", "address", "sender"]
    statement = (
        f"SELECT DISTINCT v.client_id, v.address, v.sender FROM {rows_sql(OptOut, columns)} "
        f'JOIN "{OptOut._meta.db_table}" o ON o."client_id" = v.client_id AND o."channel" = %s '
        'AND o."address" = v.address AND o."sender" IN (\'\', v.sender)'
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [as_json(asked), channel])
        return {asked[row] for row in cursor.fetchall()}


_REACHABLE = """
    FROM contacts_groupmember m JOIN contacts_contact k ON k.id = m.contact_id AND k.phone IS NOT NULL
    WHERE m.client_id = %s AND m.group_id {groups} AND NOT EXISTS (
        SELECT 1 FROM contacts_optout o WHERE o.client_id = m.client_id AND o.channel = 'sms'
        AND o.address = k.phone AND o.sender IN ('', %s))
"""


def audience(
    client_id: int, group_ids: Sequence[int], *, sender: str = "", after_id: int = 0, limit: int = 2000
) -> list[Recipient]:
    """The next recipients of an SMS to these groups, by contact id above `after_id`; an empty list ends it.

    Each contact once, only with a phone, without those who opted out of `sender` or of every sender. Costs `limit`
    rows per group, however large the groups are.
    """
    if not group_ids:
        return []
    branch = (
        f"SELECT * FROM (SELECT m.contact_id AS id {_REACHABLE.format(groups='= %s')} "
        "AND m.contact_id > %s ORDER BY m.contact_id LIMIT %s) AS b"
    )
    branches = " UNION ".join([branch] * len(group_ids))
    statement = (
        "SELECT c.id, c.phone, c.name, c.email, c.department, c.attributes "
        f"FROM ({branches}) AS ids JOIN contacts_contact c ON c.id = ids.id ORDER BY c.id LIMIT %s"
    )
    params: list[Any] = []
    for group_id in group_ids:
        params += [client_id, group_id, sender, after_id, limit]
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
) -> list[Recipient]:
    """These numbers (E.164) as recipients, in their order; id 0 and no values for those of nobody in the book.

    Without those who opted out of `sender` or of every sender, and without the members of the groups `outside` up to
    the contact `until_contact`. Three queries, however many numbers.
    """
    gone = opted_out_among(Channel.SMS, [(client_id, phone, sender) for phone in phones])
    known = Contact.objects.for_client(client_id).filter(phone__in=phones)
    rows = known.values_list("pk", "phone", "name", "email", "department", "attributes")
    people: dict[str, Recipient] = {row[1]: row for row in rows}  # type: ignore[misc]  # none of these is null
    members: set[int] = set()
    if outside and people:
        within = GroupMember.objects.for_client(client_id).filter(
            group_id__in=outside, contact_id__in=[person[0] for person in people.values()]
        )
        found = within.values_list("contact_id", flat=True)
        members = {pk for pk in found if until_contact is None or pk <= until_contact}
    asked = (people.get(phone) or (0, phone, "", "", "", {}) for phone in phones)
    return [row for row in asked if row[0] not in members and (client_id, row[1], sender) not in gone]


def audience_size(client_id: int, group_ids: Sequence[int], *, sender: str = "") -> int:
    """How many recipients `audience` gives in all."""
    if not group_ids:
        return 0
    places = ", ".join(["%s"] * len(group_ids))
    statement = f"SELECT COUNT(DISTINCT m.contact_id) {_REACHABLE.format(groups=f'IN ({places})')}"
    with connection.cursor() as cursor:
        cursor.execute(statement, [client_id, *group_ids, sender])
        return cursor.fetchone()[0]


def imports_for(client: Client) -> QuerySet[ContactImport]:
    """The client's imports, newest first, with the person and the group."""
    return ContactImport.objects.for_client(client).select_related("by", "group", "consent").order_by("-pk")


def rejects_of(batch: ContactImport, *, limit: int) -> list[ImportReject]:
    """The first rows that were refused for their contents, in the order of the file."""
    rejects = ImportReject.objects.for_client(batch.client_id).filter(contact_import=batch).exclude(reason="duplicate")
    return list(rejects.defer("cells").order_by("row")[:limit])


def import_under_way(client: Client) -> ContactImport | None:
    """The import of the client that a worker runs or is about to."""
    states = [ImportState.READY, ImportState.RUNNING, ImportState.UNDOING]
    return ContactImport.objects.for_client(client).filter(state__in=states).order_by("pk").first()


def kept_by_undo(batch: ContactImport) -> QuerySet[Contact]:
    """Contacts that an undone import had created and that stay: they were messaged, or a later file touched them."""
    return Contact.objects.for_client(batch.client_id).filter(created_import=batch).order_by("pk")


def check_import(batch: ContactImport) -> checking.Check:
    """What the unstarted import would do: nothing is written. Looks at the first checking.CHECK_ROWS rows."""
    return checking.check_file(
        client_id=batch.client_id,
        table=Table(batch.path, batch.encoding, batch.delimiter),
        reader=RowReader(batch.mapping, batch.client.country, batch.edits),
        start=batch.next_row,
        policy=batch.duplicates,
    )


def column_samples(batch: ContactImport, count: int = 3) -> list[list[str]]:
    """For each column of an unstarted import its first values that are not blank, at most 60 characters each."""
    table = Table(batch.path, batch.encoding, batch.delimiter)
    below = [cells for number, cells in table.sample(50) if number >= batch.next_row]
    columns = []
    for index in range(len(batch.headers)):
        values = (cells[index].strip() for cells in below if index < len(cells))
        columns.append([value[:60] for value in values if value][:count])
    return columns
