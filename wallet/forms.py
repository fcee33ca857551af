"""Forms of the wallet's pages."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from crm.common.money import from_micros
from wallet.models import EntryKind

# Shown words; the stored values stay out of the languages. "Charge" and "credit" are seen from the client's side.
KIND_LABELS = {
    EntryKind.CREDIT: _("Credit"),
    EntryKind.DEBIT: _("Charge"),
    EntryKind.REFUND: _("Refund"),
    EntryKind.ADJUSTMENT: _("Adjustment"),
}


class LedgerFilter(forms.Form):
    """kind, and inclusive days of the client's time zone. `from` is a keyword in Python, hence the names.

    within: what a statement's line sums up, such as "campaign:81"; "-" for single messages.
    """

    kind = forms.ChoiceField(
        label=_("Kind"),
        required=False,
        choices=[("", _("All")), *((kind.value, label) for kind, label in KIND_LABELS.items())],
    )
    from_date = forms.DateField(label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    to_date = forms.DateField(label=_("To"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    within = forms.RegexField(r"^(-|[a-z]{1,20}:\d{1,18})$", required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        chosen = super().clean() or self.cleaned_data
        first, last = chosen.get("from_date"), chosen.get("to_date")
        if first and last and first > last:
            self.add_error("to_date", _("This day is before the first one."))
        return chosen


class ThresholdForm(forms.Form):
    """Below which balance the client is warned, in whole units of its currency."""

    amount = forms.IntegerField(
        label=_("Warn below"),
        min_value=0,
        max_value=100_000_000,
        help_text=_("An email goes to the owner and to finance, once a day at most. 0: no warning."),
    )

    @classmethod
    def of(cls, low_balance_micros: int) -> "ThresholdForm":
        return cls(initial={"amount": int(from_micros(low_balance_micros))})


class MorningForm(forms.Form):
    """Whether the prompt comes by itself while the balance is low; shapes only."""

    ask = forms.BooleanField(
        label=_("Send the M-Pesa prompt by itself"),
        required=False,
        help_text=_("At 08:00, once a day, while the balance is low. Nothing is paid until the PIN is entered."),
    )
    amount = forms.IntegerField(label=_("Amount"), required=False, max_value=10**9)
    phone = forms.CharField(label=_("M-Pesa number"), required=False, max_length=30)


class TopUpForm(forms.Form):
    """Shapes only: limits and numbers are the service's to judge. sure: a second payment of the amount is meant."""

    amount = forms.IntegerField(label=_("Amount"), max_value=10**9)
    phone = forms.CharField(label=_("M-Pesa number"), max_length=30)
    sure = forms.BooleanField(required=False, widget=forms.HiddenInput)
    next = forms.CharField(required=False, max_length=200, widget=forms.HiddenInput)

    def __init__(self, *args: Any, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].widget.attrs.update({"min": least, "max": most, "step": 1, "inputmode": "numeric"})
        self.fields["phone"].widget = forms.TextInput({"inputmode": "tel", "autocomplete": "tel"})
        self.fields["phone"].help_text = _("Any M-Pesa number can pay, not only your own.")


class ClaimForm(forms.Form):
    code = forms.CharField(label=_("M-Pesa code"), max_length=20, help_text=_("From the message, such as PGH7X8Y9Z0"))
