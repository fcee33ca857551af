"""Two contacts that are one person become one contact."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from accounts.services.access import needs
from accounts.services.audit import record_audit
from contacts.models import Channel, Contact, FormerAddress, GroupMember, OptOut
from contacts.services.contacts import update_contact
from contacts.services.opt_outs import record_opt_outs
from crm.common.errors import InvalidInput

FIELDS = ("name", "phone", "email", "department")


@dataclass(frozen=True, slots=True)
class Merged:
    """What would become of two contacts. values: of FIELDS; groups: names, tags with them."""

    values: dict[str, str]
    attributes: dict[str, str]
    groups: list[str]
    opt_outs: list[OptOut]


def plan_merge(*, keep: Contact, other: Contact, take: Mapping[str, Any]) -> Merged:
    """What `merge_contacts` would do; nothing is written.

    take: names of FIELDS, and "attributes.KEY", whose value comes from `other`; else `keep` gives it, and where that is
    blank, `other`. Raises: InvalidInput (they are one and the same, or of two clients).
    """
    if keep.pk == other.pk or keep.client_id != other.client_id:
        raise InvalidInput({"contact": [_("Choose two different contacts.")]})
    values = {}
    for name in FIELDS:
        own, theirs = getattr(keep, name) or "", getattr(other, name) or ""
        values[name] = theirs if take.get(name) else own or theirs
    attributes = {**other.attributes, **keep.attributes}
    attributes |= {key: value for key, value in other.attributes.items() if take.get(f"attributes.{key}")}
    places = GroupMember.objects.filter(client_id=keep.client_id, contact_id__in=[keep.pk, other.pk])
    groups = list(places.order_by("group__name").values_list("group__name", flat=True).distinct())
    return Merged(values, attributes, groups, _opt_outs(keep) + _opt_outs(other))


def _opt_outs(contact: Contact) -> list[OptOut]:
    addresses = [address for address in (contact.phone, contact.email) if address]
    return list(OptOut.objects.for_client(contact.client_id).filter(address__in=addresses).order_by("pk"))


@needs("contacts.write", of="keep")
def merge_contacts(*, keep: Contact, other: Contact, take: Mapping[str, Any]) -> Contact:
    """Make one contact of two: `keep` stays, with the values of `plan_merge`, and `other` leaves the book for good.

    Groups, tags and consent are those of both. Who opted out under one of the numbers has opted out under the one that
    remains. What was sent to a number that is given up stays in the contact's history.
    Raises: InvalidInput, ContactExists, and then nothing is changed.
    """
    plan = plan_merge(keep=keep, other=other, take=take)
    client_id, other_id = keep.client_id, other.pk
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO contacts_groupmember (client_id, group_id, contact_id) "
                "SELECT m.client_id, m.group_id, %s FROM contacts_groupmember m "
                "WHERE m.client_id = %s AND m.contact_id = %s ON CONFLICT DO NOTHING",
                [keep.pk, client_id, other.pk],
            )
        FormerAddress.objects.filter(client_id=client_id, contact=other).update(contact=keep)
        GroupMember.objects.filter(client_id=client_id, contact=other).delete()
        before = [address for each in (keep, other) for address in (each.phone, each.email) if address]
        consent_id = keep.consent_id or other.consent_id
        Contact.objects.filter(client_id=client_id, pk=other.pk).delete()
        merged = update_contact(contact=keep, attributes=plan.attributes, **plan.values)
        Contact.objects.filter(client_id=client_id, pk=keep.pk).update(consent_id=consent_id)
        for address in dict.fromkeys(before):
            if address not in (merged.phone, merged.email):
                FormerAddress.objects.get_or_create(client_id=client_id, contact=merged, address=address)
        _carry_opt_outs(merged, plan.opt_outs)
        facts = {"merged_with": f"contact:{other_id}", "taken_from_it": sorted(name for name in take if take[name])}
        record_audit(client=client_id, action="contact.merged", target=f"contact:{keep.pk}", after=facts)
    merged.refresh_from_db()
    return merged


def _carry_opt_outs(merged: Contact, opt_outs: list[OptOut]) -> None:
    for each in opt_outs:
        address = merged.email if each.channel == Channel.EMAIL else merged.phone
        if address and address != each.address:
            record_opt_outs(
                client_id=merged.client_id,
                channel=each.channel,
                addresses=[address],
                sender=each.sender,
                source=each.source,
                proof=(_("Merged with a contact who had opted out.") + " " + each.proof)[:300].strip(),
                by=each.by,
            )
