"""Provider accounts, the routes to them, and the circuit breaker that rests one which fails (D8)."""

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from crm.common.errors import InvalidInput
from crm.common.phones import region_of
from crm.common.sql import later_sql, now_sql, update_rows
from messaging.errors import NoRoute
from messaging.models import Channel, Message, MessageStatus, ProviderAccount, Route
from messaging.providers.registry import get_adapter

REST_SECONDS = 5  # the first rest; each further one in a row is twice as long
LONGEST_REST_LEVEL = 6  # 5 s × 2⁶ = 320 s


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
    *, account: ProviderAccount, channel: str = "sms", country: str = "", sender: str = "", preference: int = 10
) -> Route:
    """Let `account` carry messages of `channel`; country and sender narrow it, empty means any. Again is harmless."""
    route, _ = Route.objects.update_or_create(
        account=account, channel=channel, country=country, sender=sender, defaults={"preference": preference}
    )
    return route


class RouteTable:
    """The routes of one channel, loaded once for a whole batch of messages."""

    def __init__(self, channel: str) -> None:
        self.routes = list(
            Route.objects.filter(channel=channel, account__is_active=True)
            .annotate(resting=Q(account__rest_until__gt=Now()))
            .values_list("account_id", "country", "sender", "preference", "resting")
        )
        self._chosen: dict[tuple[str, str, int | None], int] = {}

    def account_for(self, *, country: str, sender: str, avoid: int | None = None) -> int:
        """The account id for a message to `country` from `sender`. Accounts at rest are taken only as a last resort.

        avoid: an account that has just failed. Raises: NoRoute.
        """
        key = (country, sender, avoid)
        if key not in self._chosen:
            fitting = [
                # in order: awake, not the one to avoid, sender named, country named, preference
                (bool(resting), account == avoid, wanted_sender == "", wanted_country == "", preference, account)
                for account, wanted_country, wanted_sender, preference, resting in self.routes
                if wanted_country in ("", country) and wanted_sender in ("", sender)
            ]
            if not fitting:
                raise NoRoute(country=country)
            self._chosen[key] = min(fitting)[-1]
        return self._chosen[key]

    def is_resting(self, account_id: int) -> bool:
        return any(bool(resting) for account, _, _, _, resting in self.routes if account == account_id)


def rest_account(*, account_id: int, reason: str) -> bool:
    """Take an account out of use for a while, longer each time in a row. False: another process did it already."""
    account = ProviderAccount.objects.filter(pk=account_id).first()
    if account is None:
        return False
    seconds = REST_SECONDS * 2 ** min(account.rest_level, LONGEST_REST_LEVEL)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE messaging_provideraccount SET rest_until = {later_sql(seconds)}, rest_level = rest_level + 1, "
            f"rest_reason = %s WHERE id = %s AND rest_level = %s AND (rest_until IS NULL OR rest_until <= {now_sql()})",
            [reason[:200], account_id, account.rest_level],
        )
        return cursor.rowcount == 1


def mark_working(*, account_id: int) -> None:
    """The account took a message: the next rest starts short again."""
    ProviderAccount.objects.filter(pk=account_id, rest_level__gt=0).update(
        rest_level=0, rest_until=None, rest_reason=""
    )


def accounts_out_of_use() -> list[int]:
    """Accounts at rest or switched off: what waits for them may have another road."""
    out = ProviderAccount.objects.filter(Q(is_active=False) | Q(rest_until__gt=Now()))
    return list(out.values_list("pk", flat=True))


def divert_queue(*, account_id: int, chunk: int = 2000) -> set[int]:
    """Give the queued messages of an account out of use to the next awake account of their route, where there is one.

    Only messages that surely never left are moved (D5); the others wait for their account. Returns the accounts that
    got messages.
    """
    routes = RouteTable(Channel.SMS)
    if not any(account != account_id and not resting for account, _, _, _, resting in routes.routes):
        return set()
    taken: set[int] = set()
    last = 0
    while True:
        waiting = list(
            Message.objects.unscoped()
            .filter(provider_account_id=account_id, status=MessageStatus.QUEUED, pk__gt=last)
            .order_by("pk")
            .values_list("pk", "recipient", "sender")[:chunk]
        )
        if not waiting:
            return taken
        last = waiting[-1][0]
        moves = []
        for pk, recipient, sender in waiting:
            try:
                chosen = routes.account_for(country=region_of(recipient), sender=sender, avoid=account_id)
            except NoRoute:
                continue
            if chosen != account_id and not routes.is_resting(chosen):
                moves.append((pk, chosen))
        update_rows(
            Message,
            ("id", "provider_account_id"),
            moves,
            assign="next_attempt_at = NULL",
            where="t.status = 'queued' AND t.provider_account_id = %s",
            params=[account_id],
        )
        taken.update(chosen for _, chosen in moves)
