"""Where a request comes from: only our own proxies are believed (GUARANTEES.md L1)."""

import pytest
from django.test import RequestFactory

from crm.common.addresses import client_address, is_within, normalize_network


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "expected"),
    [
        (0, "192.0.2.1", None, "192.0.2.1"),
        (0, "192.0.2.1", "10.0.0.1", "192.0.2.1"),
        (1, "192.0.2.1", "10.0.0.1, 198.51.100.7", "198.51.100.7"),
        (2, "192.0.2.1", "10.0.0.1, 198.51.100.7, 203.0.113.9", "198.51.100.7"),
        (2, "192.0.2.1", "198.51.100.7", ""),
        (1, "192.0.2.1", None, ""),
        (1, "192.0.2.1", "not an address", ""),
        (0, "::ffff:192.0.2.1", None, "192.0.2.1"),
        (0, "", None, ""),
    ],
)
def test_L1_the_address_is_what_a_trusted_hop_saw(settings, proxies, peer, forwarded, expected):
    settings.TRUSTED_PROXY_COUNT = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer)) == expected


@pytest.mark.parametrize(
    ("address", "networks", "expected"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8", "11.1.2.3"], True),
        ("11.1.2.4", ["10.0.0.0/8", "11.1.2.3"], False),
        ("2001:db8::5", ["2001:db8::/32"], True),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("", ["0.0.0.0/0"], False),
        ("10.1.2.3", [], False),
    ],
)
def test_an_address_lies_in_a_list_of_networks(address, networks, expected):
    assert is_within(address, networks) is expected


@pytest.mark.parametrize("text", ["", "10.0.0.300", "10.0.0.0/33", "example.org"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError):
        normalize_network(text)
