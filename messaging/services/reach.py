"""Whom the choices on the page of a campaign come to, and roughly what that costs, while one still chooses."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Count, Q
from django.db.models.functions import Substr

from accounts.models import Client
from contacts import queries as contacts
from contacts.models import OptOut
from crm.common.errors import DomainError
from crm.common.money import from_micros
from crm.common.networks import likely_network
from messaging.models import Channel
from messaging.services.audience import CHUNK, AnyRenderer
from messaging.services.direct import Typed, read_emails, read_numbers
from wallet.errors import NoPrice


@dataclass(slots=True)
class Reach:
    """people: who would get the message. The others are left out. networks: likely ones, the largest first; "" unknown.

    cost: None without a text or a price; is_estimate: priced by the first CHUNK of the people. gaps: how many of those
    lack a field of the text, with what they read instead ("" where there is no fallback).
    """

    people: int = 0
    duplicates: int = 0
    opted_out: int = 0
    without_phone: int = 0
    excluded: int = 0
    invalid: list[tuple[str, str]] = field(default_factory=list)
    networks: list[tuple[str, int]] = field(default_factory=list)
    cost: Decimal | None = None
    units: int = 0
    is_estimate: bool = False
    gaps: list[tuple[str, str, int]] = field(default_factory=list)


def measure_reach(
    *,
    client: Client,
    group_ids: Sequence[int],
    excluded_ids: Sequence[int] = (),
    typed: str = "",
    listed: Sequence[str] = (),
    sender: str = "",
    channel: str = Channel.SMS,
    renderer: AnyRenderer | None = None,
) -> Reach:
    """Count people by set-based queries and price the first CHUNK by `renderer`, None without a message.

    listed: addresses beside those typed.
    """
    mail = channel == Channel.EMAIL
    numbers: Typed = read_emails(typed) if mail else read_numbers(typed, client.country)
    column, absent = ("email", Q(email="")) if mail else ("phone", Q(phone=None))
    phones = list(dict.fromkeys([*listed, *numbers.numbers]))
    found = Reach(invalid=numbers.invalid)
    members = contacts.members_of(client.pk, group_ids)
    in_groups = members.count()
    named = sum(contacts.members_of(client.pk, [pk]).count() for pk in group_ids) if len(group_ids) > 1 else in_groups
    reachable = members.exclude(absent)
    found.without_phone = in_groups - reachable.count()
    kept = reachable
    if excluded_ids:
        kept = reachable.exclude(pk__in=contacts.members_of(client.pk, excluded_ids).values("pk"))
        found.excluded = reachable.count() - kept.count()
    gone = OptOut.objects.for_client(client).filter(channel=channel, sender__in=["", sender])
    reached = kept.exclude(**{f"{column}__in": gone.values("address")})
    from_groups = reached.values(column).distinct().count() if mail else reached.count()
    found.opted_out = kept.count() - reached.count()
    others = contacts.people_by_address(
        client.pk, phones[:50_000], sender=sender, outside=group_ids, without=excluded_ids, channel=channel
    )
    both = reachable.filter(**{f"{column}__in": phones[:50_000]})
    in_book = set(both.values_list(column, flat=True)) if group_ids else set()
    found.duplicates = named - in_groups + numbers.duplicates + len(in_book) + reached.count() - from_groups
    found.opted_out += len(
        contacts.opted_out_among(channel, [(client.pk, phone, sender) for phone in phones if phone not in in_book])
    )
    found.people = from_groups + len(others)
    if not mail:
        networks: Counter[str] = Counter(likely_network(person[1]) for person in others)
        prefixes = reached.order_by().annotate(prefix=Substr("phone", 1, 7)).values_list("prefix")
        for prefix, count in prefixes.annotate(n=Count("pk")):
            networks[likely_network(prefix)] += count
        found.networks = networks.most_common()
    if renderer is not None:
        first = contacts.audience(
            client.pk, group_ids, sender=sender, without=excluded_ids, limit=CHUNK, channel=channel
        )
        _price(found, renderer, [*first, *others])
    return found


def _price(found: Reach, renderer: AnyRenderer, people: list[contacts.Recipient]) -> None:
    if not people:
        return
    looked_at, micros, units = people[:CHUNK], 0, 0
    gaps: Counter[tuple[str, str]] = Counter()
    for person in looked_at:
        try:
            message, missing, _ = renderer.render(person)
        except (DomainError, NoPrice):
            return
        gaps.update([*((name, "") for name in missing), *renderer.fallbacks_of(person)])
        if message is not None:
            units += message.units
            micros += message.cost_micros
    found.is_estimate = found.people > len(looked_at)
    found.units = units * found.people // len(looked_at)
    found.cost = from_micros(micros * found.people // len(looked_at))
    found.gaps = [(name, words, count) for (name, words), count in sorted(gaps.items())]
