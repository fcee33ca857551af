"""/staff/rules: what each country asks for, in force today and from when on."""

from datetime import date
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from crm.common.countries import COUNTRIES
from crm.common.networks import ranges_of
from messaging.models import CountryRules, DocumentKind, SendingHours
from messaging.services.network_ranges import load_network_ranges


@require_safe
def rules(request: HttpRequest) -> HttpResponse:
    """Countries with their rules of today; the lists behind them hold what was and what comes."""
    if not request.user.has_perm("messaging.view_countryrules"):
        raise PermissionDenied
    today = now().date()
    load_network_ranges()  # what was just saved, before this process looks by itself
    hours = _in_force(SendingHours.objects.filter(message_class="promotion"), today)
    asked = _in_force(CountryRules.objects.all(), today)
    rows = []
    for country in ["", *sorted({*COUNTRIES, *hours, *asked} - {""})]:
        rule = asked.get(country)
        rows.append(
            {
                "country": country,
                "hours": hours.get(country),
                "rule": rule,
                "papers": [DocumentKind(kind).label for kind in rule.documents if kind in DocumentKind] if rule else [],
                "networks": ranges_of(country) if country else [],
            }
        )
    coming = [*SendingHours.objects.filter(valid_from__gt=today), *CountryRules.objects.filter(valid_from__gt=today)]
    context = {**admin.site.each_context(request), "title": _("Country rules"), "rows": rows, "coming": coming}
    return TemplateResponse(request, "admin/office/rules.html", context)


def _in_force(rows: QuerySet, today: date) -> dict[str, Any]:
    """The newest row of each country that holds today."""
    found: dict[str, Any] = {}
    for row in rows.filter(valid_from__lte=today).order_by("valid_from"):
        found[row.country] = row
    return found
