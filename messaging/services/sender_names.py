"""Which names may be asked for: the networks' rule, and none that reads like a brand or like somebody else's."""

import re
import unicodedata
from typing import Final

from django.utils.translation import gettext as _

from accounts.models import Client
from messaging.models import Channel, SenderId, SenderState

ASKED: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{3,11}")

# Names that people trust with money, identity or a phone contract. Whoever acts for one is let in by staff.
BRANDS: Final = (
    "Safaricom", "M-PESA", "Fuliza", "Airtel", "AirtelMoney", "Telkom", "Equitel", "Vodacom", "Tigo", "Tigo Pesa",
    "Mixx", "Halotel", "HaloPesa", "TTCL", "MTN", "MoMo", "Orange", "OrangeMoney", "Wave", "Moov", "Expresso", "Free",
    "Equity", "EquityBank", "KCB", "CoopBank", "Absa", "NCBA", "Stanbic", "Stanchart", "FamilyBank", "CRDB", "NMB",
    "NBC", "Ecobank", "UBA", "KRA", "KPLC", "NHIF", "NSSF", "SHA", "eCitizen", "Huduma", "IEBC", "NTSA", "HELB", "TRA",
    "URA", "RRA", "NIDA", "TANESCO", "UNEB", "KNEC", "WhatsApp", "Facebook", "Instagram", "TikTok", "Google",
    "Microsoft", "Apple", "Amazon", "Netflix", "PayPal", "Visa", "Mastercard", "WesternUnion", "MoneyGram", "Jumia",
    "Bolt", "Uber", "DHL", "UNICEF", "Betika", "SportPesa",
)  # fmt: skip
_LOOKS: Final = str.maketrans("0134578$@il", "oleastbsall")
_PREFIX: Final = 5  # a brand of so many letters may not begin a name either


def skeleton(name: str) -> str:
    """What a name looks like at a glance: `M-PE5A` and `mpesa` have the same one."""
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_LOOKS)
    letters = "".join(character for character in plain if character.isalnum() and character.isascii())
    return letters.replace("rn", "m").replace("vv", "w")


def resembles(one: str, other: str) -> bool:
    """Whether two skeletons are taken for each other: equal, or one letter apart where both are long."""
    if one == other:
        return True
    if min(len(one), len(other)) < 5 or abs(len(one) - len(other)) > 1:
        return False
    shorter, longer = sorted((one, other), key=len)
    at = next((place for place, pair in enumerate(zip(shorter, longer, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return True
    return shorter[at + (len(shorter) == len(longer)) :] == longer[at + 1 :]


def brand_like(name: str) -> str:
    """The brand that a name is taken for, "" for none."""
    seen = skeleton(name)
    for brand in BRANDS:
        shape = skeleton(brand)
        if resembles(seen, shape) or (len(shape) >= _PREFIX and seen.startswith(shape)):
            return brand
    return ""


def name_problem(client: Client, name: str) -> str:
    """Why this client cannot ask for this name, "" where it can."""
    if not ASKED.fullmatch(name):
        return _("Use 3 to 11 letters and digits, at least one letter, without spaces.")
    brand = brand_like(name)
    if brand and skeleton(brand) not in skeleton(client.name):
        return _("This reads like %(brand)s. If you act for them, ask your account manager to open it.") % {
            "brand": brand
        }
    return ""


def look_alikes(sender: SenderId) -> list[str]:
    """For staff: what a name that was asked for may be taken for."""
    found = []
    if brand := brand_like(sender.name):
        found.append(_("Reads like the brand %(brand)s.") % {"brand": brand})
    shape = skeleton(sender.name)
    others = (
        SenderId.objects.unscoped()
        .filter(channel=Channel.SMS, state__in=[SenderState.APPROVED, SenderState.PENDING])
        .exclude(client_id=sender.client_id)
    )
    for name, owner in others.order_by("pk").values_list("name", "client__name"):
        if resembles(shape, skeleton(name)):
            found.append(_("Reads like %(name)s of %(owner)s.") % {"name": name, "owner": owner})
    return found[:5]
