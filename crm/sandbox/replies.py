"""A person writes from a handset: the vendor whose message is answered tells the product so."""

import time
from urllib.parse import urlencode
from uuid import uuid4

from crm.sandbox.vendors import beem, infobip, twilio, whatsapp
from crm.sandbox.vendors.core import Callback, tell
from crm.sandbox.world import World

SMPP = "smpp:"
_BY_PREFIX = {vendor.PREFIX: vendor.person_writes for vendor in (beem, infobip, twilio, whatsapp)}


def can_answer(username: str, sender: str) -> bool:
    """Whether a phone can write back: to a number, and to anybody on WhatsApp; not to a name."""
    prefix = username.partition(":")[0] + ":" if ":" in username else ""
    if prefix == whatsapp.PREFIX:
        return True
    return sender.lstrip("+").isdigit() and (not prefix or prefix == SMPP or prefix in _BY_PREFIX)


def person_writes(world: World, *, username: str, sender: str, number: str, text: str) -> bool:
    """Tell the product what the person at `number` wrote to `sender`. Returns whether it has somewhere to go."""
    message_id = uuid4().hex
    if username.startswith(SMPP) and world.smsc:
        return world.smsc.reply(username.removeprefix(SMPP), number, sender, text)
    for prefix, write in _BY_PREFIX.items():
        if username.startswith(prefix):
            return write(world, username, sender, number, text, message_id)
    form = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), "from": number, "id": message_id, "linkId": "",
        "text": text, "to": sender,
    }  # fmt: skip
    return tell(world, username, "inbound", Callback(urlencode(form).encode(), "application/x-www-form-urlencoded"))
