"""The network that a number's prefix was given to (contracts/upstream/phone-numbers.md s2 and s3)."""

import re

import pytest

from crm.common.networks import (
    known_networks,
    likely_network,
    network_prefixes,
    networks_of,
    ranges_of,
    read_ranges,
    use_ranges,
)


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


def test_ranges_are_read_by_line():
    assert read_ranges(" Safaricom:  700-729 740 \n\nFaiba: 747\n") == [
        ("Safaricom", "700-729 740-740"),
        ("Faiba", "747-747"),
    ]
    assert read_ranges("") == []


@pytest.mark.parametrize(
    "line", ["Safaricom", "Safaricom: 70-72", "Safaricom: 729-700", ": 700", "A: 700, 701", "x" * 41 + ": 700"]
)
def test_a_line_that_is_none_is_named(line):
    with pytest.raises(ValueError, match="^" + re.escape(line) + "$"):
        read_ranges("Faiba: 747\n" + line)


def test_what_the_back_office_says_takes_the_place_of_a_country_alone():
    use_ranges({"KE": [("Faiba", "747-747")]})
    try:
        assert (likely_network("+254747123456"), likely_network("+254712345678")) == ("Faiba", "")
        assert likely_network("+255754123456") == "Vodacom"
        assert networks_of("KE") == ["Faiba"]
    finally:
        use_ranges({})
    assert likely_network("+254712345678") == "Safaricom"
    assert len(ranges_of("KE")) == 4
