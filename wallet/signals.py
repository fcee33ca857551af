"""Questions that money asks upwards: it knows references, the apps above know what they stand for."""

from dataclasses import dataclass

from django.dispatch import Signal


@dataclass(frozen=True, slots=True)
class Cause:
    """What a reference stands for. title: "SMS" or a campaign's name; recipient: whom a message went to, E.164 or an
    address; url: its page, which `permission` opens; part_of: the reference of what it belongs to, asked for as well.
    """

    title: str
    recipient: str = ""
    url: str = ""
    permission: str = ""
    part_of: str = ""


# client: accounts.Client, references: a list of ledger references; returns {reference: Cause} of those it knows,
# and of what they are part of.
asking_what_for = Signal()
