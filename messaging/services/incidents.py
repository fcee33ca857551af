"""Telling everybody of a trouble or of planned work, on the public status page."""

from django.core.cache import cache
from django.db import transaction

from accounts.services.audit import record_audit
from messaging.models import Incident
from messaging.public_status import CACHE_KEY


@transaction.atomic
def publish_incident(*, incident: Incident) -> Incident:
    """Write down a new or changed incident; the status page shows it at once. A mistaken one is ended, not deleted."""
    action = "incident.changed" if incident.pk else "incident.opened"
    incident.save()
    after = {
        "title": incident.title,
        "impact": str(incident.impact),
        "started_at": incident.started_at.isoformat(),
        "ended_at": incident.ended_at.isoformat() if incident.ended_at else None,
    }
    record_audit(client=None, action=action, target=f"incident:{incident.pk}", after=after)
    transaction.on_commit(lambda: cache.delete(CACHE_KEY))
    return incident
