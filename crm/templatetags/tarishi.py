"""What templates print: money, phones, times, icons, statuses, bars. Loaded everywhere as a builtin library."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.template import Context
from django.templatetags.static import static
from django.utils.dateformat import format as format_date
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, gettext_lazy

from accounts.models import Membership
from crm.common.charts import Column
from crm.common.figures import figure, show_money
from crm.common.money import from_micros
from crm.common.networks import likely_network
from crm.common.phones import display_phone
from crm.common.text_units import forcing_unicode
from messaging.sending.simulation import MAGIC_NUMBERS

register = template.Library()

# status: (tone, icon, word). Shape and colour never speak alone: the word is always printed.
STATUSES = {
    "draft": ("", "pencil", gettext_lazy("Draft")),
    "queued": ("", "clock", gettext_lazy("Queued")),
    "scheduled": ("info", "calendar-clock", gettext_lazy("Scheduled")),
    "sending": ("info", "send", gettext_lazy("Sending")),
    "uploaded": ("", "upload", gettext_lazy("Not started")),
    "ready": ("", "clock", gettext_lazy("Waiting to start")),
    "running": ("info", "clock", gettext_lazy("Running")),
    "processing": ("info", "clock", gettext_lazy("Processing")),
    "sent": ("info", "check", gettext_lazy("Sent")),
    "delivered": ("ok", "check-check", gettext_lazy("Delivered")),
    "read": ("ok", "eye", gettext_lazy("Read")),
    "done": ("ok", "circle-check", gettext_lazy("Done")),
    "approved": ("ok", "circle-check", gettext_lazy("Approved")),
    "active": ("ok", "circle-check", gettext_lazy("Active")),
    "pending": ("warn", "hourglass", gettext_lazy("Pending")),
    "checking": ("warn", "hourglass", gettext_lazy("Checking")),
    "network": ("info", "clock", gettext_lazy("With network")),
    "held": ("warn", "pause", gettext_lazy("Held")),
    "awaiting": ("warn", "clock", gettext_lazy("Awaiting approval")),
    "repeating": ("info", "calendar-clock", gettext_lazy("Repeating")),
    "paused": ("warn", "pause", gettext_lazy("Paused")),
    "stopped": ("bad", "circle-x", gettext_lazy("Stopped")),
    "suspended": ("bad", "ban", gettext_lazy("Suspended")),
    "failed": ("bad", "circle-x", gettext_lazy("Failed")),
    "rejected": ("bad", "ban", gettext_lazy("Rejected")),
    "cancelled": ("", "circle-slash", gettext_lazy("Cancelled")),
    "expired": ("", "circle-slash", gettext_lazy("Expired")),
    "revoked": ("", "circle-slash", gettext_lazy("Revoked")),
}
_MOMENT = {"en": "j M Y, H:i T", "fr": r"j N Y à H:i (T)", "sw": "j M Y, H:i T"}  # 24 hours of digits everywhere
SEGMENTS = ("delivered", "waiting", "failed", "queued", "none")


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """An icon of static/icons/sprite.svg, decoration beside a word. size: "" (24 px) or "s" (18 px)."""
    css = f"icon icon-{size}" if size else "icon"
    href = f"{static('icons/sprite.svg')}#{name}"
    return format_html('<svg class="{}" aria-hidden="true" focusable="false"><use href="{}"></use></svg>', css, href)


@register.simple_tag
def status_chip(status: str, label: str = "") -> SafeString:
    """Icon, word and soft colour of a status. label replaces the word where a language must agree with its noun."""
    tone, icon_name, word = STATUSES.get(status, ("", "info", status.replace("_", " ").capitalize()))
    css = f"chip chip-{tone}" if tone else "chip"
    return format_html('<span class="{}">{}{}</span>', css, icon(icon_name), label or word)


@register.simple_tag
def money(amount: Decimal | int, currency: str) -> SafeString:
    """An amount in the active language: `KES 1,049.00`, with no-break spaces.

    A Decimal is the amount itself; an int is millionths, as columns hold it.
    """
    exact = amount if isinstance(amount, Decimal) else from_micros(amount)
    return format_html('<span class="money">{}</span>', show_money(exact, currency))


@register.simple_tag
def unit_price(amount: Decimal | int, currency: str) -> SafeString:
    """Like `money`, with up to four decimals: `KES 0.305`."""
    exact = amount if isinstance(amount, Decimal) else from_micros(amount)
    return format_html('<span class="money">{}</span>', show_money(exact, currency, unit_price=True))


@register.filter
def count(number: int) -> str:
    """`12,480`; in French `12 480` with a no-break space."""
    return figure(number)


@register.filter
def marked(text: str) -> SafeString:
    """The text, escaped, with every character outside the standard SMS alphabet underlined."""
    forcing = {found.character for found in forcing_unicode(text)}
    if not forcing:
        return format_html("{}", text)
    return format_html_join(
        "", "{}", ((format_html("<mark>{}</mark>", one) if one in forcing else one,) for one in text)
    )


@register.filter
def phone(e164: str) -> str:
    """`+254 712 345 678` of `+254712345678`; empty for empty."""
    return display_phone(e164) if e164 else ""


@register.filter
def network(e164: str) -> str:
    """The network that the number's prefix was given to, `Safaricom`; empty where it is not known."""
    return likely_network(e164) if e164 else ""


@register.filter
def may(membership: Membership | None, permission: str) -> bool:
    """Whether the member's role holds `permission`: `{% if request.membership|may:"keys.read" %}`."""
    return membership is not None and membership.may(permission)


@register.filter
def as_json(value: Any) -> str:
    """The value as JSON for a data attribute; the template escapes it."""
    return json.dumps(value)


@register.filter
def device(user_agent: str) -> str:
    """`Chrome on Android` of a browser's description of itself, as far as it says so."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), gettext("Browser"))
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return gettext("{browser} on {system}").format(browser=browser, system=system) if system else browser


# The first mark that is found counts: most browsers also name those they resemble.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@register.simple_tag(takes_context=True)
def when(context: Context, moment: datetime | None) -> SafeString | str:
    """`20 Nov 2026, 14:05 EAT`, in French `20 nov. 2026 à 14:05 (EAT)`; empty for None.

    The time zone is that of the client who looks; without one it is UTC.
    """
    if moment is None:
        return ""
    client = getattr(context.get("request"), "client", None)
    local = moment.astimezone(ZoneInfo(client.time_zone) if client else UTC)
    text = format_date(local, _MOMENT.get(_language()[:2], _MOMENT["en"]))
    return format_html('<time datetime="{}">{}</time>', moment.astimezone(UTC).isoformat(timespec="seconds"), text)


@register.simple_tag(takes_context=True)
def clock(context: Context, moment: datetime) -> SafeString:
    """`14:05` in the time zone of the client who looks."""
    client = getattr(context.get("request"), "client", None)
    local = moment.astimezone(ZoneInfo(client.time_zone) if client else UTC)
    stamp = moment.astimezone(UTC).isoformat(timespec="seconds")
    return format_html('<time datetime="{}">{}</time>', stamp, format_date(local, "H:i"))


@register.inclusion_tag("partials/_progress.html")
def progress(value: int, total: int, label: str) -> dict:
    """A bar with the unit ruler. label says in words what is measured, for those who do not see the bar."""
    return {"value": min(value, total), "total": max(total, 1), "label": label}


@register.inclusion_tag("partials/_segments.html")
def segmented_bar(parts: Iterable[tuple[str, str, int]], label: str, legend: bool = True) -> dict:
    """Parts of a whole, side by side. parts: (kind, word, count), kind one of SEGMENTS; failed is also hatched."""
    parts = list(parts)
    total = sum(count for _, _, count in parts) or 1
    start = 0
    segments = []
    for kind, word, count in parts:
        if kind not in SEGMENTS:
            raise ValueError(f"unknown segment {kind!r}")
        segments.append(
            {"kind": kind, "word": word, "count": count, "x": _percent(start, total), "width": _percent(count, total)}
        )
        start += count
    return {"segments": segments, "label": label, "legend": legend}


@register.inclusion_tag("partials/_magic_numbers.html", takes_context=True)
def magic_numbers(context: Context) -> dict:
    """The table of endings that make a simulated message fail, with an example in the client's country."""
    client = getattr(context.get("request"), "client", None)
    start = _EXAMPLES.get(client.country if client else "", _EXAMPLES["KE"])
    return {"rows": [(one, display_phone(start + one.ending)) for one in MAGIC_NUMBERS]}


_EXAMPLES = {"KE": "+2547120", "TZ": "+2557540", "UG": "+2567720"}

CHART_WORDS = {
    "delivered": gettext_lazy("Delivered"),
    "waiting": gettext_lazy("Sent, not confirmed yet"),
    "failed": gettext_lazy("Failed"),
    "queued": gettext_lazy("Waiting"),
}


@register.inclusion_tag("partials/_chart.html", takes_context=True)
def stacked_chart(context: Context, columns: list[Column], title_id: str) -> dict:
    """Columns of crm/common/charts.py with their table. title_id: of the heading, which says what the chart shows."""
    client = getattr(context.get("request"), "client", None)
    zone = ZoneInfo(client.time_zone) if client else UTC
    words = [(part.kind, CHART_WORDS[part.kind]) for part in columns[0].parts]
    rows = []
    for column in columns:
        if isinstance(column.at, datetime):
            label = format_date(column.at.astimezone(zone), _MOMENT.get(_language()[:2], _MOMENT["en"]))
        else:
            label = format_date(column.at, "j M" if not _language().startswith("fr") else "j N")
        said = ", ".join(f"{count(column.count(kind))} {word}" for kind, word in words)
        rows.append((label, column, f"{label}: {said}"))
    return {
        "rows": rows,
        "title_id": title_id,
        "words": words,
        "first": rows[0][0],
        "last": _end_of_axis(columns, rows, zone),
        "most": gettext("highest: {number}").format(number=count(max(column.total for column in columns))),
        "when_word": gettext("From") if isinstance(columns[0].at, datetime) else gettext("Day"),
    }


def _end_of_axis(columns: list[Column], rows: list[tuple[str, Column, str]], zone: ZoneInfo | timezone) -> str:
    """The last label under a chart; without the day where it is the first one's."""
    first, last = columns[0].at, columns[-1].at
    if len(columns) < 2:
        return ""
    if isinstance(first, datetime) and isinstance(last, datetime):
        first, last = first.astimezone(zone), last.astimezone(zone)
        if first.date() == last.date():
            return format_date(last, "H:i")
    return rows[-1][0]


def _percent(part: int, total: int) -> str:
    return f"{100 * part / total:.3f}%"


def _language() -> str:
    return get_language() or "en"
