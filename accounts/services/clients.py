"""Clients: opened with an owner, suspended and resumed."""

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Client, ClientState, Membership, Role, User
from accounts.services.audit import record_audit
from accounts.signals import client_resumed, client_suspended
from crm.common.countries import COUNTRIES, CURRENCIES, is_country, time_zones
from crm.common.errors import InvalidInput

Errors = dict[str, list[str]]


@transaction.atomic
def open_client(
    *,
    name: str,
    email: str,
    password: str | None = None,
    country: str = "KE",
    currency: str = "",
    time_zone: str = "",
    language: str = "en",
    simulation: bool = False,
    rate_limit: int | None = None,
) -> Client:
    """Open a client whose owner signs in as `email`. Its wallet and senders are opened by the apps above.

    password: of a new person. None: `email` is already somebody's, who becomes the owner; a known person's password
    is never changed here; how strong a new one must be is the door's business. currency, time_zone: empty for the
    country's own. rate_limit: API calls a minute, None for the default. Raises: InvalidInput, fields as the parameters.
    """
    email, country = email.strip().lower(), country.strip().upper()
    own = COUNTRIES.get(country)
    currency = currency.strip().upper() or (own.currency if own else "")
    time_zone = time_zone.strip() or (own.time_zone if own else "UTC")
    user = User.objects.filter(email=email).first()
    errors = _find_errors(name=name.strip(), country=country, currency=currency, time_zone=time_zone)
    if rate_limit is not None and not 1 <= rate_limit <= 1_000_000:
        errors["rate_limit"] = [_("The rate limit is between 1 and 1,000,000 calls a minute.")]
    errors |= _find_owner_errors(email=email, password=password, user=user)
    if errors:
        raise InvalidInput(errors)
    if user is None:
        user = User.objects.create_user(email, password)
    client = Client.objects.create(
        name=name.strip(),
        country=country,
        currency=currency,
        time_zone=time_zone,
        language=language,
        contact_email=email,
        simulation=simulation,
        rate_limit=rate_limit,
    )
    Membership.objects.create(user=user, client=client, role=Role.OWNER)
    facts = {"name": client.name, "country": country, "currency": currency, "owner": email, "simulation": simulation}
    record_audit(client=client, action="client.opened", target=f"client:{client.pk}", after=facts)
    return client


@transaction.atomic
def suspend_client(*, client: Client, reason: str) -> None:
    """Stop everything `client` does and what it has queued; the reason is shown to it. Raises: InvalidInput."""
    reason = reason.strip()
    if not 1 <= len(reason) <= 200:
        raise InvalidInput({"reason": [_("Say why, in at most 200 characters: the client reads it.")]})
    client.state, client.suspended_reason = ClientState.SUSPENDED, reason
    client.save(update_fields=["state", "suspended_reason"])
    client_suspended.send(Client, client=client)
    record_audit(client=client, action="client.suspended", target=f"client:{client.pk}", after={"reason": reason})


@transaction.atomic
def resume_client(*, client: Client) -> None:
    """Let `client` act again; single messages that waited leave now, paused campaigns wait for a person."""
    before = {"reason": client.suspended_reason}
    client.state, client.suspended_reason = ClientState.ACTIVE, ""
    client.save(update_fields=["state", "suspended_reason"])
    client_resumed.send(Client, client=client)
    record_audit(client=client, action="client.resumed", target=f"client:{client.pk}", before=before)


def _find_errors(*, name: str, country: str, currency: str, time_zone: str) -> Errors:
    errors: Errors = {}
    if not 1 <= len(name) <= 120:
        errors["name"] = [_("Give the client a name of at most 120 characters.")]
    if not is_country(country):
        errors["country"] = [_("“{country}” is no country code such as KE or TZ.").format(country=country)]
    elif not currency:
        errors["currency"] = [f"Say which currency a client in {country} pays in, such as USD."]
    if currency and currency not in CURRENCIES:
        errors["currency"] = [_("“{currency}” is no currency code such as KES or TZS.").format(currency=currency)]
    if time_zone not in time_zones():
        errors["time_zone"] = [_("“{time_zone}” is no time zone such as Africa/Nairobi.").format(time_zone=time_zone)]
    return errors


def _find_owner_errors(*, email: str, password: str | None, user: User | None) -> Errors:
    try:
        validate_email(email)
    except ValidationError:
        return {"email": [f"“{email}” is no email address."]}
    if user and not user.is_active:
        return {"email": [f"{email} belongs to somebody whose sign-in is switched off."]}
    if user:
        return {"email": [f"{email} already signs in here: leave the password out to reuse it."]} if password else {}
    if not password:
        return {"password": [f"{email} is new here: give a password."]}
    return {}
