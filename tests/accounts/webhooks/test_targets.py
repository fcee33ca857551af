"""Where a webhook may go (W5): 46 hostile spellings refused when entered and when dialled, and no way round it."""

import socket

import pytest

from accounts.delivery import loop, targets
from accounts.delivery.targets import check_webhook_url, may_dial
from accounts.models import DeliveryState
from accounts.services.events import record_events
from crm.common import tracing
from crm.common.errors import InvalidInput
from crm.common.public_addresses import is_public, read_dialled
from crm.common.transfers import Transfers
from tests.accounts.webhooks.conftest import attempts, deliver, deliveries, make_endpoint, plant

HOSTILE = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "0177.0.0.1", "017700000001",
    "0", "0.0.0.0", "127.0.0.1.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
    "[2002:a00:1::1]", "[2001:0:7f00:1::80ff:fffe]", "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fd12:3456::1]",
    "[ff02::1]", "[2001:db8::1]", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "[::ffff:169.254.169.254]", "100.64.0.1", "198.18.0.1", "192.0.0.8", "224.0.0.1", "255.255.255.255",
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "metadata.internal", "printer.local", "db",
]  # fmt: skip
LOOKED_UP = ("a.localhost", "metadata.internal", "printer.local", "db")  # would ask a name server
SHAPES = [
    "", " ", "https://", "https:///h", "//example.com/h", "example.com/h", "ftp://example.com/h", "file:///etc/passwd",
    "gopher://example.com/", "javascript:alert(1)", "https:example.com", "https://user@example.com/h",
    "https://user:pass@example.com/h", "https://example.com@127.0.0.1/h", "https://127.0.0.1\\@example.com/h",
    "https://example.com#@127.0.0.1/h", "https://exa mple.com/h", "https://example.com/\r\nX-Evil: 1",
    "https://example.com/\x00", "https://exämple.com/h", "https://①②⑦.⓪.⓪.①/h", "https://127。0。0。1/h",
    "https://%31%32%37.0.0.1/h", "https://[::1/h", "https://::1/h", "https://1.2.3.4.5/h", "https://256.1.1.1/h",
    "https://example.com:22/h", "https://example.com:0/h", "https://example.com:99999/h", "https://example.com:x/h",
    "https://-example.com/h", "https://exa_mple..com/h", "http://example.com/h", f"https://example.com/{'x' * 500}",
]  # fmt: skip


def test_there_are_at_least_46_hostile_spellings():
    assert len(set(HOSTILE)) >= 46


@pytest.mark.parametrize("host", HOSTILE)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_W5_a_hostile_host_is_refused_when_it_is_entered(settings, host, scheme):
    settings.WEBHOOK_ALLOW_HTTP = True
    with pytest.raises(InvalidInput):
        check_webhook_url(f"{scheme}://{host}/h")


@pytest.mark.parametrize("url", SHAPES)
def test_W5_a_hostile_shape_is_refused_when_it_is_entered(url):
    with pytest.raises(InvalidInput) as refusal:
        check_webhook_url(url)
    assert refusal.value.errors["url"][0]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/h", "https://example.com", "https://a-b.example.co.ke:8443/x?y=z&a=%20", "HTTPS://Example.COM/",
        "https://93.184.216.34/h", "https://[2606:2800:220:1:248:1893:25c8:1946]/h", "https://xn--exmple-cua.com:443/",
        "https://example.com./h", "https://_hooks.example.com/h",
    ],
)  # fmt: skip
def test_W5_a_public_address_is_taken(url):
    assert check_webhook_url(f" {url} ") == url


def test_W5_plain_http_is_the_operators_choice(settings):
    with pytest.raises(InvalidInput, match="https"):
        check_webhook_url("http://example.com/h")
    assert not may_dial("http://example.com/h", ("93.184.216.34", 80))
    settings.WEBHOOK_ALLOW_HTTP = True
    assert check_webhook_url("http://example.com/h")
    assert may_dial("http://example.com/h", ("93.184.216.34", 80))


def test_W5_the_operator_may_open_a_network_and_only_that_one(settings):
    settings.WEBHOOK_ALLOWED_NETWORKS = ["10.1.0.0/16", "fd00::/8"]
    for url in ("http://10.1.2.3:9000/h", "https://[fd00::5]:9000/h", "http://receiver:9000/h"):
        assert check_webhook_url(url) == url
    for url in ("http://10.2.0.1/h", "https://127.0.0.1/h", "http://user@10.1.2.3/h", "http://10.1.2.3:0/h"):
        with pytest.raises(InvalidInput):
            check_webhook_url(url)
    assert may_dial("http://receiver:9000/h", ("10.1.2.3", 9000))
    assert may_dial("http://receiver:9000/h", ("::ffff:10.1.2.3", 9000))
    assert not may_dial("http://receiver:9000/h", ("10.2.0.1", 9000))
    assert not may_dial("http://receiver:9000/h", ("93.184.216.34", 80))


@pytest.mark.parametrize("port", [22, 25, 6379, 5432, 0, 8081])
def test_W5_other_ports_are_not_dialled(port):
    assert not may_dial("https://example.com/h", ("93.184.216.34", port))


@pytest.mark.parametrize("text", ["", "x", "fe80::1%eth0", "::ffff:127.0.0.1", "169.254.169.254", "64:ff9b::a00:1"])
def test_what_is_no_public_address_is_not_dialled(text):
    assert not may_dial("https://example.com/h", (text, 443))


def test_every_address_that_special_networks_hold_is_known():
    for text in (
        "8.8.8.8",
        "1.1.1.1",
        "41.90.0.1",
        "2a00:1450::1",
        "2606:4700::1111",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
    ):
        assert is_public(read_dialled(text)), text
    for text in ("192.0.2.1", "203.0.113.9", "240.0.0.1", "100::1", "2001:10::1", "3fff::1", "5f00::1", "::2"):
        assert not is_public(read_dialled(text)), text


@pytest.fixture
def only_the_address_decides(receiver, settings, monkeypatch):
    """Plain HTTP and the receiver's port are allowed, so that nothing else stops the request."""
    settings.WEBHOOK_ALLOW_HTTP = True
    monkeypatch.setattr(targets, "PORTS", (*targets.PORTS, receiver.port))


@pytest.mark.usefixtures("only_the_address_decides")
@pytest.mark.parametrize("host", [host for host in HOSTILE if host not in LOOKED_UP])
def test_W5_no_hostile_spelling_is_dialled(receiver, host):
    url = f"http://{host}:{receiver.port}/ok"
    transfers = Transfers(limits=loop.LIMITS)
    transfers.start(loop.Sending(None, url, tracing.begin("webhook delivery", {})), "POST", url, (), b"{}")
    ended = []
    while transfers:
        ended += [end for _, end in transfers.ended()]
        transfers.wait(0.05)
    transfers.close()
    assert [end.kind for end in ended] == ["unsent"]
    assert receiver.got == []


@pytest.mark.django_db(transaction=True)
class TestDialling:
    """The URL check is passed by: as if the name had led to a public address when it was entered (rebinding)."""

    def attempt(self, acme, url):
        endpoint = plant(acme, url)
        record_events(acme.pk, [("topup.failed", {"transaction_id": "T"})])
        deliver()
        (row,) = deliveries(endpoint)
        assert row.state == DeliveryState.WAITING
        return attempts(row)[0]

    @pytest.mark.usefixtures("only_the_address_decides")
    def test_W5_a_name_that_now_leads_to_this_machine_is_refused_with_the_reason(self, acme, receiver):
        name = socket.gethostname() if socket.gethostbyname(socket.gethostname()).startswith("127.") else "localhost"
        found = self.attempt(acme, receiver.url(host=name))
        assert receiver.got == []
        assert "not on the public internet" in found.problem
        assert "127.0.0.1" in found.problem or "::1" in found.problem

    def test_W5_a_redirect_to_a_private_address_is_not_followed(self, acme, receiver, settings):
        settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        found = self.attempt(acme, receiver.url(f"/redirect?to={receiver.url('/ok/secret')}"))
        assert found.status == 302
        assert "redirect" in found.problem
        assert [got.path.partition("?")[0] for got in receiver.got] == ["/redirect"]

    def test_W5_no_proxy_of_the_environment_is_used(self, acme, receiver, settings, monkeypatch):
        settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        make_endpoint(acme, receiver.url())
        record_events(acme.pk, [("topup.failed", {"transaction_id": "T"})])
        deliver()
        assert len(receiver.got) == 1
