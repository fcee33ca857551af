"""What can be exported of a book: contacts as the list shows them, and opt-outs."""

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.exporting import Job, Kind, Rows, in_batches, register
from contacts import queries
from contacts.filters import ContactFilters
from contacts.models import Contact, ContactField, OptOut


def register_kinds() -> None:
    register(Kind("contacts", gettext_lazy("Contacts"), "contacts.read", lambda job: _contacts(job).count(), _rows))
    register(
        Kind("opt-outs", gettext_lazy("Opt-outs"), "contacts.read", lambda job: _opt_outs(job).count(), _opt_out_rows)
    )


def _contacts(job: Job) -> QuerySet[Contact]:
    """As the page of contacts reads its address."""
    return ContactFilters.read(job.query).rows(job.client)


def _rows(job: Job) -> Rows:
    fields = list(ContactField.objects.for_client(job.client).values_list("key", flat=True))
    heading = (
        _("Phone"), _("Email"), _("Name"), _("Department"), _("Groups"), _("Opted out"), _("Consent"),
        _("Consent statement"), _("Added"),
    )  # fmt: skip
    yield (*heading, *fields)
    for batch in in_batches(_contacts(job).select_related("consent")):
        queries.decorate(job.client, batch)
        for contact in batch:
            consent = contact.consent
            yield (
                job.address(contact.phone), job.address(contact.email), contact.name, contact.department,
                "; ".join(contact.group_names), _("yes") if contact.opted_out else "",
                consent.get_source_display() if consent else "", consent.statement if consent else "",
                job.moment(contact.created_at), *(contact.attributes.get(key, "") for key in fields),
            )  # fmt: skip


def _opt_outs(job: Job) -> QuerySet[OptOut]:
    return queries.opt_outs_for(job.client, search=job.query.get("q", ""))


def _opt_out_rows(job: Job) -> Rows:
    yield _("Number or address"), _("Channel"), _("Sender"), _("How"), _("Proof"), _("When")
    for batch in in_batches(_opt_outs(job)):
        for row in batch:
            yield (
                job.address(row.address), row.get_channel_display(), row.sender or _("every sender"),
                row.get_source_display(), row.proof, job.moment(row.created_at),
            )  # fmt: skip
