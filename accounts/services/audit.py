"""The audit log: entries are added, each chained to the one before it, and checked; nothing else (GUARANTEES.md S3)."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from accounts.models import AuditChain, AuditEntry, Client, User
from crm.common.acting import Actor, current_actor
from crm.common.sql import as_datetime, insert_rows, now_sql

INSTALLATION = 0  # key of the chain for what belongs to no client
_LONGEST_TEXT = 300
_PHONE = re.compile(r"\+?\d{9,15}")
_NEVER = re.compile(r"password|passkey|secret|token|credential|otp|seed|_hash$|^text$|^body$|^content$|^message$", re.I)
_ADVANCE = """
UPDATE accounts_auditchain SET sequence = sequence + 1 WHERE id = %s RETURNING sequence, hash, {now}
"""


@transaction.atomic
def record_audit(
    *,
    client: Client | int | None,
    action: str,
    target: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    actor: Actor | None = None,
) -> AuditEntry:
    """Add "`action` was done to `target`" to the log of `client` (None: of the installation), in the caller's
    transaction: what is rolled back was not done.

    action: noun.verb, such as key.created. target: "key:17". before, after: the facts that changed. Who did it, from
    where and in which request are those of crm/common/acting.py unless `actor` says otherwise.
    A value whose name speaks of a secret or of a message's text is replaced by "(not recorded)", and of a phone number
    the last three digits stay. Call it last in the transaction: the end of the client's chain is locked from here to
    the commit, and whoever holds it must not wait for other rows.
    """
    client_id = client.pk if isinstance(client, Client) else client
    chain = client_id or INSTALLATION
    actor = actor or current_actor()
    sequence, earlier, at = _advance(chain, client_id)
    entry = AuditEntry(
        chain_id=chain,
        client_id=client_id,
        sequence=sequence,
        at=at.replace(microsecond=at.microsecond // 1000 * 1000),
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name[:254],
        address=actor.address,
        request_id=actor.request_id,
        action=action,
        target=_plain(target)[:200],
        before=None if before is None else _plain(before),
        after=None if after is None else _plain(after),
    )
    entry.hash = hash_of(entry, earlier)
    entry.save(force_insert=True)
    AuditChain.objects.unscoped().filter(pk=chain, sequence=sequence).update(hash=entry.hash)
    return entry


def record_audit_of_person(*, user: User, action: str, after: Mapping[str, Any] | None = None) -> None:
    """Record what concerns a person, such as signing in, in the log of each organisation they belong to; staff and who
    belongs to none, in the installation's."""
    clients: list[int | None] = [*sorted(user.memberships.values_list("client_id", flat=True))]
    where = current_actor()
    actor = Actor("user", user.pk, user.get_username(), where.address, where.request_id)
    for client_id in clients if clients and not user.is_staff else [*clients, None]:
        record_audit(client=client_id, action=action, target=f"user:{user.pk}", after=after, actor=actor)


def masked(address: str) -> str:
    """A person's number or email address as the log may keep it: `…678`, `a…@acme.test`."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}…@{domain}" if at else f"…{address[-3:]}"


def _advance(chain: int, client_id: int | None) -> tuple[int, str, datetime]:
    """Take the next place: (sequence, hash of the entry before, now). The chain's row is ours until the commit."""
    statement = _ADVANCE.format(now=now_sql())
    with connection.cursor() as cursor:
        cursor.execute(statement, [chain])
        found = cursor.fetchone()
        if found is None:
            insert_rows(
                AuditChain,
                ("id", "client_id", "sequence", "hash"),
                [(chain, client_id, 0, "")],
                suffix="ON CONFLICT DO NOTHING",
            )
            cursor.execute(statement, [chain])
            found = cursor.fetchone()
    return found[0], found[1], as_datetime(found[2])


def hash_of(entry: AuditEntry, earlier: str) -> str:
    """SHA-256 over the hash of the entry before and the columns of this one, as one line of JSON with sorted keys."""
    facts = {
        "chain": entry.chain_id,
        "sequence": entry.sequence,
        "at": entry.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "actor": [entry.actor_kind, entry.actor_id, entry.actor_name],
        "address": entry.address,
        "request_id": entry.request_id,
        "action": entry.action,
        "target": entry.target,
        "before": entry.before,
        "after": entry.after,
        "earlier": earlier,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Break:
    """A place where a chain does not hold. text: one line for the operator; client_id: None for the installation's."""

    text: str
    client_id: int | None


def check_chains() -> Iterator[Break]:
    """Go through every chain from its first entry; yields each place where a row was changed, removed or put in."""
    for chain in AuditChain.objects.unscoped().order_by("pk").iterator():
        yield from _check_chain(chain)
    orphans = AuditEntry.objects.unscoped().exclude(chain_id__in=AuditChain.objects.unscoped().values("pk"))
    for entry in orphans.order_by("pk").iterator():
        yield Break(f"audit entry {entry.pk} belongs to no chain", entry.client_id)


def _check_chain(chain: AuditChain) -> Iterator[Break]:
    whose = f"client {chain.client_id}" if chain.client_id else "installation"
    sequence, earlier = 0, ""
    entries = AuditEntry.objects.unscoped().filter(chain=chain).order_by("sequence").iterator(chunk_size=1000)
    for entry in entries:
        if entry.sequence > chain.sequence:  # written since the chain's end was read
            return
        if entry.sequence != sequence + 1:
            yield Break(f"{whose}: audit entries {sequence + 1} to {entry.sequence - 1} are missing", chain.client_id)
        elif entry.hash != hash_of(entry, earlier):
            yield Break(
                f"{whose}: audit entry {entry.sequence} is not as it was written (row {entry.pk})", chain.client_id
            )
        sequence, earlier = entry.sequence, entry.hash
    if sequence != chain.sequence:
        yield Break(f"{whose}: audit entries {sequence + 1} to {chain.sequence} are missing", chain.client_id)
    elif earlier != chain.hash:
        yield Break(f"{whose}: the last audit entry is not the one that was written", chain.client_id)


def ends_of_chains() -> list[tuple[int, int, str]]:
    """(chain, sequence, hash) of each chain's last entry."""
    return list(AuditChain.objects.unscoped().order_by("pk").values_list("pk", "sequence", "hash"))


def has_entry(*, chain: int, sequence: int, digest: str) -> bool:
    """Whether the chain has this entry with this hash."""
    return AuditEntry.objects.unscoped().filter(chain_id=chain, sequence=sequence, hash=digest).exists()


def _plain(value: Any, name: str = "") -> Any:
    """The value as JSON that both databases hand back as it was given: no floats, no NUL, nothing secret."""
    if name and _NEVER.search(name):
        return None if value is None else "(not recorded)"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    text = str(value).replace("\x00", "").encode("utf-8", "replace").decode()
    if _PHONE.fullmatch(text):
        return f"…{text[-3:]}"
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
