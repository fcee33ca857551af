"""What accounts itself lets members export: the audit log, one person's data, and a whole organisation."""

import json

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import queries
from accounts.acts import words_of
from accounts.exporting import Files, Job, Kind, Rows, in_batches, register
from accounts.forms import AuditFilter
from accounts.models import AuditEntry
from accounts.personal_data import PARTS, Person
from accounts.services import privacy
from crm.common.fields import EncryptedJSONField


def register_kinds() -> None:
    register(Kind("audit", gettext_lazy("Audit log"), "audit.read", lambda job: _audit(job).count(), _audit_rows))
    register(
        Kind(
            "person",
            gettext_lazy("One person's data"),
            "privacy.write",
            lambda job: 0,
            lambda job: iter(()),
            _person_files,
        )
    )
    register(
        Kind(
            "organisation", gettext_lazy("Everything"), "client.write", lambda job: 0, lambda job: iter(()),
            _organisation_files,
        )
    )  # fmt: skip


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


def _person_files(job: Job) -> Files:
    """All that is kept of one person: once as JSON, once as a table that people can read."""
    person = Person(tuple(job.query.getlist("phone")), tuple(job.query.getlist("email")))
    found = list(privacy.collect(job.client.pk, person))
    facts = [{"where": part, "what": kind, **facts} for part, kind, facts in found]
    yield "person.json", json.dumps(facts, ensure_ascii=False, indent=2, default=str)
    yield "person.csv", _person_rows(found)


def _person_rows(found: list[tuple[str, str, dict]]) -> Rows:
    yield _("Where"), _("What"), _("Number"), _("Fact"), _("Value")
    for number, (part, kind, facts) in enumerate(found, start=1):
        for name, value in facts.items():
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
            if text not in (None, "", "{}", "[]"):
                yield part, kind, number, name, text


def _organisation_files(job: Job) -> Files:
    """Every table of the organisation as a CSV file, columns by their names, secrets left out."""
    for part in PARTS.values():
        for name, rows in part.tables(job.client.pk).items():
            yield f"{name}.csv", _table_rows(rows)


def _table_rows(rows: QuerySet) -> Rows:
    fields = [
        field.attname
        for field in rows.model._meta.concrete_fields
        if not isinstance(field, EncryptedJSONField) and not field.attname.endswith(("_hash", "password", "token"))
    ]
    yield fields
    for batch in in_batches(rows):
        for row in batch:
            values = (getattr(row, name) for name in fields)
            yield [
                json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value for value in values
            ]
