"""Which mobile network a number probably belongs to: the original holder of its range.

Numbers are ported in Kenya, Ghana and Nigeria, so this chooses a road and groups figures; it never refuses anything.
What a delivery report says of the network is the truth. Ranges as of 2026, national number's first three digits, from
libphonenumber's carrier data and the operators' own lists; Nigeria's are too interleaved to be listed here.
"""

from typing import Final

from phonenumbers import country_code_for_region

# calling code → (network, ranges of the first three national digits, both ends included)
_RANGES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "254": (
        ("Safaricom", "700-729 740-743 745-746 748-749 757-759 768-769 790-799 110-119 140-146 180-189"),
        ("Airtel", "730-739 750-756 760-760 762-762 764-767 780-789 100-108 135-139"),
        ("Telkom", "770-779 761-761 120-120"),
        ("Equitel", "763-763"),
    ),
    "255": (
        ("Vodacom", "720-729 740-769 790-799"),
        ("Airtel", "600-609 660-669 680-699 780-789"),
        ("Yas", "650-659 670-679 700-719 770-779"),
        ("Halotel", "610-639"),
        ("TTCL", "730-739"),
    ),
    "256": (
        ("MTN", "760-795 724-724 737-737"),
        ("Airtel", "700-709 730-732 740-759"),
        ("UTL", "710-719"),
        ("Lyca", "726-727"),
    ),
    "221": (("Orange", "710-719 770-789"), ("Yas", "760-769"), ("Expresso", "700-709"), ("Promobile", "750-759")),
    "225": (("Moov", "010-019"), ("MTN", "050-059"), ("Orange", "070-079")),
    "250": (("MTN", "780-799"), ("Airtel", "720-739")),
    "251": (("Ethio Telecom", "900-999 800-819"), ("Safaricom", "700-739 777-777 786-786 799-799")),
    "233": (
        ("MTN", "240-249 256-257 530-559 591-599"),
        ("Telecel", "200-209 500-509"),
        ("AT", "230-239 260-279 560-579"),
    ),
}


def _table() -> dict[str, str]:
    found: dict[str, str] = {}
    for code, networks in _RANGES.items():
        for network, ranges in networks:
            for part in ranges.split():
                first, last = part.split("-")
                found |= {f"+{code}{digits:03d}": network for digits in range(int(first), int(last) + 1)}
    return found


_NETWORKS: Final = _table()


def likely_network(e164: str) -> str:
    """The operator's name, as people know it, or "" where nothing is known of the range."""
    return _NETWORKS.get(e164[:7], "")


def known_networks() -> list[str]:
    """Every network we know in any country, by name."""
    return sorted(set(_NETWORKS.values()))


def network_prefixes(network: str) -> list[str]:
    """The beginnings in E.164, such as "+254712", that the network has in all countries."""
    return [prefix for prefix, name in _NETWORKS.items() if name == network]


# Mobile country and network codes, as delivery reports name networks.
_BY_CODE: Final[dict[str, str]] = {
    "63902": "Safaricom",
    "63903": "Airtel",
    "63907": "Telkom",
    "63999": "Equitel",
    "64002": "Yas",
    "64003": "Yas",
    "64004": "Vodacom",
    "64005": "Airtel",
    "64007": "TTCL",
    "64009": "Halotel",
    "64101": "Airtel",
    "64110": "MTN",
    "64114": "Airtel",
    "63510": "MTN",
    "63513": "Airtel",
    "63514": "Airtel",
    "62001": "MTN",
    "62002": "Telecel",
    "62003": "AT",
    "62006": "AT",
    "62120": "Airtel",
    "62130": "MTN",
    "62150": "Glo",
    "62160": "9mobile",
}


def network_of_code(code: str) -> str:
    """The operator behind a five-digit MCC and MNC, "" for one that is not listed."""
    return _BY_CODE.get(code, "")


def ranges_of(country: str) -> list[tuple[str, str]]:
    """The networks of a country by its ISO code, each with its ranges of the first three national digits."""
    return list(_RANGES.get(str(country_code_for_region(country)), ()))


def networks_of(country: str) -> list[str]:
    """The networks of a country, or "Every network" where none is listed."""
    return [name for name, _ranges in ranges_of(country)] or ["Every network"]
