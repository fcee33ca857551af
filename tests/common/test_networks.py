"""The network that a number's prefix was given to (contracts/upstream/phone-numbers.md s2 and s3)."""

import pytest

from crm.common.networks import known_networks, likely_network, network_prefixes


@pytest.mark.parametrize(
    ("number", "network"),
    [
        ("+254712345678", "Safaricom"), ("+254110123456", "Safaricom"), ("+254100123456", "Airtel"),
        ("+254733123456", "Airtel"), ("+254770123456", "Telkom"), ("+254763123456", "Equitel"),
        ("+255754123456", "Vodacom"), ("+255621234567", "Halotel"), ("+256772123456", "MTN"),
        ("+221771234567", "Orange"), ("+2250712345678", "Orange"), ("+2250112345678", "Moov"),
        ("+250781234567", "MTN"), ("+251911234567", "Ethio Telecom"), ("+233241234567", "MTN"),
        ("+254747123456", ""), ("+14155550123", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_prefix_names_its_network(number, network):
    assert likely_network(number) == network


def test_every_prefix_of_a_network_leads_back_to_it():
    for network in known_networks():
        prefixes = network_prefixes(network)
        assert prefixes
        assert {likely_network(prefix + "000000") for prefix in prefixes} == {network}
