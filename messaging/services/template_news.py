"""What WhatsApp says of templates, posted or asked for: states, quality and categories kept, each change an event."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Client
from accounts.services.notices import notify
from crm.common.money import format_money, from_micros
from crm.common.sql import as_datetime, database_now, later_sql, now_sql
from messaging.models import (
    Channel,
    ProviderAccount,
    Route,
    SenderId,
    SenderState,
    TemplateCategory,
    TemplateState,
    WhatsAppTemplate,
    WhatsAppTemplateEvent,
)
from messaging.providers import whatsapp_templates as wire
from messaging.providers.base import AccountNotice, HttpRequest, HttpResponse, UnusableCredentials
from messaging.providers.whatsapp_words import words_in
from messaging.services.provider_access import address_of, credentials_of
from messaging.services.trials import fetch
from wallet import pricing
from wallet.errors import NoPrice

log = logging.getLogger(__name__)

ADAPTER = "whatsapp"
EVERY, WHILE_REVIEWED = 3600, 300  # seconds between two looks at an account
MOST_PAGES = 50  # of a hundred templates
LOST_AFTER = timedelta(minutes=10)  # what is not in the list by then was never handed in
UNSENT = gettext_lazy("WhatsApp cannot be reached at the moment. Nothing was handed in.")
_TOLD = {TemplateState.PAUSED, TemplateState.REJECTED, TemplateState.DISABLED}


def ask(request: HttpRequest) -> tuple[HttpResponse | None, str]:
    """The answer, or why there is none: UNSENT where nothing was said."""
    ended = fetch(request)
    if ended.kind == "answer":
        return HttpResponse(ended.status, ended.headers, ended.body), ""
    return None, str(UNSENT) if ended.kind == "unsent" else ended.problem or _("WhatsApp gave no answer.")


def note(
    template: WhatsAppTemplate,
    *,
    state: str = "",
    category: str = "",
    quality: str = "",
    reason: str = "",
    at: datetime | None = None,
) -> None:
    """Take over what WhatsApp says, in its words; "" says nothing. A change becomes an event; what is bad is told.

    Runs in the caller's transaction.
    """
    now = database_now()
    new_state = wire.STATES.get(state.upper(), "")
    if state and not new_state:
        log.warning("WhatsApp: unlisted template state %.40r", state)
        _event(template, "state", template.state, template.state, f"{state}: {reason}".rstrip(": "), now)
    changed: dict[str, object] = {}
    if new_state and new_state != template.state:
        pause = wire.PAUSES.get(reason.split(":")[-1].strip(), None) if new_state == TemplateState.PAUSED else None
        changed |= {"state": new_state, "reason": reason[:300], "paused_until": (at or now) + pause if pause else None}
        _event(template, "state", template.state, new_state, reason, now)
    new_category = category.lower()
    if new_category in TemplateCategory.values and new_category != template.category:
        changed["category"] = new_category
        _note_category(template, new_category, now)
    new_quality = wire.QUALITY.get(quality.upper(), "")
    if new_quality and new_quality != template.quality:
        changed["quality"] = new_quality
        if template.quality != "unknown" or new_quality != "high":
            _event(template, "quality", template.quality, new_quality, reason, now)
    if changed:
        WhatsAppTemplate.objects.for_client(template.client_id).filter(pk=template.pk).update(**changed, updated_at=now)
        for name, value in changed.items():
            setattr(template, name, value)
    if changed.get("state") in _TOLD:
        _tell(template, reason)


def _event(
    template: WhatsAppTemplate, kind: str, before: str, after: str, detail: str, at: datetime, price: int | None = None
) -> None:
    WhatsAppTemplateEvent.objects.create(
        client_id=template.client_id, template=template, kind=kind, before=before, after=after, detail=detail[:300],
        price_micros=price, at=at,
    )  # fmt: skip


def _note_category(template: WhatsAppTemplate, category: str, now: datetime) -> None:
    """Another category is another price: both are said."""
    client = template.client
    price = price_at_home(client, category)
    _event(template, "category", template.category, category, "", now, price)
    shown = "" if price is None else format_money(from_micros(price), client.currency, plain=True, unit_price=True)
    facts = {"name": template.name, "language": template.language, "before": template.category, "after": category,
             "price": shown, "address": page_of(template)}  # fmt: skip
    notify(client=client, event="template.category", facts=facts)


def price_at_home(client: Client, category: str) -> int | None:
    """What one message of a category costs in the client's own country, in micros; None without a price."""
    try:
        return pricing.load_prices(client.pk).unit_price_micros(Channel.WHATSAPP, client.country, category)
    except NoPrice:
        return None


def _tell(template: WhatsAppTemplate, reason: str) -> None:
    facts = {"name": template.name, "language": template.language, "state": template.state, "reason": reason,
             "address": page_of(template)}  # fmt: skip
    notify(client=template.client, event="template.stopped", facts=facts)


def page_of(template: WhatsAppTemplate) -> str:
    return f"{settings.PUBLIC_URL}/app/templates/whatsapp/{template.pk}"


# --- posted -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def take_notice(*, account_id: int, notice: AccountNotice, received_at: datetime) -> str:
    """What a webhook says of a template. Returns a note for the callback's row, "" where a template was found."""
    account = ProviderAccount.objects.filter(pk=account_id).first()
    mine = WhatsAppTemplate.objects.unscoped().filter(account__in=business_of(account) if account else [])
    mine = mine.select_related("client")
    template = mine.filter(provider_id=notice.provider_id).first() if notice.provider_id else None
    template = template or mine.filter(name=notice.name, language=notice.language).exclude(state="draft").first()
    if template is None:
        return f"no template of ours is {notice.name} in {notice.language}"[:200]
    at = as_datetime(received_at)
    if notice.about == "template":
        note(template, state=notice.state, reason=notice.detail, at=at)
    elif notice.about == "quality":
        note(template, quality=notice.state, reason=notice.detail)
    else:
        note(template, category=notice.state)
    return ""


# --- asked for --------------------------------------------------------------------------------------------------------


def accounts_to_ask() -> list[int]:
    """WhatsApp accounts whose templates were not looked at for a while, taken by moving the next time on."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_provideraccount SET templates_due_at = CASE WHEN EXISTS (
                    SELECT 1 FROM messaging_whatsapptemplate t WHERE t.account_id = messaging_provideraccount.id
                    AND t.state IN ('review', 'appeal'))
                    THEN {later_sql(WHILE_REVIEWED)} ELSE {later_sql(EVERY)} END
                WHERE adapter = %s AND is_active AND (templates_due_at IS NULL OR templates_due_at <= {now_sql()})
                RETURNING id""",
            [ADAPTER],
        )
        return [row[0] for row in cursor.fetchall()]


def read_templates(*, account_id: int) -> int:
    """Ask WhatsApp for an account's templates and take over what it says; how many there are.

    One that was made elsewhere becomes the client's, where only one client writes by the account. One that is not
    there any more is disabled. Nothing is concluded from a list that did not come to its end.
    """
    account = ProviderAccount.objects.filter(pk=account_id, adapter=ADAPTER, is_active=True).first()
    if account is None:
        return 0
    began = database_now()
    found = _list(account)
    if found is None:
        return 0
    with transaction.atomic():
        _compare(account, found, began)
    return len(found)


def _list(account: ProviderAccount) -> list[wire.TemplateState] | None:
    """Every template of the account; None where the list was cut short."""
    found: list[wire.TemplateState] = []
    after = ""
    for _page in range(MOST_PAGES):
        try:
            request = wire.list_request(credentials_of(account), address_of(account), after=after)
        except UnusableCredentials:
            return None
        answer, _problem = ask(request)
        if answer is None or answer.status != 200:
            return None
        rows, after = wire.listed_in(answer)
        found += rows
        if not after:
            return found
    return None


def _compare(account: ProviderAccount, found: Iterable[wire.TemplateState], began: datetime) -> None:
    ours = list(WhatsAppTemplate.objects.unscoped().filter(account__in=business_of(account)).select_related("client"))
    by_id = {row.provider_id: row for row in ours if row.provider_id}
    by_name = {(row.name, row.language): row for row in ours if row.state != TemplateState.DRAFT}
    seen: set[int] = set()
    strangers = []
    for theirs in found:
        row = by_id.get(theirs.provider_id) or by_name.get((theirs.name, theirs.language))
        if row is None:
            strangers.append(theirs)
            continue
        seen.add(row.pk)
        if not row.provider_id and theirs.provider_id:  # the answer to handing it in was lost
            WhatsAppTemplate.objects.for_client(row.client_id).filter(pk=row.pk).update(provider_id=theirs.provider_id)
        note(row, state=theirs.status, category=theirs.category, quality=theirs.quality, reason=theirs.reason)
    for row in ours:
        if row.pk in seen or row.state in (TemplateState.DRAFT, TemplateState.DISABLED):
            continue
        if row.submitted_at and as_datetime(row.submitted_at) > began - LOST_AFTER:
            continue  # handed in while we asked
        if row.provider_id:
            note(row, state="DELETED", reason=_("It was deleted at WhatsApp."))
        else:
            WhatsAppTemplate.objects.for_client(row.client_id).filter(pk=row.pk).update(
                state=TemplateState.DRAFT, submitted_at=None, reason=_("WhatsApp never got it: submit it again.")
            )
    _adopt(account, strangers)


def _adopt(account: ProviderAccount, strangers: list[wire.TemplateState]) -> None:
    """Templates made at WhatsApp itself belong to the one client that writes by the account."""
    owners = clients_of(account)
    if len(owners) != 1 or not strangers:
        return
    client = Client.objects.get(pk=owners[0])
    taken = set(WhatsAppTemplate.objects.for_client(client).values_list("name", "language"))
    for theirs in strangers:
        words = words_in(theirs.components)
        state = wire.STATES.get(theirs.status.upper(), "")
        category = theirs.category.lower()
        if (theirs.name, theirs.language) in taken or not words.body or not state:
            continue
        if category not in TemplateCategory.values or state == TemplateState.DISABLED:
            continue
        WhatsAppTemplate.objects.create(
            client=client, account=account, name=theirs.name[:512], language=theirs.language[:15], category=category,
            header=words.header, body=words.body, footer=words.footer, buttons=list(words.buttons),
            samples=dict(words.samples), needs=words.needs, state=state, provider_id=theirs.provider_id[:40],
            quality=wire.QUALITY.get(theirs.quality.upper(), "unknown"), reason=theirs.reason[:300],
        )  # fmt: skip


def business_of(account: ProviderAccount) -> list[int]:
    """The accounts of the same business at WhatsApp: its numbers have their templates in common."""
    name = account.credentials.get("business_account_id")
    others = ProviderAccount.objects.filter(adapter=ADAPTER)
    return [other.pk for other in others if other.credentials.get("business_account_id") == name]


def clients_of(account: ProviderAccount) -> list[int]:
    """The clients whose WhatsApp numbers the routes of an account, or of another one of its business, carry."""
    accounts = business_of(account)
    routes = set(Route.objects.filter(account__in=accounts, channel=Channel.WHATSAPP).values_list("sender", flat=True))
    senders = SenderId.objects.unscoped().filter(channel=Channel.WHATSAPP, state=SenderState.APPROVED)
    if "" not in routes:
        senders = senders.filter(name__in=routes)
    return sorted(set(senders.order_by().values_list("client_id", flat=True)))
