"""What the carrier knows of numbers: which network, which price, and the test numbers that refuse or fail."""

import re
from typing import Final

NUMBER: Final = re.compile(r"\+[1-9][0-9]{7,14}")
LANDLINE: Final = re.compile(r"\+254(20|4[0-9]|5[0-9]|6[0-9])[0-9]+|\+256(3|4)[0-9]+|\+255(2)[0-9]+")

# statusCode of a refused row and its name, as the vendor documents them.
ROW_REFUSALS: Final[dict[int, str]] = {
    401: "RiskHold",
    402: "InvalidSenderId",
    403: "InvalidPhoneNumber",
    404: "UnsupportedNumberType",
    405: "InsufficientBalance",
    406: "UserInBlacklist",
    407: "CouldNotRoute",
    409: "DoNotDisturbRejection",
    500: "InternalServerError",
    501: "GatewayError",
    502: "RejectedByGateway",
}

# Final report words of a message that was taken and did not arrive: status and failureReason ("" = none is sent).
FAILED_DELIVERIES: Final[tuple[tuple[str, str], ...]] = (
    ("Failed", "UserIsInactive"),
    ("Failed", "UserInBlackList"),
    ("Failed", "UserAccountSuspended"),
    ("Failed", "NotNetworkSubcriber"),
    ("Failed", "UserNotSubscribedToProduct"),
    ("Failed", "UserDoesNotExist"),
    ("Failed", "DeliveryFailure"),
    ("Failed", "InsufficientCredit"),
    ("Failed", ""),
    ("Rejected", "DoNotDisturbRejection"),
    ("Rejected", ""),
    ("AbsentSubscriber", ""),
    ("Expired", ""),
)

# Test numbers. +254700000NNN refuses with row code NNN; the others are taken and then fail, one after the other.
REFUSING: Final[dict[str, int]] = {f"+254700000{code}": code for code in ROW_REFUSALS}
FAILING: Final[dict[str, tuple[str, str]]] = {
    f"+2547000010{n:02}": words for n, words in enumerate(FAILED_DELIVERIES, start=1)
}
SILENT: Final = "+254700002000"  # taken, handed to the network, and never heard of again
UNKNOWN_WORD: Final = "+254700003000"  # its report says a word that no documentation lists

# networkCode by the first digits after the plus; the longest prefix wins. The vendor's list is open-ended.
_NETWORKS: Final[dict[str, tuple[str, str]]] = {
    "2547": ("63902", "Safaricom"),
    "2541": ("63902", "Safaricom"),
    "25473": ("63903", "Airtel"),
    "25475": ("63903", "Airtel"),
    "254757": ("63902", "Safaricom"),
    "254758": ("63902", "Safaricom"),
    "254759": ("63902", "Safaricom"),
    "25478": ("63903", "Airtel"),
    "25410": ("63903", "Airtel"),
    "25477": ("63907", "Telkom"),
    "254763": ("63999", "Equitel"),
    "25576": ("64004", "Vodacom"),
    "25575": ("64004", "Vodacom"),
    "25574": ("64004", "Vodacom"),
    "25571": ("64002", "Tigo"),
    "25565": ("64002", "Tigo"),
    "25568": ("64005", "Airtel"),
    "25569": ("64005", "Airtel"),
    "25578": ("64005", "Airtel"),
    "25562": ("64009", "Halotel"),
    "2557": ("64004", "Vodacom"),
    "25677": ("64110", "MTN"),
    "25678": ("64110", "MTN"),
    "25670": ("64101", "Airtel"),
    "25675": ("64101", "Airtel"),
    "2567": ("64110", "MTN"),
    "25078": ("63510", "MTN"),
    "25079": ("63510", "MTN"),
    "25072": ("63513", "Tigo"),
    "25073": ("63514", "Airtel"),
    "234": ("62130", "MTN"),
}
_UNLISTED: Final = ("99999", "")

# Price of one part in ten-thousandths of a shilling, by country code.
_PRICES: Final[dict[str, int]] = {"254": 8_000, "255": 11_000, "256": 12_000, "250": 14_000}
_OTHER_PRICE: Final = 25_000


def network_of(number: str) -> tuple[str, str]:
    """networkCode and the operator's name, ("99999", "") for a network that is not listed."""
    digits = number[1:]
    for length in range(6, 2, -1):
        if found := _NETWORKS.get(digits[:length]):
            return found
    return _UNLISTED


def price_of(number: str) -> int:
    """Ten-thousandths of KES for one part to that number."""
    return _PRICES.get(number[1:4], _OTHER_PRICE)


def money(ten_thousandths: int) -> str:
    """ "KES 0.8000", as the vendor writes it."""
    return f"KES {ten_thousandths // 10_000}.{ten_thousandths % 10_000:04}"
