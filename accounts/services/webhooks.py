"""Webhook endpoints: made, changed, paused, given a new secret, tested; deliveries sent again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts import wake
from accounts.delivery.signing import new_secret
from accounts.delivery.targets import check_webhook_url
from accounts.events import EVENTS
from accounts.models import Client, DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookFormat
from accounts.services.access import needs
from accounts.services.audit import record_audit
from accounts.services.events import body_of, new_event_id
from crm.common.errors import InvalidInput, NotFound, WrongState
from crm.common.sql import database_now

MOST_ENDPOINTS = 20  # of one client: each event is written down once per endpoint
ROTATION_SECONDS = 24 * 3600
_SHORTEST_SECRET, _LONGEST_SECRET = 16, 128
_OWN_ATTEMPT_SECONDS = 60  # a test that its asker sends is left alone by the deliverer for so long


@dataclass(frozen=True, slots=True)
class IssuedEndpoint:
    """An endpoint and its secret in the clear: the one moment at which anybody can read it."""

    endpoint: WebhookEndpoint
    secret: str = field(repr=False)


def get_endpoint(*, client: Client, endpoint_id: int) -> WebhookEndpoint:
    """Raises: NotFound, for another client's endpoint as for none."""
    endpoint = WebhookEndpoint.objects.for_client(client).filter(pk=endpoint_id).first()
    if endpoint is None:
        raise NotFound(_("There is no such webhook."))
    return endpoint


@needs("keys.write")
@transaction.atomic
def create_endpoint(
    *, client: Client, url: str, events: Iterable[str], format: str = WebhookFormat.ENVELOPE, secret: str = ""
) -> IssuedEndpoint:
    """Tell `url` of `events` (names of accounts/events.py, or "*") from now on.

    secret: 16 to 128 characters without spaces; "" makes one. Raises: InvalidInput, fields as the parameters.
    """
    fields = _read_fields(url=url, events=events, format=format)
    secret = _read_secret(secret)
    if WebhookEndpoint.objects.for_client(client).count() >= MOST_ENDPOINTS:
        raise InvalidInput(
            {"url": [_("There are {n} webhooks already. Delete one that is not needed.").format(n=MOST_ENDPOINTS)]}
        )
    endpoint = WebhookEndpoint.objects.create(client=client, secret=secret, **fields)
    _audit(endpoint, "created", after=fields)
    return IssuedEndpoint(endpoint, secret)


@needs("keys.write", of="endpoint")
def update_endpoint(
    *,
    endpoint: WebhookEndpoint,
    url: str | None = None,
    events: Iterable[str] | None = None,
    format: str | None = None,
    active: bool | None = None,
) -> WebhookEndpoint:
    """Change what is not None. active: False pauses, True resumes. What is written down already keeps its body.

    Raises: InvalidInput, fields as the parameters.
    """
    fields = _read_fields(
        url=endpoint.url if url is None else url,
        events=endpoint.events if events is None else events,
        format=endpoint.format if format is None else format,
        is_new_url=url is not None and url != endpoint.url,
    )
    with transaction.atomic():
        _own(endpoint).update(**fields)
        before = {name: getattr(endpoint, name) for name in fields}
        if before != fields:
            _audit(endpoint, "changed", before=before, after=fields)
        if active is True:
            resume_endpoint(endpoint=endpoint)
        elif active is False:
            pause_endpoint(endpoint=endpoint)
    return _fresh(endpoint)


@needs("keys.write", of="endpoint")
@transaction.atomic
def pause_endpoint(*, endpoint: WebhookEndpoint) -> bool:
    """Send nothing more to it and write nothing new down for it. Returns whether it was active."""
    paused = _own(endpoint).filter(active=True).update(active=False, disabled_reason="")
    if paused:
        _audit(endpoint, "paused")
    return bool(paused)


@needs("keys.write", of="endpoint")
@transaction.atomic
def resume_endpoint(*, endpoint: WebhookEndpoint) -> bool:
    """Send to it again, first what still waited. Returns whether it was paused."""
    resumed = (
        _own(endpoint)
        .filter(active=False)
        .update(active=True, disabled_reason="", failing_since=None, failure_told_at=None, disabled_told_at=None)
    )
    wake.deliverer()
    if resumed:
        _audit(endpoint, "resumed")
    return bool(resumed)


@needs("keys.write", of="endpoint")
def delete_endpoint(*, endpoint: WebhookEndpoint) -> None:
    """Forget the endpoint and its log; what waited for it is not sent.

    It is paused first, so that nothing new is written down for it. What somebody is writing down at this very moment
    makes the database refuse; then once more.
    """
    pause_endpoint(endpoint=endpoint)
    for is_last in (False, False, True):
        try:
            with transaction.atomic():
                _own(endpoint).update(lease_owner="", lease_until=None)
                _own(endpoint).delete()
                _audit(endpoint, "deleted", before={"url": endpoint.url, "events": endpoint.events})
            return
        except IntegrityError:
            if is_last:
                raise


@needs("keys.write", of="endpoint")
def rotate_secret(*, endpoint: WebhookEndpoint, secret: str = "") -> IssuedEndpoint:
    """Sign with a new secret; the present one signs beside it for 24 hours. Raises: InvalidInput (`secret`)."""
    secret = _read_secret(secret)
    with transaction.atomic():
        until = database_now() + timedelta(seconds=ROTATION_SECONDS)
        _own(endpoint).update(
            previous_secret=F("secret"),
            previous_until=until,
            secret=secret,
        )
        _audit(endpoint, "secret_rotated")
    return IssuedEndpoint(_fresh(endpoint), secret)


@needs("keys.write", of="endpoint")
@transaction.atomic
def record_test(*, endpoint: WebhookEndpoint, event: str, by_asker: bool = False) -> WebhookDelivery:
    """Write a sample of `event` down for this endpoint alone, marked `"test":true`.

    by_asker: the caller sends it itself (accounts/delivery/loop.py, `deliver_now`), also while the endpoint is paused.
    Raises: InvalidInput (`event`), WrongState (paused).
    """
    if event not in EVENTS:
        raise InvalidInput({"event": [_("Choose one of {choices}.").format(choices=", ".join(EVENTS))]})
    if not endpoint.active and not by_asker:
        raise WrongState(_("This webhook is paused. Resume it first."))
    now = database_now()
    body = body_of(endpoint.format, event, endpoint.client_id, EVENTS[event].sample, now, is_test=True)
    due = now + timedelta(seconds=_OWN_ATTEMPT_SECONDS if by_asker else 0)
    delivery = WebhookDelivery.objects.create(
        client_id=endpoint.client_id,
        endpoint=endpoint,
        event=event,
        event_id=new_event_id(),
        body=body,
        next_at=due,
        created_at=now,
    )
    if not by_asker:
        wake.deliverer()
    return delivery


@needs("keys.write", of="endpoint")
def redeliver(*, endpoint: WebhookEndpoint, delivery_ids: Sequence[int]) -> int:
    """Send these deliveries again now, whatever became of them, with the whole schedule before them.

    Returns how many there were; ids of other endpoints are passed over. Raises: WrongState (paused).
    """
    return _send_again(endpoint, deliveries_of(endpoint).filter(pk__in=list(delivery_ids)))


@needs("keys.write", of="endpoint")
def redeliver_failed(*, endpoint: WebhookEndpoint, since: datetime) -> int:
    """Send again now whatever has failed since then: given up, or waiting for its next try. Returns how many.

    Raises: WrongState (paused).
    """
    return _send_again(endpoint, failed_since(endpoint, since))


def failed_since(endpoint: WebhookEndpoint, since: datetime) -> QuerySet[WebhookDelivery]:
    """Deliveries whose last attempt was made at `since` or later and failed."""
    failed = Q(state=DeliveryState.FAILED) | Q(state=DeliveryState.WAITING, tries__gt=0)
    return deliveries_of(endpoint).filter(failed, last_at__gte=since)


def deliveries_of(endpoint: WebhookEndpoint) -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.for_client(endpoint.client_id).filter(endpoint=endpoint)


@transaction.atomic
def _send_again(endpoint: WebhookEndpoint, deliveries: QuerySet[WebhookDelivery]) -> int:
    if not _own(endpoint).filter(active=True).exists():
        raise WrongState(_("This webhook is paused. Resume it first."))
    count = deliveries.update(state=DeliveryState.WAITING, tries=0, next_at=Now())
    if count:
        wake.deliverer()
    return count


def _audit(endpoint: WebhookEndpoint, verb: str, **facts: Any) -> None:
    record_audit(client=endpoint.client_id, action=f"webhook.{verb}", target=f"webhook:{endpoint.pk}", **facts)


def _own(endpoint: WebhookEndpoint) -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.for_client(endpoint.client_id).filter(pk=endpoint.pk)


def _fresh(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    endpoint.refresh_from_db(from_queryset=_own(endpoint))
    return endpoint


def _read_fields(*, url: str, events: Iterable[str], format: str, is_new_url: bool = True) -> dict:
    errors: dict[str, list[str]] = {}
    if is_new_url:
        try:
            url = check_webhook_url(url)
        except InvalidInput as refusal:
            errors |= refusal.errors
    chosen = list(dict.fromkeys(events))
    if unknown := [event for event in chosen if event != "*" and event not in EVENTS]:
        errors["events"] = [
            _("There is no event “{name}”. Events: *, {events}.").format(name=unknown[0], events=", ".join(EVENTS))
        ]
    elif not chosen:
        errors["events"] = [_("Choose at least one event.")]
    if format not in WebhookFormat.values:
        errors["format"] = [_("Choose one of {choices}.").format(choices=", ".join(WebhookFormat.values))]
    if errors:
        raise InvalidInput(errors)
    return {"url": url, "events": ["*"] if "*" in chosen else chosen, "format": format}


def _read_secret(secret: str) -> str:
    if not secret:
        return new_secret()
    if not _SHORTEST_SECRET <= len(secret) <= _LONGEST_SECRET or not secret.isprintable() or " " in secret:
        raise InvalidInput(
            {
                "secret": [
                    _("Give {least} to {most} characters without spaces, or none at all.").format(
                        least=_SHORTEST_SECRET, most=_LONGEST_SECRET
                    )
                ]
            }
        )
    return secret
