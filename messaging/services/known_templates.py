"""Which WhatsApp templates may be sent, as everybody who sends one asks."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import Client
from messaging.models import TemplateState, WhatsAppTemplate


def sendable_templates(client: Client) -> list[WhatsAppTemplate]:
    """Approved templates whose every variable pages can fill in, by name and language."""
    return list(WhatsAppTemplate.objects.for_client(client).filter(state=TemplateState.APPROVED, needs=""))


def problem_of_sending(template: WhatsAppTemplate | None, name: str, language: str) -> str:
    """Why a template cannot be sent now, as a sentence; "" where it can."""
    facts = {"name": name, "language": language}
    if template is None:
        return _("There is no template %(name)s in %(language)s. Choose another one.") % facts
    if template.state == TemplateState.APPROVED:
        return ""
    words: dict[Any, str] = {
        TemplateState.DRAFT: _("The template %(name)s (%(language)s) was not handed in for approval yet."),
        TemplateState.REVIEW: _("WhatsApp still reviews the template %(name)s (%(language)s)."),
        TemplateState.PAUSED: _("WhatsApp paused the template %(name)s (%(language)s)."),
        TemplateState.REJECTED: _("WhatsApp rejected the template %(name)s (%(language)s)."),
        TemplateState.APPEAL: _("The template %(name)s (%(language)s) was rejected and waits for the appeal."),
        TemplateState.DISABLED: _("WhatsApp disabled the template %(name)s (%(language)s)."),
    }
    return words[TemplateState(template.state)] % facts


def known_templates(client_ids: Iterable[int], names: Iterable[str]) -> dict[tuple[int, str, str], WhatsAppTemplate]:
    """Rows by (client, name, language). One query."""
    rows = WhatsAppTemplate.objects.unscoped().filter(client_id__in=set(client_ids), name__in=set(names))
    return {(row.client_id, row.name, row.language): row for row in rows}
