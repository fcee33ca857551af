"""Who does not want messages. Recording twice is harmless; the sending side asks again just before it submits (D10)."""

from django.db import transaction

from accounts.models import Client
from accounts.services.events import moment, record_events
from contacts.models import Channel, OptOut, normal_address
from crm.common.errors import InvalidInput
from crm.common.phones import InvalidPhone, digits, read_phone
from crm.common.sql import database_now, insert_rows


def record_opt_out(*, client_id: int, channel: str, address: str, sender: str = "", source: str) -> bool:
    """Note that `address` (E.164, or an e-mail address) wants nothing from `sender`; "" means from no sender at all.

    Returns whether this is news. `source` is an OptOutSource.
    """
    columns = ["client_id", "channel", "address", "sender", "source", "created_at"]
    address, now = normal_address(channel, address), database_now()
    suffix = 'ON CONFLICT ("client_id", "channel", "address", "sender") DO NOTHING RETURNING "id"'
    with transaction.atomic():
        row = (client_id, Channel(channel), address, sender, source, now)
        if not insert_rows(OptOut, columns, [row], suffix=suffix):
            return False
        data = {
            "channel": str(channel),
            "recipient": digits(address),
            "sender": sender or None,
            "source": str(source),
            "opted_out_at": moment(now),
        }
        record_events(client_id, [("contact.opted_out", data)])
    return True


def read_client_phone(*, client: Client, phone: str) -> str:
    """A number as typed, in E.164. Raises: InvalidInput (`phone`)."""
    try:
        return read_phone(phone, client.country).e164
    except InvalidPhone as error:
        raise InvalidInput({"phone": [str(error)]}) from None


def remove_opt_out(*, client_id: int, channel: str, address: str, sender: str = "") -> bool:
    """Write to the address again. Returns whether there was such an opt-out."""
    found = OptOut.objects.filter(
        client_id=client_id, channel=channel, address=normal_address(channel, address), sender=sender
    )
    return bool(found.delete()[0])
