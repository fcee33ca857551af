"""Whom the choices on the page of a campaign come to, and roughly what that costs, while one still chooses."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Count
from django.db.models.functions import Substr

from accounts.models import Client
from contacts import queries as contacts
from contacts.models import OptOut
from crm.common.errors import DomainError
from crm.common.money import from_micros
from crm.common.networks import likely_network
from messaging.models import Channel
from messaging.services.audience import CHUNK, Renderer
from messaging.services.direct import Typed, read_numbers
from messaging.services.rules import rules_of
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
    text: str = "",
    message_class: str = "",
) -> Reach:
    """Count people by set-based queries and price the first CHUNK. listed: numbers (E.164) beside those typed."""
    numbers: Typed = read_numbers(typed, client.country)
    phones = list(dict.fromkeys([*listed, *numbers.numbers]))
    found = Reach(invalid=numbers.invalid)
    members = contacts.members_of(client.pk, group_ids)
    in_groups = members.count()
    named = sum(contacts.members_of(client.pk, [pk]).count() for pk in group_ids) if len(group_ids) > 1 else in_groups
    reachable = members.filter(phone__isnull=False)
    found.without_phone = in_groups - reachable.count()
    kept = reachable
    if excluded_ids:
        kept = reachable.exclude(pk__in=contacts.members_of(client.pk, excluded_ids).values("pk"))
        found.excluded = reachable.count() - kept.count()
    gone = OptOut.objects.for_client(client).filter(channel=Channel.SMS, sender__in=["", sender])
    reached = kept.exclude(phone__in=gone.values("address"))
    from_groups = reached.count()
    found.opted_out = kept.count() - from_groups
    others = contacts.people_by_address(
        client.pk, phones[:50_000], sender=sender, outside=group_ids, without=excluded_ids
    )
    in_book = set(reachable.filter(phone__in=phones[:50_000]).values_list("phone", flat=True)) if group_ids else set()
    found.duplicates = named - in_groups + numbers.duplicates + len(in_book)
    found.opted_out += len(
        contacts.opted_out_among(Channel.SMS, [(client.pk, phone, sender) for phone in phones if phone not in in_book])
    )
    found.people = from_groups + len(others)
    networks: Counter[str] = Counter(likely_network(person[1]) for person in others)
    by_prefix = reached.order_by().annotate(prefix=Substr("phone", 1, 7)).values_list("prefix").annotate(n=Count("pk"))
    for prefix, count in by_prefix:
        networks[likely_network(prefix)] += count
    found.networks = networks.most_common()
    _price(found, client, text, sender, message_class, [
        *contacts.audience(client.pk, group_ids, sender=sender, without=excluded_ids, limit=CHUNK), *others,
    ])  # fmt: skip
    return found


def _price(
    found: Reach, client: Client, text: str, sender: str, message_class: str, people: list[contacts.Recipient]
) -> None:
    if not text.strip() or not people:
        return
    renderer = Renderer(
        client=client,
        text=text,
        sender=sender,
        simulated=client.simulation,
        ending=rules_of(client).ending(message_class),
    )
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
