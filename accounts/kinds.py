"""What accounts itself lets members export: the audit log."""

import json

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import queries
from accounts.acts import words_of
from accounts.exporting import Job, Kind, Rows, in_batches, register
from accounts.forms import AuditFilter
from accounts.models import AuditEntry


def register_kinds() -> None:
    register(Kind("audit", gettext_lazy("Audit log"), "audit.read", lambda job: _audit(job).count(), _audit_rows))


def _audit(job: Job) -> QuerySet[AuditEntry]:
    form = AuditFilter(job.query)
    facts = form.facts(job.client.time_zone) if form.is_valid() else {}
    return queries.audit_for(job.client, **facts)


def _audit_rows(job: Job) -> Rows:
    yield (
        _("Entry"), _("Time"), _("UTC"), _("What"), _("Action"), _("To what"), _("Who"), _("Kind"), _("Address"),
        _("Request"), _("Before"), _("After"), _("Hash"),
    )  # fmt: skip
    for batch in in_batches(_audit(job)):
        for entry in batch:
            before, after = (
                json.dumps(facts, ensure_ascii=False) if facts else "" for facts in (entry.before, entry.after)
            )
            yield (
                entry.sequence, job.moment(entry.at), entry.at.isoformat(timespec="milliseconds"),
                words_of(entry.action), entry.action, entry.target, entry.actor_name, entry.get_actor_kind_display(),
                entry.address, entry.request_id, before, after, entry.hash,
            )  # fmt: skip
