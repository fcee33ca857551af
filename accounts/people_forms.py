"""Forms of people and their organisation: shape here, meaning in the services."""

from typing import Any

from allauth.account.forms import SignupForm
from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.utils.module_loading import import_string
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.models import Client, Density, Membership, Role, Theme, User
from accounts.services import people, team
from crm.common.countries import COUNTRIES, time_zones
from crm.common.errors import InvalidInput
from crm.common.phones import InvalidPhone, read_phone, region_of

ROLE_MEANINGS = {
    Role.OWNER: _("everything, also who else may do everything"),
    Role.ADMIN: _("everything but making owners"),
    Role.SENDER: _("writes contacts, messages and campaigns, and sends them"),
    Role.APPROVER: _("reads, and releases campaigns that wait for a second person"),
    Role.FINANCE: _("the wallet, top-ups and bills"),
    Role.DEVELOPER: _("API keys, webhooks and their logs"),
    Role.VIEWER: _("reads only"),
}


class ServiceForm(forms.Form):
    """A form whose meaning a service checks: `take` prints what the service refused beside the fields."""

    def take(self, refusal: InvalidInput) -> None:
        for name, sentences in refusal.errors.items():
            self.add_error(name if name in self.fields else None, sentences)


class RegistrationForm(SignupForm):
    """Name, organisation, phone, email, password. Country, currency and clock come from the dialling code.

    Somebody who came by an invitation joins that organisation and gives no other; the mailbox is the invited one.
    """

    field_order = ["name", "organisation", "phone", "email", "password1"]
    name = forms.CharField(label=_("Your name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    organisation = forms.CharField(
        label=_("Organisation"),
        max_length=120,
        help_text=_("The school, shop, clinic or firm that you send for."),
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.invitation = kwargs.pop("invitation", None)
        super().__init__(*args, **kwargs)
        self.fields["email"].label = _("Email address")
        self.fields["phone"].label = _("Mobile number")
        self.fields["phone"].help_text = _("With the country code, such as +254 712 345 678. A code is sent to it.")
        self.fields["phone"].widget.attrs |= {"autocomplete": "tel", "inputmode": "tel"}
        self.fields["password1"].label = _("Password")
        self.fields["password1"].help_text = _("At least 8 characters, not a common word and not your email address.")
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
        if self.invitation:
            del self.fields["organisation"]
            self.fields["phone"].required = False
            if self.invitation.email:
                self.fields["email"].initial = self.invitation.email
                self.fields["email"].disabled = True

    def clean_phone(self) -> str:
        text = self.cleaned_data.get("phone") or ""
        if not text:
            return ""
        try:
            return read_phone(text, self.invitation.client.country if self.invitation else _likely_country()).e164
        except InvalidPhone as refusal:
            raise forms.ValidationError(str(refusal)) from None

    def save(self, request: HttpRequest) -> User:
        """The person, unconfirmed until a code was typed, and their organisation in trial; or the invited member."""
        user = super().save(request)
        user.name, user.language, user.is_confirmed = self.cleaned_data["name"], get_language() or "en", False
        user.save(update_fields=["name", "language", "is_confirmed"])
        if self.invitation:
            team.accept_invitation(invitation=self.invitation, user=user)
            request.session.pop(people.INVITATION_KEY, None)
            user.refresh_from_db()
        else:
            country = region_of(self.cleaned_data["phone"]) or _likely_country()
            import_string(settings.CLIENT_OPENER)(
                name=self.cleaned_data["organisation"], owner=user, country=country, language=user.language
            )
        return user


def _likely_country() -> str:
    """The country of numbers without their code, for a visitor: the operator's own."""
    return settings.DEFAULT_COUNTRY


class ProfileForm(ServiceForm):
    """What a person chooses for themselves."""

    name = forms.CharField(label=_("Name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    theme = forms.ChoiceField(label=_("Colours"), choices=Theme.choices, required=False)
    density = forms.ChoiceField(label=_("Rows of tables"), choices=Density.choices)
    single_keys = forms.BooleanField(
        label=_("Single-key shortcuts"),
        required=False,
        help_text=_("“/” searches, “g” then a letter goes to a page, “?” lists them all. Ctrl K works in any case."),
    )

    @classmethod
    def values_of(cls, user: User) -> dict[str, Any]:
        values = {name: getattr(user, name) for name in cls.base_fields}
        return values | {"language": user.language or get_language()}


class OwnPhoneForm(ServiceForm):
    """One's own number, as people write it in `country`."""

    phone = forms.CharField(
        label=_("Mobile number"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "tel", "inputmode": "tel"}),
    )

    def __init__(self, *args: Any, country: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.country = country

    def clean_phone(self) -> str:
        try:
            return read_phone(self.cleaned_data["phone"], self.country).e164
        except InvalidPhone as refusal:
            raise forms.ValidationError(str(refusal)) from None


class OrganisationForm(ServiceForm):
    """What the organisation is; its country and currency are fixed once money moved."""

    name = forms.CharField(label=_("Name"), max_length=120)
    contact_email = forms.EmailField(label=_("Email for letters"), required=False)
    address = forms.CharField(
        label=_("Postal address"), required=False, max_length=300, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Printed on receipts, bills and statements."),
    )  # fmt: skip
    tax_id = forms.CharField(
        label=_("Tax number"), required=False, max_length=40, help_text=_("Such as a KRA PIN or TIN.")
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), choices=lambda: [(name, name) for name in _zones()])
    language = forms.ChoiceField(
        label=_("Language of papers"),
        choices=settings.LANGUAGES,
        help_text=_("Receipts and mails; each person chooses for pages."),
    )
    require_second_factor = forms.BooleanField(
        label=_("Everybody needs a second step to sign in"),
        required=False,
        help_text=_("A code of an app or a passkey. Members without one are asked to set it up before they go on."),
    )

    @classmethod
    def values_of(cls, client: Client) -> dict[str, Any]:
        return {name: getattr(client, name) for name in cls.base_fields}


def _zones() -> list[str]:
    """Zones of places, the countries we know of first."""
    known = sorted({country.time_zone for country in COUNTRIES.values()})
    return known + sorted(name for name in time_zones() if "/" in name and name not in known)


class InvitationForm(ServiceForm):
    """Whom to invite, as what. Only owners may make owners."""

    address = forms.CharField(
        label=_("Email address or mobile number"), max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    role = forms.ChoiceField(label=_("Role"), initial=Role.SENDER)

    def __init__(self, *args: Any, by: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = role_choices(by)  # type: ignore[attr-defined]


class RoleForm(ServiceForm):
    """A member's role."""

    role = forms.ChoiceField(label=_("Role"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, by: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = role_choices(by)  # type: ignore[attr-defined]


def role_choices(by: Membership) -> list[tuple[str, str]]:
    """The roles that `by` may hand out, each with what it means."""
    return [
        (role.value, _("{role}: {meaning}").format(role=role.label, meaning=ROLE_MEANINGS[role]))  # type: ignore[str-format]
        for role in Role
        if role != Role.OWNER or by.role == Role.OWNER
    ]
