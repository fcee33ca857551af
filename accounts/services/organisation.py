"""What an organisation says of itself, and what it asks of its members."""

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.countries import time_zones
from crm.common.errors import InvalidInput

FIELDS = ("name", "contact_email", "address", "tax_id", "time_zone", "language", "require_second_factor")


@needs("organisation.write")
@transaction.atomic
def change_organisation(*, client: Client, **values: object) -> None:
    """Change any of FIELDS. Raises: InvalidInput, fields as the parameters."""
    unknown = set(values) - set(FIELDS)
    if unknown:
        raise TypeError(f"an organisation has no {', '.join(sorted(unknown))} to change")
    errors: dict[str, list[str]] = {}
    name = " ".join(str(values.get("name", client.name)).split())
    if not 1 <= len(name) <= 120:
        errors["name"] = [_("Give a name of at most 120 characters.")]
    if values.get("time_zone", client.time_zone) not in time_zones():
        errors["time_zone"] = [_("Choose a time zone such as Africa/Nairobi.")]
    if values.get("language", client.language) not in dict(settings.LANGUAGES):
        errors["language"] = [_("Choose one of the languages.")]
    if errors:
        raise InvalidInput(errors)
    before = {field: getattr(client, field) for field in values}
    for field, value in (values | {"name": name}).items():
        setattr(client, field, value)
    changed = {field for field in values if before[field] != getattr(client, field)}
    if not changed:
        return
    client.save(update_fields=sorted(changed))
    record_audit(
        client=client, action="organisation.changed", target=f"client:{client.pk}",
        before={field: before[field] for field in changed}, after={field: getattr(client, field) for field in changed},
    )  # fmt: skip


@needs("organisation.write")
@transaction.atomic
def set_simulation(*, client: Client, on: bool) -> bool:
    """Switch the whole account between simulation and real sending; False where it was so already."""
    if client.simulation == on:
        return False
    client.simulation = on
    client.save(update_fields=["simulation"])
    record_audit(client=client, action="simulation.changed", target=f"client:{client.pk}", after={"simulation": on})
    return True
