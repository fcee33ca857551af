"""One contact at a time: add and change."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import Client
from accounts.services.access import needs
from accounts.services.privacy import erased_among
from contacts.errors import ContactExists
from contacts.importing.matching import attribute_key, unused_key
from contacts.importing.rows import ATTRIBUTE_LENGTH, clean_text
from contacts.importing.values import BadValueError, read_value
from contacts.models import DEPARTMENT_LENGTH, EMAIL_LENGTH, NAME_LENGTH, Contact, ContactField
from crm.common.errors import InvalidInput
from crm.common.phones import InvalidPhone, read_phone

MAX_ATTRIBUTES = 100
_LENGTHS = {"name": NAME_LENGTH, "department": DEPARTMENT_LENGTH}


@needs("contacts.write")
def create_contact(
    *,
    client: Client,
    phone: str = "",
    email: str = "",
    name: str = "",
    department: str = "",
    attributes: Mapping[str, Any] | None = None,
) -> Contact:
    """Add a person. A local number is read in the client's country.

    Raises: InvalidInput (fields phone, email, name, department, attributes); ContactExists.
    """
    given = {"phone": phone, "email": email, "name": name, "department": department, "attributes": attributes or {}}
    contact = Contact(client=client)
    _apply(contact, _cleaned(client, given))
    return _save(contact)


@needs("contacts.write", of="contact")
def update_contact(*, contact: Contact, **changes: Any) -> Contact:
    """Change the named fields of phone, email, name, department and attributes, which are replaced as a whole.

    Raises: InvalidInput, ContactExists; nothing is changed then.
    """
    if unknown := changes.keys() - {"phone", "email", "name", "department", "attributes"}:
        raise TypeError(f"update_contact does not know {sorted(unknown)}")
    _apply(contact, _cleaned(contact.client, changes))
    return _save(contact)


def _cleaned(client: Client, given: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    if "phone" in given:
        try:
            phone = str(given["phone"] or "").strip()
            read = read_phone(phone, client.country) if phone else None
            values |= {"phone": read.e164 if read else None, "assigned": read.assigned if read else True}
        except InvalidPhone as error:
            errors["phone"] = [str(error)]
    if "email" in given:
        values["email"] = str(given["email"] or "").strip().lower()
        try:
            if values["email"]:
                validate_email(values["email"])
            if len(values["email"]) > EMAIL_LENGTH:
                raise ValidationError("too long")
        except ValidationError:
            errors["email"] = [_("This is not an email address.")]
    for field, longest in _LENGTHS.items():
        if field in given:
            values[field] = clean_text(str(given[field] or "").strip())
            if len(values[field]) > longest:
                errors[field] = [_("At most %(most)s characters.") % {"most": longest}]
    if "attributes" in given:
        try:
            fields = {field.key.casefold(): field for field in ContactField.objects.for_client(client)}
            values["attributes"] = _clean_attributes(given["attributes"], fields)
        except ValidationError as error:
            errors["attributes"] = error.messages
    if errors:
        raise InvalidInput(errors)
    return values


def _clean_attributes(given: Any, fields: Mapping[str, ContactField]) -> dict[str, str]:
    """Non-empty texts by name; what stands in one of the client's fields is of the field's kind."""
    if not isinstance(given, Mapping):
        raise ValidationError(_("Extra fields are names with values."))
    if len(given) > MAX_ATTRIBUTES:
        raise ValidationError(_("At most %(most)s extra fields.") % {"most": MAX_ATTRIBUTES})
    attributes: dict[str, str] = {}
    for number, (title, value) in enumerate(given.items(), start=1):
        if value is None or isinstance(value, (dict, list)):
            if value is None:
                continue
            raise ValidationError(_("The value of “%(name)s” must be a text or a number.") % {"name": title})
        text = clean_text(str(value).strip())
        if len(text) > ATTRIBUTE_LENGTH:
            sentence = _("The value of “%(name)s” has more than %(most)s characters.")
            raise ValidationError(sentence % {"name": title, "most": ATTRIBUTE_LENGTH})
        field = fields.get(str(title).casefold())
        if text and field:
            try:
                attributes[field.key] = read_value(field.kind, text, field.choices)
            except BadValueError as error:
                raise ValidationError(f"{field.key}: {error}") from None
        elif text:
            key = str(title) if str(title) in ("first_name", "last_name") else attribute_key(str(title), number)
            taken = {known.casefold() for known in attributes}
            attributes[key if key in ("first_name", "last_name") else unused_key(key, taken)] = text
    return attributes


def _apply(contact: Contact, values: Mapping[str, Any]) -> None:
    for field, value in values.items():
        setattr(contact, field, value)
    if not contact.phone and not contact.email:
        raise InvalidInput({"phone": [_("Give a phone number, or at least an email address.")]})


def _refuse_erased(contact: Contact) -> None:
    addresses = [address for address in (contact.phone, contact.email) if address]
    gone = erased_among(contact.client_id, addresses)
    if gone:
        field = "phone" if contact.phone in gone else "email"
        sentence = _("This person was erased because they asked for it. Lift that under Data rights first.")
        raise InvalidInput({field: [sentence]})


def _save(contact: Contact) -> Contact:
    _refuse_erased(contact)
    try:
        with transaction.atomic():
            contact.save()
    except IntegrityError:
        others = Contact.objects.for_client(contact.client_id).exclude(pk=contact.pk)
        same = others.filter(phone=contact.phone) if contact.phone else others.filter(phone=None, email=contact.email)
        other = same.first()
        if other is None:
            raise
        of_phone = _("A contact with this number is in your book already.")
        of_email = _("A contact with this email address is in your book already.")
        raise ContactExists(of_phone if contact.phone else of_email, contact_id=other.pk) from None
    return contact
