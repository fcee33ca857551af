"""Provider accounts and the routes to them, and when an account is out of use (D8). Every decision leaves a row."""

from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Now

from accounts.models import User
from crm.common.errors import InvalidInput
from crm.common.sql import database_now, later_sql, now_sql
from messaging import reasons, wake
from messaging.models import DecisionKind, ProviderAccount, Route, RouteDecision
from messaging.providers.registry import get_adapter

REST_SECONDS = 5  # the first rest; each further one in a row is twice as long
LONGEST_REST_LEVEL = 6  # 5 s × 2⁶ = 320 s
PROBE_SECONDS = 60  # how long one process may try alone whether an account is back


@transaction.atomic
def connect_provider(
    *, name: str, adapter: str, credentials: dict[str, str], base_url: str = "", batch_size: int | None = None
) -> ProviderAccount:
    """Set up an account at a provider. Raises: InvalidInput for an unknown adapter or missing credentials."""
    try:
        spoken = get_adapter(adapter)
    except LookupError:
        raise InvalidInput({"adapter": [f"There is no provider adapter called “{adapter}”."]}) from None
    missing = [field.label for field in spoken.credential_fields if field.required and not credentials.get(field.name)]
    if missing:
        raise InvalidInput({"credentials": [f"{spoken.label} needs: {', '.join(missing)}."]})
    return ProviderAccount.objects.create(
        name=name, adapter=adapter, credentials=credentials, base_url=base_url, batch_size=batch_size
    )


def add_route(
    *,
    account: ProviderAccount,
    channel: str = "sms",
    country: str = "",
    sender: str = "",
    preference: int = 10,
    prefix: str = "",
    network: str = "",
    weight: int = 100,
    window: str = "",
    time_zone: str = "",
) -> Route:
    """Let `account` carry messages of `channel`; the rest narrows it, empty means any. Again is harmless."""
    route, _ = Route.objects.update_or_create(
        account=account,
        channel=channel,
        country=country,
        sender=sender,
        prefix=prefix,
        network=network,
        window=window,
        defaults={"preference": preference, "weight": weight, "time_zone": time_zone},
    )
    return route


def record_decision(
    *,
    account_id: int,
    kind: str,
    reason: str = "",
    by: User | None = None,
    messages: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write down what was decided about an account. Runs in the caller's transaction."""
    RouteDecision.objects.create(
        account_id=account_id,
        kind=kind,
        reason=reason[:300],
        by=by,
        messages=messages,
        facts=dict(facts or {}),
        at=database_now(),
    )


@transaction.atomic
def rest_account(*, account_id: int, reason: str) -> bool:
    """Take an account out of use for a while, longer each time in a row. False: another process did it already."""
    account = ProviderAccount.objects.filter(pk=account_id).first()
    if account is None:
        return False
    seconds = REST_SECONDS * 2 ** min(account.rest_level, LONGEST_REST_LEVEL)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_provideraccount SET rest_until = {later_sql(seconds)}, rest_level = rest_level + 1,
                rest_reason = %s, last_error = %s, last_error_at = {now_sql()}, probe_owner = '', probe_until = NULL,
                out_since = COALESCE(out_since, {now_sql()})
                WHERE id = %s AND rest_level = %s AND (rest_until IS NULL OR rest_until <= {now_sql()})""",
            [reason[:200], reason[:200], account_id, account.rest_level],
        )
        rested = cursor.rowcount == 1
    if rested:
        record_decision(
            account_id=account_id,
            kind=DecisionKind.RESTED,
            reason=reason,
            facts={"seconds": seconds, "in_a_row": account.rest_level + 1},
        )
    return rested


@transaction.atomic
def mark_working(*, account_id: int, by: User | None = None) -> None:
    """The account took a message, or a person says it will: the next rest starts short again."""
    found = ProviderAccount.objects.filter(pk=account_id, rest_level__gt=0).update(
        rest_level=0, rest_until=None, rest_reason="", probe_owner="", probe_until=None, out_since=None
    )
    if found:
        reason = reasons.WOKEN if by else reasons.WORKS
        record_decision(account_id=account_id, kind=DecisionKind.WORKING, reason=reason, by=by)


def take_probe(*, account_id: int, owner: str) -> bool:
    """Whether `owner` alone may try an account whose rest is over, with one message at a time."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_provideraccount SET probe_owner = %s, probe_until = {later_sql(PROBE_SECONDS)}
                WHERE id = %s AND rest_level > 0 AND (rest_until IS NULL OR rest_until <= {now_sql()})
                AND (probe_owner IN ('', %s) OR probe_until IS NULL OR probe_until <= {now_sql()})""",
            [owner, account_id, owner],
        )
        return cursor.rowcount == 1


def leave_probe(*, account_id: int, owner: str) -> None:
    """The trial came to nothing, as where no message was left to try with."""
    ProviderAccount.objects.filter(pk=account_id, probe_owner=owner).update(probe_owner="", probe_until=None)


def note_usual_seconds(*, account_id: int, median: float) -> None:
    """Let what an account takes to answer in good days follow its present median slowly."""
    ProviderAccount.objects.filter(pk=account_id).update(
        usual_seconds=Coalesce("usual_seconds", median) * 0.98 + median * 0.02
    )


def note_error(*, account_id: int, words: str) -> None:
    """Keep what an account said last when it did not take a message."""
    ProviderAccount.objects.filter(pk=account_id).update(last_error=words[:200], last_error_at=Now())


def accounts_out_of_use() -> list[int]:
    """Accounts at rest or switched off: what waits for them may have another road. Says since when they are."""
    out = ProviderAccount.objects.filter(Q(is_active=False) | Q(rest_until__gt=Now()))
    out.filter(out_since=None).update(out_since=Now())
    ProviderAccount.objects.filter(is_active=True, rest_level=0, out_since__isnull=False).update(out_since=None)
    return list(out.values_list("pk", flat=True))


@transaction.atomic
def pause_account(*, account_id: int, by: User | None, reason: str = "") -> bool:
    """Let nothing leave by an account until it is resumed. False: it was paused already."""
    paused = ProviderAccount.objects.filter(pk=account_id, is_active=True).update(
        is_active=False, out_since=Coalesce("out_since", Now())
    )
    if paused:
        record_decision(account_id=account_id, kind=DecisionKind.PAUSED, reason=reason, by=by)
    return bool(paused)


@transaction.atomic
def resume_account(*, account_id: int, by: User | None, reason: str = "") -> bool:
    """Let messages leave by it again, at once. False: it was not paused."""
    resumed = ProviderAccount.objects.filter(pk=account_id, is_active=False).update(
        is_active=True, out_since=None, rest_level=0, rest_until=None, rest_reason="", probe_owner="", probe_until=None
    )
    if resumed:
        record_decision(account_id=account_id, kind=DecisionKind.RESUMED, reason=reason, by=by)
        wake.senders([account_id])
    return bool(resumed)


@transaction.atomic
def set_weight(*, route_id: int, weight: int, by: User | None, reason: str = "") -> Route:
    """Change a route's share among its equals, for messages accepted from now on. Raises: InvalidInput."""
    if not 0 <= weight <= 1000:
        raise InvalidInput({"weight": ["A share is between 0 and 1000."]})
    route = Route.objects.filter(pk=route_id).first()
    if route is None:
        raise InvalidInput({"route": ["This route is gone."]})
    before = route.weight
    if before != weight:
        Route.objects.filter(pk=route_id).update(weight=weight)
        route.weight = weight
        record_decision(
            account_id=route.account_id,
            kind=DecisionKind.WEIGHTED,
            reason=reason or str(route),
            by=by,
            facts={"route": route_id, "before": before, "after": weight},
        )
    return route
