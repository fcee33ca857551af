"""Rights of people: one person's data exported, or erased everywhere, with a record of who asked and when it was done.

An erased address stays as a keyed hash: nothing is sent to it and no import brings it back, until somebody lifts that.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterable, Iterator
from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import wake
from accounts.models import Client, ErasedAddress, HashKey, Membership, PersonRequest, RequestState, User
from accounts.personal_data import PARTS, Person
from accounts.services.access import needs
from accounts.services.audit import masked, record_audit
from accounts.services.exports import delete_files, make_export
from crm.common.errors import InvalidInput
from crm.common.phones import InvalidPhone, read_phone
from crm.common.sql import database_now

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
AGAIN_AFTER = timedelta(minutes=10)  # while a message is on its way to the person
_BATCH = 500


def hasher() -> "Hasher":
    """Computes keyed hashes of addresses; one query."""
    found = HashKey.objects.order_by("pk").first()
    if found is None:
        found, _is_new = HashKey.objects.get_or_create(pk=1, defaults={"secret": secrets.token_hex(32)})
        found.refresh_from_db()
    return Hasher(found.secret)


class Hasher:
    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def hash(self, client_id: int, address: str) -> str:
        return hmac.new(self._secret, f"{client_id}:{address}".encode(), hashlib.sha256).hexdigest()


def has_erased(client_id: int) -> bool:
    """Whether anybody was erased from this client's data: one look at an index, before anything is hashed."""
    return ErasedAddress.objects.filter(client_id=client_id).exists()


def erased_among(client_id: int, addresses: Iterable[str]) -> set[str]:
    """Which of these addresses (E.164, email in lower case) were erased for this client."""
    asked = list(dict.fromkeys(addresses))
    if not asked or not has_erased(client_id):
        return set()
    computed = hasher()
    by_hash = {computed.hash(client_id, address): address for address in asked}
    found: set[str] = set()
    every = list(by_hash)
    for start in range(0, len(every), _BATCH):
        rows = ErasedAddress.objects.filter(client_id=client_id, hash__in=every[start : start + _BATCH])
        found |= {by_hash[each] for each in rows.values_list("hash", flat=True)}
    return found


def read_address(client: Client, text: str) -> Person:
    """A number, read in the client's country, or an email address. Raises: InvalidInput (`address`)."""
    text = text.replace("\x00", "").strip()
    if "@" in text:
        try:
            validate_email(text)
        except ValidationError:
            raise InvalidInput({"address": [_("This is not an email address.")]}) from None
        return Person((), (text.lower(),))
    try:
        return Person((read_phone(text, client.country).e164,), ())
    except InvalidPhone as error:
        raise InvalidInput({"address": [str(error)]}) from None


@needs("privacy.write", of="membership")
@transaction.atomic
def request_export(*, membership: Membership, person: Person, language: str = "en") -> PersonRequest:
    """Have everything that is kept of a person put into a file, which the export list holds for seven days."""
    client = membership.client
    export = make_export(membership=membership, kind="person", query=_as_query(person), language=language)
    request = _record(client, "export", person, by=membership.user)
    PersonRequest.objects.for_client(client).filter(pk=request.pk).update(export=export)
    record_audit(
        client=client, action="privacy.export_asked", target=f"person:{request.pk}", after={"who": request.shown}
    )
    return request


@needs("privacy.write")
@transaction.atomic
def request_erasure(*, client: Client, person: Person, by: User | None, reason: str) -> PersonRequest:
    """Erase a person everywhere, in the background, within 24 hours. From this moment nothing is sent to them.

    Raises: InvalidInput (`reason`): it is part of the record.
    """
    reason = reason.replace("\x00", "").strip()
    if not 3 <= len(reason) <= 200:
        raise InvalidInput({"reason": [_("Say why, such as when and how the person asked for it.")]})
    computed = hasher()
    rows = [ErasedAddress(client=client, hash=computed.hash(client.pk, address)) for address in person.addresses]
    ErasedAddress.objects.bulk_create(rows, ignore_conflicts=True)
    request = _record(client, "erasure", person, by=by, reason=reason)
    wake.erase_person(request.pk)
    record_audit(
        client=client, action="privacy.erasure_asked", target=f"person:{request.pk}", after={"who": request.shown}
    )
    return request


def _record(client: Client, kind: str, person: Person, *, by: User | None, reason: str = "") -> PersonRequest:
    now = database_now()
    return PersonRequest.objects.create(
        client=client,
        kind=kind,
        addresses={"phones": person.phones, "emails": person.emails},
        shown=", ".join(masked(address) for address in person.addresses)[:120],
        reason=reason,
        asked_by=by,
        asked_at=now,
        next_at=now,
    )


def _as_query(person: Person) -> str:
    return urlencode({"phone": person.phones, "email": person.emails}, doseq=True)


def run_erasure(*, request_id: int) -> bool:
    """Carry an erasure out, or go on with it; returns whether it is done now.

    A worker that died is followed by another after the lease: each part can be gone through twice. While a message is
    on its way to the person, the rest is erased already and this is tried again.
    """
    token, now = uuid4().hex, database_now()
    waiting = PersonRequest.objects.unscoped().filter(
        pk=request_id, kind="erasure", state=RequestState.WAITING, next_at__lte=now
    )
    if not waiting.update(lease_token=token, next_at=now + LEASE):
        return False
    request = PersonRequest.objects.unscoped().select_related("client").get(pk=request_id)
    client_id = request.client_id
    given = request.addresses or {"phones": [], "emails": []}
    first = (given["phones"] + given["emails"])[0]
    person = Person(tuple(given["phones"]), tuple(given["emails"]), "#" + hasher().hash(client_id, first)[:14])
    counts, is_done = dict(request.counts), True
    counts["exports"] = counts.get("exports", 0) + delete_files(client_id=client_id, before=now)
    mine = PersonRequest.objects.for_client(client_id).filter(pk=request_id, lease_token=token)
    for part in reversed(PARTS.values()):  # from above down: a cancelled message still writes events below
        changed, done = part.erase(client_id, person)
        counts[part.name] = counts.get(part.name, 0) + changed
        is_done = is_done and done
        if not mine.update(counts=counts, next_at=database_now() + LEASE):
            return False  # another worker took over
    with transaction.atomic():
        if not is_done:
            mine.update(next_at=database_now() + AGAIN_AFTER, lease_token="")
            return False
        if not mine.update(
            state=RequestState.DONE, addresses=None, done_at=database_now(), next_at=None, lease_token=""
        ):
            return False
        record_audit(client=client_id, action="privacy.erased", target=f"person:{request_id}", after={"rows": counts})
    return True


def collect(client_id: int, person: Person) -> Iterator[tuple[str, str, dict]]:
    """Everything that is kept of a person: (part, kind of row, facts)."""
    for part in PARTS.values():
        for kind, facts in part.collect(client_id, person):
            yield part.name, kind, facts


@needs("privacy.write")
@transaction.atomic
def lift_erasure(*, client: Client, person: Person, reason: str) -> bool:
    """Let an erased person be added and written to again, because they asked for it. Returns whether they were erased.

    Raises: InvalidInput (`reason`).
    """
    if len(reason.strip()) < 3:
        raise InvalidInput({"reason": [_("Say why, such as when and how the person asked for it.")]})
    computed = hasher()
    hashes = [computed.hash(client.pk, address) for address in person.addresses]
    gone = ErasedAddress.objects.filter(client_id=client.pk, hash__in=hashes).delete()[0]
    if gone:
        shown = ", ".join(masked(address) for address in person.addresses)
        record_audit(client=client, action="privacy.lifted", after={"who": shown, "reason": reason.strip()[:200]})
    return bool(gone)


def sweep_requests() -> None:
    """Wake erasures that wait; note the exports that are ready."""
    now = database_now()
    open_ones = PersonRequest.objects.unscoped().filter(state=RequestState.WAITING, next_at__lte=now)
    for pk, kind in list(open_ones.order_by("pk").values_list("pk", "kind")[:50]):
        if kind == "erasure":
            wake.erase_person(pk)
    ready = PersonRequest.objects.unscoped().filter(state=RequestState.WAITING, kind="export")
    for request in ready.exclude(export__state__in=["waiting", "running"]).select_related("export")[:50]:
        export = request.export
        is_there = export is not None and export.state in ("done", "gone")
        PersonRequest.objects.for_client(request.client_id).filter(pk=request.pk).update(
            state=RequestState.DONE if is_there else RequestState.FAILED,
            addresses=None,
            done_at=export.finished_at if export else now,
            next_at=None,
        )
