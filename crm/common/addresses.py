"""Where a request comes from, and whether an address lies in a list of networks."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address


def client_address(request: HttpRequest) -> str:
    """The caller's address; "" where it cannot be known.

    X-Forwarded-For is believed as far as our own proxies wrote it (TRUSTED_PROXY_COUNT, counted from the right) and
    ignored without one, since anybody may send the header (L1).
    """
    proxies = settings.TRUSTED_PROXY_COUNT
    found = request.META.get("REMOTE_ADDR", "")
    if proxies:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        found = hops[-proxies] if len(hops) >= proxies else ""
    address = read_address(found)
    return str(address) if address else ""


def read_address(text: str) -> Address | None:
    """An IP address, an IPv4 one also when it is written as IPv6 (`::ffff:10.0.0.1`); None for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def normalize_network(text: str) -> str:
    """`10.0.0.7/8` as `10.0.0.0/8`; a single address stays one. Raises: ValueError."""
    network = ip_network(text.strip(), strict=False)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether `address` is one of `networks` (addresses or CIDR blocks); an unknown address is in none."""
    known = read_address(address)
    return known is not None and any(known in ip_network(network) for network in networks)
