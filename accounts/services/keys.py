"""API keys: issued, shown once, kept as digests, revoked."""

import secrets
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Client, User
from accounts.scopes import SCOPES
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.acting import key_acts
from crm.common.addresses import normalize_network
from crm.common.crypto import digest
from crm.common.errors import InvalidInput, WrongState
from crm.common.sql import database_now

_BASE62 = string.digits + string.ascii_letters
_RANDOM_CHARACTERS = 32  # of base 62: 190 bits
_MOST_ADDRESSES = 50
OVERLAPS = {"now": 0, "1h": 3600, "24h": 24 * 3600, "7d": 7 * 24 * 3600}  # seconds the old key works on


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key and its three values in the clear: the one moment at which anybody can read them."""

    key: ApiKey
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    app_key: str = field(repr=False)


@needs("keys.write")
@transaction.atomic
def create_api_key(
    *,
    client: Client,
    name: str,
    scopes: Iterable[str],
    allowed_addresses: Sequence[str] = (),
    expires_at: datetime | None = None,
    simulation: bool = False,
    by: User | None = None,
) -> IssuedKey:
    """Issue a key with its secret and application key; the database keeps their SHA-256 digests and the prefix.

    scopes: names of accounts/scopes.py, at least one. allowed_addresses: IP addresses or CIDR blocks; none: any.
    simulation: what is sent with it never leaves and costs nothing.
    Raises: InvalidInput, fields `name`, `scopes`, `allowed_addresses`, `expires_at`.
    """
    name, chosen, networks = read_key_fields(
        name=name, scopes=scopes, allowed_addresses=allowed_addresses, expires_at=expires_at
    )
    mode = "test" if simulation else "live"
    prefix = f"tk_{mode}_{secrets.token_hex(4)}"
    api_key = f"{prefix}_{_random()}"
    api_secret, app_key = f"ts_{mode}_{_random()}", f"ta_{mode}_{_random()}"
    key = ApiKey.objects.create(
        client=client,
        name=name,
        prefix=prefix,
        last_four=api_key[-4:],
        simulation=simulation,
        key_hash=digest(api_key),
        secret_hash=digest(api_secret),
        app_key_hash=digest(app_key),
        scopes=chosen,
        allowed_addresses=networks,
        expires_at=expires_at,
        created_by=by,
    )
    after = {
        "name": name,
        "simulation": simulation,
        "scopes": chosen,
        "addresses": networks,
        "expires_at": expires_at,
        "prefix": prefix,
    }
    record_audit(client=client, action="key.created", target=f"key:{key.pk}", after=after)
    return IssuedKey(key, api_key, api_secret, app_key)


def read_key_fields(
    *, name: str, scopes: Iterable[str], allowed_addresses: Sequence[str], expires_at: datetime | None
) -> tuple[str, list[str], list[str]]:
    """Name, scopes and networks as they are kept. Raises: InvalidInput as `create_api_key` does, for its forms."""
    name, chosen = name.strip(), sorted(set(scopes))
    networks, bad_addresses = _read_networks(allowed_addresses)
    errors: dict[str, list[str]] = {}
    if not 1 <= len(name) <= 80:
        errors["name"] = [_("Give the key a name of at most 80 characters.")]
    if unknown := [scope for scope in chosen if scope not in SCOPES]:
        errors["scopes"] = [
            _("There is no scope “{name}”. Scopes: {scopes}.").format(name=unknown[0], scopes=", ".join(SCOPES))
        ]
    elif not chosen:
        errors["scopes"] = [_("Choose at least one thing that the key may do.")]
    if bad_addresses:
        errors["allowed_addresses"] = [
            _("“{text}” is no IP address or network.").format(text=text) for text in bad_addresses
        ]
    elif len(networks) > _MOST_ADDRESSES:
        errors["allowed_addresses"] = [
            _("Give at most {n} addresses; a network counts as one.").format(n=_MOST_ADDRESSES)
        ]
    if expires_at is not None and (timezone.is_naive(expires_at) or expires_at <= timezone.now()):
        errors["expires_at"] = [_("The key must expire in the future.")]
    if errors:
        raise InvalidInput(errors)
    return name, chosen, networks


@needs("keys.write", of="key")
@transaction.atomic
def revoke_api_key(*, key: ApiKey) -> bool:
    """End `key` from the next request on. Returns whether this call ended it; a second one changes nothing."""
    ended = ApiKey.objects.filter(client_id=key.client_id, pk=key.pk, revoked_at=None).update(revoked_at=Now())
    key.refresh_from_db(fields=["revoked_at"], from_queryset=ApiKey.objects.for_client(key.client_id))
    if ended:
        facts = {"name": key.name, "prefix": key.prefix}
        record_audit(client=key.client_id, action="key.revoked", target=f"key:{key.pk}", before=facts)
    return bool(ended)


@needs("keys.write", of="key")
def rotate_api_key(*, key: ApiKey, overlap: str, by: User | None = None) -> IssuedKey:
    """Issue a key that may do what `key` may; `key` works on for `overlap` (a name of OVERLAPS), then no more.

    It never works longer than it would have, and the new one ends when it was to end.
    Raises: InvalidInput (`overlap`), WrongState: it has ended, or another key has taken over already.
    """
    if overlap not in OVERLAPS:
        raise InvalidInput({"overlap": [_("Choose one of {choices}.").format(choices=", ".join(OVERLAPS))]})
    with transaction.atomic():
        now = database_now()
        own = ApiKey.objects.filter(client_id=key.client_id, pk=key.pk, revoked_at=None, replaced_by=None)
        live = own.filter(Q(expires_at=None) | Q(expires_at__gt=now))
        if not live.exists():
            raise WrongState(_("This key has ended, or another one has taken over from it already."))
        issued = create_api_key(
            client=key.client,
            name=key.name,
            scopes=key.scopes,
            allowed_addresses=key.allowed_addresses,
            expires_at=key.expires_at,
            simulation=key.simulation,
            by=by,
        )
        end = now + timedelta(seconds=OVERLAPS[overlap])
        later = Q(expires_at=None) | Q(expires_at__gt=end)
        replaced = live.filter(later).update(expires_at=end, replaced_by=issued.key)
        replaced = replaced or live.update(replaced_by=issued.key)  # it ends sooner by itself
        if not replaced:  # another rotation was first
            raise WrongState(_("This key has ended, or another one has taken over from it already."))
        facts = {"overlap": overlap, "new_key": issued.key.pk}
        record_audit(client=key.client, action="key.rotated", target=f"key:{key.pk}", after=facts)
    return issued


def note_use(*, key: ApiKey, address: str = "", used_for: str = "") -> None:
    """The request at hand acts by `key`. Keep when, whence and for what: at most one small write a minute.

    used_for: method and path of the call, without ids.
    """
    key_acts(key)
    now = timezone.now()
    if key.last_used_at is None or (now - key.last_used_at).total_seconds() >= 60:
        unchanged = ApiKey.objects.filter(client_id=key.client_id, pk=key.pk, last_used_at=key.last_used_at)
        unchanged.update(last_used_at=now, last_used_address=address, last_used_for=used_for[:100])
        key.last_used_at = now  # several calls may share the object


def _random() -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_CHARACTERS))


def _read_networks(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    networks, bad = [], []
    for text in texts:
        if not text.strip():
            continue
        try:
            networks.append(normalize_network(text))
        except ValueError:
            bad.append(text)
    return list(dict.fromkeys(networks)), bad
