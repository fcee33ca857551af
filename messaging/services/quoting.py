"""What a draft comes to: at once where it goes to few, by a worker and kept for a while where it goes to many.

A person who looks at a campaign to a million gets an answer in the time of any page, and confirms what the worker
counted. What changes in the minutes in between can make it no dearer and no larger: whoever joined since is not
written to (`newest`), prices and rules must be the same (`terms`), and what is sent draws on what was reserved alone.
"""

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models import Q

from contacts import queries as contacts
from contacts.models import Contact
from crm.common.reading import read_together
from crm.common.sql import as_json, database_now, later_sql, now_sql
from messaging import wake
from messaging.models import Campaign, CampaignRecipient, CampaignState, Channel, KeptQuote, WhatsAppTemplate
from messaging.queries import Reach, reach_of
from messaging.services.audience import Quote, ending_of, quote_campaign
from messaging.services.guards import Repeated, rules_part
from messaging.services.similar import same_text_lately
from wallet import pricing

WHILE_ONE_WAITS = 3000  # people who are counted within a call
FRESH = timedelta(minutes=10)
KEPT = timedelta(hours=1)
LEASE_SECONDS = 30
_TELL_EVERY = 0.5  # seconds
_OPEN = (CampaignState.DRAFT, CampaignState.AWAITING)


@dataclass(frozen=True, slots=True)
class Figures:
    """quote, and what the review says beside it. newest: the last contact id there was when counting began."""

    quote: Quote
    reach: Reach
    again: Repeated | None
    newest: int


@dataclass(frozen=True, slots=True)
class Counting:
    """A worker is at it: how many people are counted, of about how many; both 0 before it began."""

    done: int
    people: int


def figures_of(campaign: Campaign) -> Figures | Counting:
    """What a draft comes to now. Of one to many it sets a worker counting, and gives what that found."""
    if not goes_to_many(campaign):
        return _count(campaign)
    if kept := kept_figures(campaign):
        return kept
    return _ask(campaign)


def is_counted(campaign: Campaign) -> bool:
    """Whether a draft can be confirmed without somebody waiting while many are counted; else a worker is set to it."""
    if not goes_to_many(campaign) or kept_figures(campaign):
        return True
    _ask(campaign)
    return False


def goes_to_many(campaign: Campaign) -> bool:
    """Whether one of its groups, or its list, has more than WHILE_ONE_WAITS people."""
    groups = list(campaign.groups.filter(client_id=campaign.client_id).values_list("pk", flat=True))
    listed = CampaignRecipient.objects.for_client(campaign.client_id).filter(campaign=campaign).order_by()
    beyond = listed.values("pk")[WHILE_ONE_WAITS : WHILE_ONE_WAITS + 1]
    return contacts.is_larger(campaign.client_id, groups, WHILE_ONE_WAITS) or bool(beyond)


def kept_figures(campaign: Campaign) -> Figures | None:
    """What a worker counted of just this draft within FRESH, where prices and rules are still those it counted by."""
    row = KeptQuote.objects.for_client(campaign.client_id).filter(pk=campaign.pk, version=campaign.updated_at).first()
    if row is None or row.done_at is None or row.done_at < database_now() - FRESH:
        return None
    return _read(row.figures) if row.figures["terms"] == _terms(campaign) else None


def _count(campaign: Campaign, tell: Any = None) -> Figures:
    newest = newest_contact(campaign)
    quote = quote_campaign(campaign, tell=tell)
    return Figures(quote, reach_of(campaign), same_text_lately(campaign), newest)


def newest_contact(campaign: Campaign) -> int:
    """The last id in the client's book: who joins later is not written to unseen."""
    book = Contact.objects.for_client(campaign.client_id).order_by("-pk")
    return book.values_list("pk", flat=True).first() or 0


def _terms(campaign: Campaign) -> str:
    """A fingerprint of what decides the price beside the text and the people."""
    client = campaign.client
    read = read_together({"rates": pricing.rates_part(client.pk), "rules": rules_part(client)})
    told = [sorted(read["rates"]), read["rules"], ending_of(campaign), client.simulation, client.country]
    if campaign.channel == Channel.WHATSAPP:
        templates = WhatsAppTemplate.objects.for_client(client).filter(name=campaign.content.get("template", ""))
        told.append(list(templates.order_by("pk").values_list("language", "state", "category")))
    return hashlib.sha256(orjson.dumps(told)).hexdigest()


@transaction.atomic
def _ask(campaign: Campaign) -> Counting:
    """Have it counted, unless a worker is at it; how far that is."""
    now = database_now()
    rows = KeptQuote.objects.for_client(campaign.client_id)
    row = rows.filter(pk=campaign.pk, version=campaign.updated_at, done_at=None).first()
    if row is None:
        fresh = {"client_id": campaign.client_id, "version": campaign.updated_at, "asked_at": now}
        fresh |= {"people": 0, "people_done": 0, "lease_until": None, "done_at": None, "figures": {}}
        rows.unscoped().update_or_create(campaign=campaign, defaults=fresh)
        wake.quote(campaign.pk)
        return Counting(0, 0)
    # Nobody took it, or whoever did is gone: said again at most once a lease.
    idle = Q(lease_until=None, asked_at__lt=now - timedelta(seconds=LEASE_SECONDS)) | Q(lease_until__lt=now)
    if rows.filter(idle, pk=row.pk, done_at=None).update(asked_at=now, lease_until=None):
        wake.quote(campaign.pk)
    return Counting(row.people_done, row.people)


class _Outdated(Exception):
    """The draft was changed while it was counted, or another worker has it."""


def work_out(*, campaign_id: int) -> bool:
    """Count what was asked for, by whichever worker is first; whether this one did."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_keptquote SET lease_until = {later_sql(LEASE_SECONDS)}
                WHERE campaign_id = %s AND done_at IS NULL AND (lease_until IS NULL OR lease_until <= {now_sql()})""",
            [campaign_id],
        )
        if cursor.rowcount != 1:
            return False
    row = KeptQuote.objects.unscoped().select_related("campaign__client", "campaign__sender").get(pk=campaign_id)
    campaign = row.campaign
    if campaign.state not in _OPEN or campaign.updated_at != row.version:
        return False
    mine = KeptQuote.objects.for_client(campaign.client_id).filter(pk=campaign_id, version=row.version, done_at=None)
    mine.update(people=_about(campaign))
    told = time.monotonic()

    def tell(people: int) -> None:
        nonlocal told
        if time.monotonic() - told < _TELL_EVERY:
            return
        told = time.monotonic()
        until = database_now() + timedelta(seconds=LEASE_SECONDS)
        if not mine.update(people_done=people, lease_until=until):
            raise _Outdated

    terms = _terms(campaign)
    try:
        figures = _count(campaign, tell)
    except _Outdated:
        return False
    return bool(mine.update(figures=_written(figures, terms), done_at=database_now()))


def _about(campaign: Campaign) -> int:
    """Roughly how many people there are to count: of the groups together and the list."""
    groups = list(campaign.groups.filter(client_id=campaign.client_id).values_list("pk", flat=True))
    listed = CampaignRecipient.objects.for_client(campaign.client_id).filter(campaign=campaign)
    return contacts.members_of(campaign.client_id, groups).count() + listed.count()


def forget_quotes() -> int:
    """Remove what was counted KEPT ago or earlier."""
    old = KeptQuote.objects.unscoped().filter(asked_at__lt=database_now() - KEPT)
    return old.delete()[0]


def _written(figures: Figures, terms: str) -> dict[str, Any]:
    quote = {field.name: getattr(figures.quote, field.name) for field in fields(Quote)}
    quote = {name: list(value.items()) if isinstance(value, Counter) else value for name, value in quote.items()}
    reach = {field.name: getattr(figures.reach, field.name) for field in fields(Reach)}
    again = [figures.again.people, figures.again.latest.isoformat()] if figures.again else None
    told = {"quote": quote, "reach": reach, "again": again, "newest": figures.newest, "terms": terms}
    return orjson.loads(as_json([told]))[0]


def _read(told: dict[str, Any]) -> Figures:
    quote = Quote()
    for name, value in told["quote"].items():
        if isinstance(getattr(quote, name), Counter):
            value = Counter({tuple(key) if isinstance(key, list) else key: count for key, count in value})
        setattr(quote, name, value)
    quote.samples = [(name, address, text, units) for name, address, text, units in quote.samples]
    again = Repeated(told["again"][0], datetime.fromisoformat(told["again"][1])) if told["again"] else None
    return Figures(quote, Reach(**told["reach"]), again, told["newest"])
