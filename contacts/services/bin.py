"""The bin: deleted contacts, for KEEP_BIN_DAYS, and their way back."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.audit import record_audit
from contacts.importing.engine import keep_or_fill_sql
from contacts.models import KEEP_BIN_DAYS, BinnedContact, Contact, FormerAddress, GroupMember, ImportMeeting
from crm.common.sql import as_json, database_now, now_sql, on_postgres, rows_sql

KEEP_BIN = timedelta(days=KEEP_BIN_DAYS)
_CHUNK = 2000
_COLUMNS = (
    '"phone", "email", "name", "department", "attributes", "assigned", "created_import_id", "consent_id", "created_at"'
)


@needs("contacts.write")
def delete_contacts(*, client: Client, contact_ids: Iterable[int], by: Any = None) -> int:
    """Put contacts of the client into the bin, with their places in groups; ids of others are passed over.

    Opt-outs and messages stay. Returns how many contacts there were.
    """
    every, gone = list(dict.fromkeys(contact_ids)), 0
    for start in range(0, len(every), _CHUNK):
        ids = every[start : start + _CHUNK]
        with transaction.atomic():
            if count := bin_chunk(client_id=client.pk, contact_ids=ids, by=by):
                _audit(client, "deleted", ids, count)
        gone += count
    return gone


def _audit(client: Client, verb: str, ids: Sequence[int], count: int) -> None:
    """One entry for many: how many, and whom if it was one."""
    target = f"contact:{ids[0]}" if len(ids) == 1 else "contacts"
    record_audit(client=client, action=f"contact.{verb}", target=target, after={"contacts": count})


@transaction.atomic
def bin_chunk(*, client_id: int, contact_ids: Sequence[int], by: Any) -> int:
    """As `delete_contacts` for a few thousand at once, without an entry in the audit log: the caller writes it."""
    ids, by_id = list(contact_ids), by.pk if by else None
    aggregate = "jsonb_agg(m.group_id)" if on_postgres() else "json_group_array(m.group_id)"
    none = "'[]'::jsonb" if on_postgres() else "'[]'"
    groups = (
        f"COALESCE((SELECT {aggregate} FROM contacts_groupmember m "
        f"WHERE m.client_id = k.client_id AND m.contact_id = k.id), {none})"
    )
    columns = ", ".join(f"k.{column.strip()}" for column in _COLUMNS.split(","))
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO contacts_binnedcontact ("client_id", "contact_id", '
            f'{_COLUMNS}, "groups", "by_id", "deleted_at")'
            f" SELECT k.client_id, k.id, {columns}, {groups}, {by_id or 'CAST(NULL AS BIGINT)'}, {now_sql()} "
            f"FROM contacts_contact k WHERE k.client_id = %s AND k.id IN (SELECT id FROM {rows_sql(Contact, ['id'])})",
            [client_id, as_json([(pk,) for pk in ids])],
        )
    members = GroupMember.objects.filter(client_id=client_id, contact_id__in=ids)
    members._raw_delete(members.db)  # type: ignore[attr-defined]  # nothing hangs on them; the collector loads each row
    met = ImportMeeting.objects.filter(client_id=client_id, contact_id__in=ids)
    met._raw_delete(met.db)  # type: ignore[attr-defined]
    former = FormerAddress.objects.filter(client_id=client_id, contact_id__in=ids)
    former._raw_delete(former.db)  # type: ignore[attr-defined]
    gone = BinnedContact.objects.filter(client_id=client_id, contact_id__in=ids).count()
    left = Contact.objects.filter(client_id=client_id, pk__in=ids)
    left._raw_delete(left.db)  # type: ignore[attr-defined]
    return gone


@needs("contacts.write")
def restore_contacts(*, client: Client, binned_ids: Iterable[int]) -> int:
    """Put contacts back into the book and into the groups that are still there; returns how many.

    Where their number (or, without one, their email address) was added again meanwhile, that contact keeps what it has
    and takes what it lacks.
    """
    every, back = list(dict.fromkeys(binned_ids)), 0
    for start in range(0, len(every), _CHUNK):
        ids = every[start : start + _CHUNK]
        contacts = list(
            BinnedContact.objects.for_client(client).filter(pk__in=ids).values_list("contact_id", flat=True)
        )
        with transaction.atomic():
            if count := _restore_chunk(client.pk, ids):
                _audit(client, "restored", contacts, count)
        back += count
    return back


@transaction.atomic
def _restore_chunk(client_id: int, ids: Sequence[int]) -> int:
    chosen = f"b.client_id = %s AND b.id IN (SELECT id FROM {rows_sql(BinnedContact, ['id'])})"
    params: list[Any] = [client_id, as_json([(pk,) for pk in ids])]
    with connection.cursor() as cursor:
        for with_phone in (True, False):
            conflict = '("client_id", "phone")' if with_phone else '("client_id", "email") WHERE "phone" IS NULL'
            columns = ", ".join(f"b.{column.strip()}" for column in _COLUMNS.split(","))
            # Of several with one number the one deleted last stands for all: one statement meets a number once.
            newest = "b.phone" if with_phone else "b.email"
            cursor.execute(
                f'INSERT INTO contacts_contact ("id", "client_id", {_COLUMNS}, "updated_at") '
                f"SELECT b.contact_id, b.client_id, {columns}, {now_sql()} FROM contacts_binnedcontact b "
                f"WHERE {chosen} AND b.phone IS {'NOT' if with_phone else ''} NULL AND NOT EXISTS ("
                "SELECT 1 FROM contacts_binnedcontact l WHERE l.client_id = b.client_id AND l.id > b.id "
                f"AND {newest} = {newest.replace('b.', 'l.')} AND (l.phone IS NULL) = (b.phone IS NULL) "
                f"AND l.id IN (SELECT id FROM {rows_sql(BinnedContact, ['id'])})) "
                f"ON CONFLICT {conflict} DO UPDATE SET {keep_or_fill_sql()}",
                [*params, params[1]],
            )
        each = (
            "CROSS JOIN jsonb_array_elements_text(b.groups) AS e(value)" if on_postgres()
            else "JOIN json_each(b.groups) AS e"
        )  # fmt: skip
        cursor.execute(
            'INSERT INTO contacts_groupmember ("client_id", "group_id", "contact_id") '
            f"SELECT b.client_id, g.id, k.id FROM contacts_binnedcontact b {each} "
            "JOIN contacts_group g ON g.id = CAST(e.value AS BIGINT) AND g.client_id = b.client_id "
            "JOIN contacts_contact k ON k.client_id = b.client_id "
            "AND (k.phone = b.phone OR (b.phone IS NULL AND k.phone IS NULL AND k.email = b.email)) "
            f"WHERE {chosen} ON CONFLICT DO NOTHING",
            params,
        )
    return BinnedContact.objects.filter(client_id=client_id, pk__in=list(ids)).delete()[0]


@needs("contacts.write")
def empty_bin(*, client: Client, binned_ids: Iterable[int] | None = None) -> int:
    """Forget contacts in the bin for good: these, or all of the client; returns how many."""
    binned = BinnedContact.objects.for_client(client)
    if binned_ids is not None:
        binned = binned.filter(pk__in=list(binned_ids))
    with transaction.atomic():
        ids = list(binned.values_list("contact_id", flat=True)[:2])
        if gone := binned.delete()[0]:
            _audit(client, "removed_for_good", ids, gone)
    return gone


def erase_from_bin(*, client: Client, phone: str = "", email: str = "") -> int:
    """Forget whoever in the bin has this number (E.164) or email address; returns how many."""
    condition = Q(pk__lt=0)
    if phone:
        condition |= Q(phone=phone)
    if email:
        condition |= Q(email__iexact=email)
    return BinnedContact.objects.for_client(client).filter(condition).delete()[0]


def sweep_bin() -> int:
    """Forget what has lain in the bin for KEEP_BIN; returns how many."""
    old = BinnedContact.objects.unscoped().filter(deleted_at__lt=database_now() - KEEP_BIN)
    ids = list(old.order_by("deleted_at").values_list("pk", flat=True)[:20_000])
    return BinnedContact.objects.unscoped().filter(pk__in=ids).delete()[0] if ids else 0
