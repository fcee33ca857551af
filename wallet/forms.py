"""Filters of the ledger page."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from wallet.models import EntryKind

# Shown words; the stored values stay out of the languages. "Charge" and "credit" are seen from the client's side.
KIND_LABELS = {
    EntryKind.CREDIT: _("Credit"),
    EntryKind.DEBIT: _("Charge"),
    EntryKind.REFUND: _("Refund"),
    EntryKind.ADJUSTMENT: _("Adjustment"),
}


class LedgerFilter(forms.Form):
    """kind, and inclusive days of the client's time zone. `from` is a keyword in Python, hence the names."""

    kind = forms.ChoiceField(
        label=_("Kind"),
        required=False,
        choices=[("", _("All")), *((kind.value, label) for kind, label in KIND_LABELS.items())],
    )
    from_date = forms.DateField(label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    to_date = forms.DateField(label=_("To"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))

    def clean(self) -> dict[str, Any]:
        chosen = super().clean() or self.cleaned_data
        first, last = chosen.get("from_date"), chosen.get("to_date")
        if first and last and first > last:
            self.add_error("to_date", _("This day is before the first one."))
        return chosen
