"""How a person agreed to get messages, as somebody wrote it down for one contact."""

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services.access import needs
from accounts.services.audit import record_audit
from contacts.models import STATEMENT_LENGTH, Consent, ConsentSource, Contact
from crm.common.errors import InvalidInput


@needs("contacts.write", of="contact")
@transaction.atomic
def set_consent(*, contact: Contact, source: str, statement: str = "", by: Any = None) -> Contact:
    """Record the consent of one contact; source: a ConsentSource, "" for none any more. The earlier record stays with
    the other contacts that came with the same file. Raises: InvalidInput (`source`, `statement`)."""
    statement = statement.replace("\x00", "").strip()
    if source and source not in ConsentSource.values:
        raise InvalidInput({"source": [_("Choose one of the list.")]})
    if len(statement) > STATEMENT_LENGTH:
        raise InvalidInput({"statement": [_("Use at most %(most)s characters.") % {"most": STATEMENT_LENGTH}]})
    before = contact.consent.source if contact.consent else ""
    consent = None
    if source:
        consent = Consent.objects.create(client_id=contact.client_id, source=source, statement=statement, by=by)
    mine = Contact.objects.for_client(contact.client_id).filter(pk=contact.pk)
    mine.update(consent=consent, updated_at=timezone.now())
    contact.consent = consent
    record_audit(
        client=contact.client_id,
        action="privacy.consent_changed",
        target=f"contact:{contact.pk}",
        before={"source": before},
        after={"source": source},
    )
    return contact
