"""Which mobile network a number probably belongs to: the original holder of its range.

Numbers are ported in Kenya, Ghana and Nigeria, so this chooses a road and groups figures; it never refuses anything.
What a delivery report says of the network is the truth. Ranges as of 2026, national number's first three digits, from
libphonenumber's carrier data and the operators' own lists; Nigeria's are too interleaved to be listed here. What the
back office says of a country's ranges (models.CountryRules) takes the place of them: `use_ranges`.
"""

import re
from collections.abc import Mapping, Sequence
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


NETWORK_SIGNS: Final = (
    7  # of a number in E.164, of eight countries that have codes of three digits: what tells the network
)
_LINE: Final = re.compile(r"([^:]{1,40}):((?:\s+\d{3}(?:-\d{3})?)+)\s*")


def read_ranges(text: str) -> list[tuple[str, str]]:
    """Lines such as "Safaricom: 700-729 740" as networks with their ranges.

    Raises: ValueError with the line that is none.
    """
    found = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        read = _LINE.fullmatch(line)
        parts = [part if "-" in part else f"{part}-{part}" for part in read[2].split()] if read else []
        if not read or any(first > last for first, last in (part.split("-") for part in parts)):
            raise ValueError(line)
        found.append((read[1].strip(), " ".join(parts)))
    return found


def _table(ranges: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for code, networks in ranges.items():
        for network, parts in networks:
            for part in parts.split():
                first, last = part.split("-")
                found |= {f"+{code}{digits:03d}": network for digits in range(int(first), int(last) + 1)}
    return found


_current: Mapping[str, Sequence[tuple[str, str]]] = _RANGES
_networks = _table(_RANGES)


def use_ranges(by_country: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """From now on these networks and ranges, by ISO code, in place of the shipped ones; other countries keep theirs."""
    global _current, _networks
    wanted = {**_RANGES, **{_calling_code(country): networks for country, networks in by_country.items()}}
    if wanted != _current:
        _networks, _current = _table(wanted), wanted


def _calling_code(country: str) -> str:
    return str(country_code_for_region(country))


def likely_network(e164: str) -> str:
    """The operator's name, as people know it, or "" where nothing is known of the range."""
    return _networks.get(e164[:NETWORK_SIGNS], "")


def known_networks() -> list[str]:
    """Every network we know in any country, by name."""
    return sorted(set(_networks.values()))


def network_prefixes(network: str) -> list[str]:
    """The beginnings in E.164, such as "+254712", that the network has in all countries."""
    return [prefix for prefix, name in _networks.items() if name == network]


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
    return list(_current.get(_calling_code(country), ()))


def networks_of(country: str) -> list[str]:
    """The networks of a country, or "Every network" where none is listed."""
    return [name for name, _ranges in ranges_of(country)] or ["Every network"]
