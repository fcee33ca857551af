"""Reads of accounts that several doors share."""

import hmac
from collections.abc import Sequence
from copy import copy
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from accounts.models import (
    ApiKey,
    ApiRequest,
    AuditEntry,
    Client,
    DeliveryState,
    Invitation,
    Membership,
    Notice,
    SavedView,
    User,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from accounts.roles import PERMISSIONS
from crm.common.crypto import digest
from crm.common.reading import CompiledRead
from crm.common.together import Together

_LIVE = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))

_LIVE_KEY = CompiledRead(
    lambda key_hash: ApiKey.objects.unscoped().select_related("client").filter(_LIVE, key_hash=key_hash)
)


def find_key(api_key: str) -> ApiKey | None:
    """The live key that a caller presents, with its client; None for one that is unknown, revoked or expired.

    Found by the index on its digest, which tells nothing about the key; expiry goes by the database's clock (D11).
    Calls with one key that come while it is looked up share the next look-up, which begins after all of them (T4).
    """
    wanted = digest(api_key)
    return _look_ups.ask(wanted, wanted)


def _find_for_all(digests: Sequence[str]) -> list[ApiKey | None]:
    """The key of this digest for each who asks, whose copy is its own."""
    found = _LIVE_KEY.first(digests[0])
    if found is None or not hmac.compare_digest(found.key_hash, digests[0]):
        return [None] * len(digests)
    keys = [found]
    for _ in digests[1:]:
        key = copy(found)
        key.client = copy(found.client)
        keys.append(key)
    return [_acting(key) for key in keys]


_look_ups: Together[str, ApiKey | None] = Together(_find_for_all)


def find_live_key(key_id: int) -> ApiKey | None:
    """The live key with this id, as `find_key` gives it."""
    found = ApiKey.objects.unscoped().select_related("client").filter(_LIVE, pk=key_id).first()
    return _acting(found) if found else None


def find_ended_key(api_key: str) -> ApiKey | None:
    """A key that is accepted no more, so that its owner can be told who still uses it; None for any other text."""
    return ApiKey.objects.unscoped().filter(key_hash=digest(api_key)).first()


def _acting(key: ApiKey) -> ApiKey:
    """A simulation key's client stands in simulation for this call; the row itself stays as it is."""
    key.client.simulation = key.client.simulation or key.simulation
    return key


def has_secret(key: ApiKey, secret: str) -> bool:
    """Whether `secret` is the one issued with `key`."""
    return hmac.compare_digest(key.secret_hash, digest(secret))


def has_app_key(key: ApiKey, app_key: str) -> bool:
    """Whether `app_key` is the application key issued with `key`."""
    return hmac.compare_digest(key.app_key_hash, digest(app_key))


def keys_for(client: Client) -> QuerySet[ApiKey]:
    """Every key of `client`, newest first, revoked ones included."""
    return ApiKey.objects.for_client(client).select_related("client", "created_by", "replaced_by")


_OUTCOMES = {"ok": (200, 399), "refused": (400, 499), "broken": (500, 599)}


def requests_for(
    client: Client, *, outcome: str = "", error_code: str = "", key_id: int | None = None, method: str = "", q: str = ""
) -> QuerySet[ApiRequest]:
    """The last API requests, newest first. outcome: ok, refused or broken; q: a part of the path, or an id."""
    found = ApiRequest.objects.for_client(client).select_related("api_key").order_by("-pk")
    if outcome:
        found = found.filter(status__range=_OUTCOMES[outcome])
    if error_code:
        found = found.filter(error_code__iexact=error_code)
    if key_id:
        found = found.filter(api_key_id=key_id)
    if method:
        found = found.filter(method=method)
    if q:
        found = found.filter(Q(path__icontains=q) | Q(request_id=q.lower()))
    return found


def endpoints_for(client: Client) -> QuerySet[WebhookEndpoint]:
    """A client's webhooks, oldest first."""
    return WebhookEndpoint.objects.for_client(client).order_by("pk")


def deliveries_for(
    endpoint: WebhookEndpoint,
    *,
    state: str = "",
    event: str = "",
    since: datetime | None = None,
    before: datetime | None = None,
) -> QuerySet[WebhookDelivery]:
    """What was written down for an endpoint, newest first. state: one of DeliveryState, or "retrying": it failed and
    will be tried again. since, before: when the event happened.
    """
    found = WebhookDelivery.objects.for_client(endpoint.client_id).filter(endpoint=endpoint).order_by("-pk")
    if state == "retrying":
        found = found.filter(state=DeliveryState.WAITING, tries__gt=0)
    elif state:
        found = found.filter(state=state)
    if event:
        found = found.filter(event=event)
    if since:
        found = found.filter(created_at__gte=since)
    if before:
        found = found.filter(created_at__lt=before)
    return found


def deliveries_about(client: Client, message_id: str) -> list[WebhookDelivery]:
    """What a client's endpoints were told of one message, by its public id, oldest first; twenty at most."""
    found = WebhookDelivery.objects.for_client(client).filter(about=message_id).exclude(about="")
    return list(found.select_related("endpoint").order_by("pk")[:20])


def attempts_of(delivery: WebhookDelivery) -> list[WebhookAttempt]:
    """Every attempt of a delivery, oldest first."""
    return list(WebhookAttempt.objects.for_client(delivery.client_id).filter(delivery=delivery).order_by("pk"))


def latest_notices(membership: Membership, limit: int = 10) -> list[Notice]:
    """What a member was told of last, newest first."""
    mine = Notice.objects.for_client(membership.client_id).filter(user_id=membership.user_id)
    return list(mine.order_by("-pk")[:limit])


def audit_for(
    client: Client, *, noun: str = "", who: str = "", since: datetime | None = None, before: datetime | None = None
) -> QuerySet[AuditEntry]:
    """A client's audit log, newest first. noun: what it is about, such as key; who: part of the actor's name."""
    found = AuditEntry.objects.for_client(client).order_by("-pk")
    if noun:
        found = found.filter(action__startswith=f"{noun}.")
    if text := who.replace("\x00", "").strip():
        found = found.filter(actor_name__icontains=text)
    if since:
        found = found.filter(at__gte=since)
    if before:
        found = found.filter(at__lt=before)
    return found


def saved_views_for(client: Client, user: User, page: str) -> QuerySet[SavedView]:
    """What a member kept of the list `page`, and what colleagues shared, by name."""
    views = SavedView.objects.for_client(client).filter(Q(owner=user) | Q(shared=True), page=page)
    return views.order_by("name", "pk")


_PLACES = frozenset({"page", "open", "before", "after"})  # where one stands in a list is no part of a view


def view_query(query: str) -> str:
    """The query string of a list as a view keeps it: without blank filters and the place in the list."""
    pairs = parse_qsl(query.lstrip("?"))
    return urlencode([(key, value) for key, value in pairs if key not in _PLACES and "\x00" not in value])


def members_of(client: Client) -> QuerySet[Membership]:
    """The organisation's members with their people, owners first."""
    return Membership.objects.filter(client=client).select_related("user").order_by("pk")


def who_may(client: Client, permission: str) -> Membership | None:
    """The member whom a colleague asks for something, an owner before an admin before others; None where nobody may."""
    holders = [member for member in members_of(client).filter(user__is_active=True) if member.may(permission)]
    order = list(PERMISSIONS)
    return min(holders, key=lambda member: (order.index(member.role), member.pk), default=None)


def members_with_sign_in(client: Client) -> list[Membership]:
    """Members as the team page lists them: `second_factor` says whether a second step guards their sign-in."""
    guarded = Authenticator.objects.filter(
        user=OuterRef("user"), type__in=[Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    )
    return list(members_of(client).annotate(second_factor=Exists(guarded)))


def confirmed_phones(client: Client) -> set[str]:
    """Numbers, E.164, that a member of the organisation proved to hold by typing a code sent to it."""
    people = User.objects.filter(memberships__client=client, phone_verified_at__isnull=False, is_active=True)
    return set(people.values_list("phone", flat=True))


def emails_of_members(client: Client) -> set[str]:
    """Addresses, in lower case, by which the organisation's people sign in."""
    people = User.objects.filter(memberships__client=client, is_active=True).exclude(email="")
    return {email.lower() for email in people.values_list("email", flat=True)}


def invitations_of(client: Client) -> QuerySet[Invitation]:
    return Invitation.objects.for_client(client).select_related("invited_by")


def open_invitations_of(client: Client) -> list[Invitation]:
    """Those that can still be accepted, newest first."""
    return list(invitations_of(client).filter(ended_at=None, expires_at__gt=Now()).order_by("-pk"))


def has_account(email: str) -> bool:
    """Whether somebody signs in by this address. Only for who holds a link that was sent to it."""
    return User.objects.filter(email=email).exists()
