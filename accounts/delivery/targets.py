"""Where a webhook may go (GUARANTEES.md W5): the URL when it is entered, the address each time it is dialled.

The address decides. What is refused in a URL is refused early, with a sentence, for the person who typed it; a name
that passes here and later leads to a private address is stopped when it is dialled.
"""

import re
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from crm.common.errors import InvalidInput
from crm.common.public_addresses import Address, is_among, is_public, read_dialled

LONGEST_URL = 500
PORTS = (443, 8443, 80, 8080)
_PLAIN = re.compile(r"[!-~]+")  # printable ASCII without the space
_NAME = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.I
)
_NUMBER = re.compile(r"(?:\d+|0x[0-9a-f]*)", re.I)  # as the last label: browsers and libcurl read an IPv4 address
_INSIDE = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa", "arpa")


def check_webhook_url(url: str) -> str:
    """`url` as it is kept. Raises: InvalidInput (`url`), with what is wrong in a sentence."""
    url = url.strip()
    if sentence := _find_fault(url):
        raise InvalidInput({"url": [sentence]})
    return url


def may_dial(url: str, address: tuple) -> bool:
    """Whether the connection that libcurl is about to open for `url` may be opened. address: (host, port, …)."""
    found = read_dialled(str(address[0]))
    if found is None:
        return False
    if is_among(found, settings.WEBHOOK_ALLOWED_NETWORKS):
        return True
    is_open = urlsplit(url).scheme.lower() == "https" or settings.WEBHOOK_ALLOW_HTTP
    return is_open and int(address[1]) in PORTS and is_public(found)


def _find_fault(url: str) -> str:
    """What is wrong with `url`, in a sentence; "" for nothing."""
    if not url:
        return _("Give the address that receives the events.")
    if len(url) > LONGEST_URL:
        return _("The address may have at most {n} characters.").format(n=LONGEST_URL)
    if not _PLAIN.fullmatch(url) or set(url) & set('\\"<>^`{|}'):
        return _("The address may only have plain characters: write others as %XX, and a name in its xn-- form.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _("This is no address such as https://example.com/webhooks.")
    if parts.scheme not in ("https", "http") or not url.lower().startswith(f"{parts.scheme}://") or not host:
        return _("Give an address such as https://example.com/webhooks.")
    if "@" in parts.netloc:
        return _("Leave the user name and password out of the address: check the signature instead.")
    if parts.fragment or url.endswith("#"):
        return _("Leave out what follows the # sign: it is never sent.")
    address, fault = _read_host(host)
    if fault:
        return fault
    if _operator_allows(address):
        return "" if port != 0 else _("The port cannot be 0.")
    if address is not None and not is_public(address):
        return _("This address is not on the public internet.")
    if address is None and ("." not in host.rstrip(".") or host.rstrip(".").lower().endswith(_inside_suffixes())):
        return _("This name is not on the public internet.")
    if parts.scheme == "http" and not settings.WEBHOOK_ALLOW_HTTP:
        return _("The address must begin with https://, so that nobody on the way reads the events.")
    if port is not None and port not in PORTS:
        return _("The port must be one of {ports}.").format(ports=", ".join(map(str, PORTS)))
    return ""


def _read_host(host: str) -> tuple[Address | None, str]:
    """The literal address that `host` is, or None for a name; and what is wrong with it."""
    if ":" in host:
        try:
            address = ip_address(host)
        except ValueError:
            return None, _("This is no IPv6 address.")
        if isinstance(address, IPv6Address) and address.scope_id:
            return None, _("This address is not on the public internet.")
        return address, ""
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            return ip_address(host), ""
        except ValueError:
            return None, _("Write an IPv4 address as four plain numbers, such as 93.184.216.34.")
    if not _NAME.fullmatch(host.removesuffix(".")):
        return None, _("This is no name of a host.")
    return None, ""


def _operator_allows(address: Address | None) -> bool:
    """Whether the operator opened the networks of `address`; a name may lead into any of them, dialling will tell."""
    networks = settings.WEBHOOK_ALLOWED_NETWORKS
    return is_among(address, networks) if address is not None else bool(networks)


def _inside_suffixes() -> tuple[str, ...]:
    return tuple(f".{name}" for name in _INSIDE)
