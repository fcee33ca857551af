"""What can be exported of money: the ledger as the page shows it."""

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.exporting import Job, Kind, Rows, in_batches, register
from crm.common.money import from_micros
from wallet import queries
from wallet.forms import KIND_LABELS, LedgerFilter
from wallet.models import EntryKind, LedgerEntry


def register_kinds() -> None:
    register(Kind("ledger", gettext_lazy("Ledger"), "wallet.read", lambda job: _entries(job).count(), _rows))


def _entries(job: Job) -> QuerySet[LedgerEntry]:
    form = LedgerFilter(job.query)
    chosen = {name: value for name, value in form.cleaned_data.items() if value} if form.is_valid() else {}
    return queries.entries_for(job.client.pk, **chosen, time_zone=job.client.time_zone)


def _rows(job: Job) -> Rows:
    yield (
        _("Entry"), _("Time"), _("Kind"), _("What"), _("Reference"), _("Amount"), _("Balance after"), _("Currency"),
    )  # fmt: skip
    for batch in in_batches(_entries(job)):
        for entry in batch:
            yield (
                entry.pk, job.moment(entry.created_at), KIND_LABELS[EntryKind(entry.kind)], entry.description,
                entry.reference, from_micros(entry.amount_micros), from_micros(entry.balance_after_micros),
                job.client.currency,
            )  # fmt: skip
