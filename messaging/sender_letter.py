"""The authorisation letter of a sender ID, filled in, to be printed on the client's letterhead, signed and stamped."""

from django.utils.dateformat import format as format_date
from django.utils.timezone import localdate
from django.utils.translation import gettext as _

from messaging.models import MessageClass, SenderId
from messaging.services.sender_requests import networks_asked
from wallet.printing.paper import facts, gap, make_pdf, paragraph


def letter_pdf(sender: SenderId) -> bytes:
    """A page that says who lets whom use the name, with room for signature and stamp."""
    client = sender.client
    networks = ", ".join(networks_asked(sender).values_list("network", flat=True))
    purpose = _("Promotions") if sender.message_class == MessageClass.PROMOTION else _("Information")
    words = _(
        "We, %(client)s, ask the networks named above to register the sender ID %(name)s in our name. It will be used "
        "for messages of our own to people who expect them, and for nothing else. We answer for what is sent with it, "
        "and we will say so at once when it is to end."
    )
    story = [
        facts(
            [
                (_("Organisation"), client.name),
                (_("Postal address"), client.address or "……………………………………"),
                (_("Tax number"), client.tax_id or "……………………………………"),
                (_("Sender ID"), sender.name),
                (_("Used for"), purpose),
                (_("Networks"), networks),
                (_("Date"), format_date(localdate(), "j F Y")),
            ]
        ),
        gap(8),
        paragraph(words % {"client": client.name, "name": sender.name}, 11),
        gap(20),
        facts([(_("Name and office"), "……………………………………"), (_("Signature"), "……………………………………"), (_("Stamp"), "")]),
        gap(30),
        paragraph(
            _("Print this on your letterhead or stamp it, sign it, and upload a photo or scan of it."), 8, muted=True
        ),
    ]
    return make_pdf(title=_("Authorisation of the sender ID %(name)s") % {"name": sender.name}, story=story)
