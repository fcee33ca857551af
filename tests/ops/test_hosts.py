"""Several hosts on one PostgreSQL and one broker; one is cut off in the middle of a campaign and brought back.

Each host is a network namespace with a web process, a main worker that offers to keep the schedule, and a heavy worker.
"""

import json
import os
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from kombu import Connection

from tests import network_guard
from tests.ops import hosts
from tests.ops.installation import manage, own_environment, wait_for
from tests.ops.servers import Postgres, postgres, redis

RECIPIENTS = 6000
RATE = 100  # messages a second of the provider account, over both hosts
CUT_SECONDS = 35  # longer than a silent process is believed to live, so that the other host takes its work
IN_FLIGHT = 256  # SENDING_SLOTS: what one host may have had in the air when it was cut off
CONNECT = """
from messaging.models import ProviderAccount, SendingHours
from messaging.services.providers import connect_provider, add_route
SendingHours.objects.all().delete()  # the test runs at all hours
account = connect_provider(name="Carrier", adapter="africastalking", base_url={url!r},
    credentials={{"username": "sandbox", "api_key": "sandbox"}})
ProviderAccount.objects.filter(pk=account.pk).update(rate_per_second={rate})
add_route(account=account)
print("TOKEN", account.callback_token)
"""


class Site:
    """An installation over several hosts."""

    def __init__(self, folder: Path, net: hosts.Network, database: Postgres, broker: str, cache: str) -> None:
        self.folder, self.net, self.database = folder, net, database
        self.carrier, self.first, self.second = (net.host(name) for name in ("carrier", "first", "second"))
        for host in net.hosts:
            network_guard.SERVERS.add((host.address, hosts.PORT))
        self.settings = {
            "DATABASE_URL": database.url, "CELERY_BROKER_URL": broker, "CACHE_URL": cache,
            "PUBLIC_URL": f"http://{self.first.address}:{hosts.PORT}",
            "ALLOWED_HOSTS": f"{self.first.address},{self.second.address}",
            "SECRET_KEY": secrets.token_urlsafe(60), "ENCRYPTION_KEY": Fernet.generate_key().decode(),
            "EMAIL_URL": "consolemail://", "MEDIA_ROOT": str(folder / "media"), "TEST_RUN": net.name,
        }  # fmt: skip

    def prepare(self) -> dict[str, Any]:
        """The tables, the carrier as the only road, and a client with a key."""
        log = self.folder / "carrier.log"
        options = ["--host", self.carrier.address, "--port", str(hosts.PORT), "--data", str(self.folder / "sandbox.db")]
        self.carrier.start(["-m", "crm.sandbox", *options], own_environment(self.folder), log)
        self.run("prepare")
        self.run("shell", "-c", "from crm.static_files import collect_if_changed; collect_if_changed()")
        setup = CONNECT.format(url=f"http://{self.carrier.address}:{hosts.PORT}", rate=RATE)
        token = self.run("shell", "-c", setup).partition("TOKEN ")[2].split()[0]
        wait_for(lambda: self.carrier_says("health"), 30, "the carrier answers")
        reports = f"{self.settings['PUBLIC_URL']}/callbacks/africastalking/{token}/delivery"
        self.tell_carrier("callbacks", username="*", delivery=reports, optout="")
        self.tell_carrier("faults", username="*", report_delay=0.5, intermediate_reports=0)
        made = self.run(
            "createclient", "--name", "Acme", "--email", "amina@acme.test", "--password", secrets.token_hex(12),
            "--credit", str(RECIPIENTS * 2), "--price-per-unit", "1", "--sender-id", "ACME", "--rate-limit", "6000",
            "--json",
        )  # fmt: skip
        return dict(json.loads(made.splitlines()[-1]))

    def start(self, host: hosts.Host) -> None:
        environment = own_environment(self.folder, **self.settings)  # a shared folder, as MEDIA_ROOT has to be
        for words in (
            ["manage.py", "web", "--host", host.address, "--port", str(hosts.PORT), "--workers", "1"],
            ["manage.py", "worker", "--queue", "main"],
            ["manage.py", "worker", "--queue", "heavy"],
        ):
            host.start(words, environment, self.folder / f"{host.name}.log")

    def run(self, *words: str) -> str:
        done = manage(self.folder, *words, **self.settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def carrier_says(self, path: str) -> Any:
        return _ask("GET", f"http://{self.carrier.address}:{hosts.PORT}/sandbox/{path}")

    def tell_carrier(self, path: str, **values: Any) -> None:
        answer = _ask("PUT", f"http://{self.carrier.address}:{hosts.PORT}/sandbox/{path}", values)
        assert answer is not None

    def call(self, host: hosts.Host, client: dict[str, Any], method: str, path: str, body: Any = None) -> Any:
        url = f"http://{host.address}:{hosts.PORT}/api/{client['client_id']}/{path}"
        return _ask(method, url, body, {"X-API-KEY": client["api_key"]})

    def arrived(self) -> int:
        return int(self.carrier_says("stats")["accepted_messages"])

    def count(self, where: str) -> int:
        return int(self.database.ask(f"SELECT count(*) FROM messaging_message WHERE {where}"))

    def keeper(self) -> str:
        """The host that keeps the schedule now, "" where nobody does."""
        sql = "SELECT owner FROM crm_lease WHERE name = 'schedule' AND until > now()"
        return str(self.database.ask(sql) or "").partition(":")[0]


def _ask(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    """The JSON answer; None where nobody answers."""
    request = urllib.request.Request(
        url, data=None if body is None else json.dumps(body).encode(), method=method,
        headers={"Content-Type": "application/json", **(headers or {})},
    )  # fmt: skip
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 409 and (seconds := error.headers.get("Retry-After")):  # its recipients are being counted
            time.sleep(int(seconds))
            return _ask(method, url, body, headers)
        raise AssertionError(f"{method} {url}: {error.code} {error.read().decode()[:500]}") from None
    except OSError:
        return None


@pytest.fixture(params=["redis", "rabbitmq"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    known = set(network_guard.SERVERS)
    with ExitStack() as stack:
        net = stack.enter_context(hosts.network())
        database = stack.enter_context(postgres(net.address, f"{net.prefix}.0/24"))
        server = f"redis://{net.address}:{stack.enter_context(redis(net.address))}"
        broker = stack.enter_context(rabbitmq(net)) if request.param == "rabbitmq" else f"{server}/0"
        try:
            yield Site(tmp_path, net, database, broker, f"{server}/1")
        finally:
            for host in net.hosts:
                host.bring_back()
                host.stop()
            network_guard.SERVERS.clear()
            network_guard.SERVERS.update(known)


@contextmanager
def rabbitmq(net: hosts.Network) -> Iterator[str]:
    """The RabbitMQ of this machine as the bridge sees it. Its queues of this test are removed at the end."""
    near = os.environ.get("RABBITMQ_URL", "amqp://127.0.0.1:5672")  # as guest
    parts = urlsplit(near)
    place = (parts.hostname or "127.0.0.1", parts.port or 5672)
    try:
        socket.create_connection(place, timeout=3).close()
    except OSError:
        pytest.skip(f"there is no RabbitMQ at {place[0]}:{place[1]}; RABBITMQ_URL names another")
    with hosts.relay(net.address, place) as port:
        known = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        yield f"amqp://{known}{net.address}:{port}//"
    with Connection(near) as broker:
        for queue in (f"tarishi{net.name}", f"tarishi{net.name}-heavy"):
            broker.default_channel.queue_delete(queue)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_host_that_is_cut_off_in_a_campaign_and_comes_back_loses_nothing_and_doubles_nothing(site: Site) -> None:
    acme = site.prepare()
    site.start(site.second)
    wait_for(lambda: site.keeper() == "second", 90, "the second host keeps the schedule")
    site.start(site.first)
    wait_for(lambda: _ask("GET", f"{site.settings['PUBLIC_URL']}/api/health/ready"), 90, "the first host serves")
    numbers = [f"+2547{11_000_000 + number}" for number in range(RECIPIENTS)]
    draft = site.call(site.first, acme, "POST", "campaigns", {
        "name": "Cut", "message": "Habari {phone}", "recipients": numbers,
    })["data"]  # fmt: skip
    site.call(site.first, acme, "POST", f"campaigns/{draft['id']}/send", {})
    wait_for(lambda: senders(site) == {"first", "second"}, 60, "both hosts send")
    wait_for(lambda: site.arrived() > RECIPIENTS // 6, 60, "a sixth has left")

    site.second.cut_off()
    cut_at, had = time.monotonic(), site.arrived()
    wait_for(lambda: site.keeper() == "first", 60, "the first host takes the schedule over")
    extra = {"channel": "sms", "recipient": "+254722000101", "sender": "ACME", "body": "Meanwhile"}
    site.call(site.first, acme, "POST", "messages/send", extra)
    wait_for(lambda: site.arrived() > had + RECIPIENTS // 6, 120, "the first host goes on sending alone")
    time.sleep(max(0.0, CUT_SECONDS - (time.monotonic() - cut_at)))
    site.second.bring_back()

    waiting = "status NOT IN ('sent', 'delivered')"
    wait_for(lambda: site.count("true") == RECIPIENTS + 1 and not site.count(waiting), 240, "everything has left")
    books(site, acme, {*numbers, extra["recipient"]})

    site.first.stop()  # so that only the second can do what follows
    late = {"channel": "sms", "recipient": "+254722000102", "sender": "ACME", "body": "Afterwards"}
    wait_for(lambda: _ask("GET", f"http://{site.second.address}:{hosts.PORT}/api/health/ready"), 90, "it is back")
    site.call(site.second, acme, "POST", "messages/send", late)
    wait_for(lambda: late["recipient"] in at_the_carrier(site), 90, "the second host sends what it is given")
    assert site.carrier_says("stats")["duplicates"] == 0


def senders(site: Site) -> set[str]:
    """The hosts whose sending loops gave a sign of life just now."""
    sql = "SELECT array_agg(owner) FROM messaging_sendingprocess WHERE seen_at > now() - interval '10 s'"
    return {owner.partition(":")[0] for owner in site.database.ask(sql) or ()}


def at_the_carrier(site: Site) -> list[str]:
    """The number of each message that the carrier took, one that came twice twice."""
    return [row["number"] for row in site.carrier_says("messages?limit=100000")]


def books(site: Site, acme: dict[str, Any], meant: set[str]) -> None:
    """Nothing lost, nothing twice, and the money is that of what was accepted."""
    taken = at_the_carrier(site)
    assert site.carrier_says("stats")["duplicates"] == 0
    assert len(taken) == len(set(taken))
    assert set(taken) <= meant
    with site.database.connect() as server:
        rows = server.execute("SELECT recipient, unconfirmed FROM messaging_message").fetchall()
    assert {number for number, _ in rows} == meant
    assert len(rows) == len(meant)
    # What was in the air at the cut may not have arrived. It says so of itself, and is not sent again (D5).
    missing = meant - set(taken)
    assert missing <= {number for number, unconfirmed in rows if unconfirmed}
    assert len(missing) <= IN_FLIGHT
    assert site.call(site.first, acme, "GET", "client/balance")["balance"] == RECIPIENTS * 2 - len(meant)
    site.run("reconcile")  # exits 1 at any difference
