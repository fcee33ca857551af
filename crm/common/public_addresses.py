"""Whether an address belongs to the public internet: what a request on somebody else's behalf may reach (W5).

Python's own `is_global` (3.11) knows neither every special block nor the IPv4 address inside an IPv6 one, so both are
done here. Source: IANA IPv4 and IPv6 Special-Purpose Address Registries.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

_NOT_PUBLIC_4 = [
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
_PUBLIC_6 = IPv6Network("2000::/3")  # global unicast: everything outside it is special
_NOT_PUBLIC_6 = [
    IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "3ffe::/16")
]
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")


def read_dialled(text: str) -> Address | None:
    """An address as a socket names it (an IPv6 one may carry a zone, which makes it local); None for anything else."""
    try:
        return unwrap(ip_address(text))
    except ValueError:
        return None


def unwrap(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for: mapped, translated, compatible, 6to4, Teredo or NAT64."""
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id:
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64 or address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 0xFFFF):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may have `address`, also inside another one."""
    if isinstance(address, IPv6Address) and address.scope_id:
        return False
    inner = unwrap(address)
    if isinstance(inner, IPv4Address):
        return not any(inner in network for network in _NOT_PUBLIC_4)
    return inner in _PUBLIC_6 and not any(inner in network for network in _NOT_PUBLIC_6)


def is_among(address: Address, networks: Iterable[str]) -> bool:
    """Whether `address`, unwrapped or as it is, lies in one of `networks` (CIDR blocks or addresses)."""
    blocks = [ip_network(network, strict=False) for network in networks]
    return any(form in block for form in {address, unwrap(address)} for block in blocks)
