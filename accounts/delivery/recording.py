"""What attempts came to, written down in batches: the log, the next try, the health of the endpoint (W3)."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from accounts.models import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from crm.common.sql import database_now, insert_rows, lock_rows, update_rows
from crm.common.transfers import Ended

# Seconds between one attempt and the next, each a tenth more or less; after the last the delivery has failed.
WAITS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
ATTEMPTS = len(WAITS) + 1
LONGEST_RETRY_AFTER = 86_400
GIVE_UP_AFTER = timedelta(days=5)
KEPT_OF_ANSWER = 1024

GONE_REASON = gettext_noop("It answered 410 Gone: it wants no more events.")  # translated where it is read
FAILING_REASON = gettext_noop("Nothing could be delivered to it for five days.")


@dataclass(frozen=True, slots=True)
class Attempted:
    """One request and its end. tries: how many attempts of this round came before it."""

    delivery_id: int
    endpoint_id: int
    client_id: int
    url: str
    tries: int
    ended: Ended

    @property
    def is_success(self) -> bool:
        return self.ended.kind == "answer" and 200 <= self.ended.status < 300

    @property
    def is_gone(self) -> bool:
        return self.ended.kind == "answer" and self.ended.status == 410

    @property
    def status(self) -> int | None:
        return self.ended.status if self.ended.kind == "answer" else None


def record_attempts(attempts: Sequence[Attempted]) -> None:
    """Write them down in a number of statements that does not depend on how many. What was deleted meanwhile is not.

    A failure never takes back a success that another process recorded.
    """
    with transaction.atomic():
        # The endpoints first, in the order of their keys: deleting one takes them in that order too.
        endpoint_ids = {attempt.endpoint_id for attempt in attempts}
        list(
            WebhookEndpoint.objects.unscoped()
            .filter(pk__in=endpoint_ids)
            .order_by("pk")
            .select_for_update(no_key=True)
            .values_list("pk", flat=True)
        )
        now = database_now()
        lock_rows(WebhookDelivery, [attempt.delivery_id for attempt in attempts])
        numbers = dict(
            update_rows(
                WebhookDelivery,
                ("id", "-state", "-next_at", "last_at", "last_status", "last_problem", "last_milliseconds"),
                [_row(attempt, now) for attempt in attempts],
                assign="""attempts = t.attempts + 1, tries = t.tries + 1,
                    state = CASE WHEN t.state = 'waiting' OR v.state = 'delivered' THEN v.state ELSE t.state END,
                    next_at = CASE WHEN t.state = 'waiting' OR v.state = 'delivered' THEN v.next_at ELSE t.next_at END
                """,
                returning=("id", "attempts"),
            )
        )
        insert_rows(
            WebhookAttempt,
            ("delivery_id", "client_id", "number", "url", "status", "problem", "answer", "milliseconds", "at"),
            [
                (
                    attempt.delivery_id,
                    attempt.client_id,
                    numbers[attempt.delivery_id],
                    attempt.url,
                    attempt.status,
                    problem_of(attempt.ended),
                    _shown(attempt.ended.body),
                    _milliseconds(attempt.ended),
                    now,
                )
                for attempt in attempts
                if attempt.delivery_id in numbers
            ],
        )
        _record_health(attempts, now)


def problem_of(ended: Ended) -> str:
    """Why it was no success, in a sentence; "" where the status says it all."""
    if ended.refused:
        return f"The name leads to {ended.refused}, which is not on the public internet."
    if ended.kind != "answer":
        return (ended.problem or gettext_noop("The connection ended before an answer came."))[:200]
    if 300 <= ended.status < 400:
        return gettext_noop("It answered with a redirect. Redirects are never followed: enter the address it leads to.")
    return ""


def wait_seconds(tries: int, ended: Ended) -> float | None:
    """Seconds until the next attempt after number `tries` of the round; None: there is no further one.

    429 and 503 may ask for longer by Retry-After, up to a day.
    """
    if tries >= ATTEMPTS:
        return None
    wait = WAITS[tries - 1] * random.uniform(0.9, 1.1)
    if ended.kind == "answer" and ended.status in (429, 503):
        wait = max(wait, _retry_after(ended))
    return wait


def _retry_after(ended: Ended) -> float:
    """What the answer asks for, in seconds or as a date; 0 where it asks for nothing that can be read."""
    text = dict(ended.headers).get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def _row(attempt: Attempted, now: datetime) -> tuple:
    state, next_at = DeliveryState.DELIVERED, None
    if not attempt.is_success:
        wait = None if attempt.is_gone else wait_seconds(attempt.tries + 1, attempt.ended)
        state = DeliveryState.FAILED if wait is None else DeliveryState.WAITING
        next_at = None if wait is None else now + timedelta(seconds=wait)
    return (
        attempt.delivery_id,
        state,
        next_at,
        now,
        attempt.status,
        problem_of(attempt.ended),
        _milliseconds(attempt.ended),
    )


def _record_health(attempts: Sequence[Attempted], now: datetime) -> None:
    """An endpoint that took anything works; one that took nothing has been failing since its first failure."""
    endpoints = WebhookEndpoint.objects.unscoped()
    worked = {attempt.endpoint_id for attempt in attempts if attempt.is_success}
    failed = {attempt.endpoint_id for attempt in attempts} - worked
    if worked:
        endpoints.filter(pk__in=worked).update(last_success_at=now, failing_since=None, failure_told_at=None)
    if failed:
        endpoints.filter(pk__in=failed, failing_since=None).update(failing_since=now)
        long_enough = endpoints.filter(pk__in=failed, active=True, failing_since__lte=now - GIVE_UP_AFTER)
        long_enough.update(active=False, disabled_reason=FAILING_REASON)
    if gone := {attempt.endpoint_id for attempt in attempts if attempt.is_gone}:
        endpoints.filter(pk__in=gone, active=True).update(active=False, disabled_reason=GONE_REASON)


def _shown(body: bytes) -> str:
    """The beginning of an answer as text that every database can hold."""
    return body[:KEPT_OF_ANSWER].decode("utf-8", "replace").replace("\x00", "\ufffd")


def _milliseconds(ended: Ended) -> int:
    return round(ended.seconds * 1000)
