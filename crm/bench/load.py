"""A small load client: single sends over kept connections, and how long each answer took.

    python -m crm.bench.load http://127.0.0.1:8000 CLIENT_ID --connections 16 --seconds 10

The key comes from TARISHI_API_KEY; its client needs a limit far above 600 calls a minute. Loopback addresses only: it
measures this machine and asks nothing of others.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True)
class Tally:
    """statuses: HTTP status → answers; waits: seconds of each answer."""

    statuses: dict[int, int] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)

    def add(self, status: int, seconds: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.waits.append(seconds)

    def quantile(self, part: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.waits)
        return 1000 * ordered[min(int(part * len(ordered)), len(ordered) - 1)] if ordered else 0.0


async def send_until(
    deadline: float,
    host: str,
    port: int,
    path: str,
    key: str,
    first: int,
    tally: Tally,
    body_of: Callable[[int], dict[str, Any]],
) -> None:
    """Sends on one connection, one after the other, each to another number and with an Idempotency-Key of its own."""
    reader, writer = await asyncio.open_connection(host, port)
    number, run = first, time.time_ns()
    try:
        while time.perf_counter() < deadline:
            number += 1
            body = json.dumps(body_of(number % 10**8)).encode()
            head = (
                f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nX-API-Key: {key}\r\n"
                f"Idempotency-Key: {run}-{number}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            began = time.perf_counter()
            writer.write(head.encode() + body)
            told = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(told.partition("content-length:")[2].partition("\r\n")[0])
            await reader.readexactly(length)
            tally.add(int(told.split(" ", 2)[1]), time.perf_counter() - began)
    finally:
        writer.close()
        await writer.wait_closed()


def single(number: int) -> dict[str, Any]:
    """The body of a single send."""
    return {"channel": "sms", "recipient": f"07{number:08d}", "body": f"Your order {number} is ready"}


async def measure(url: str, client_id: int, key: str, connections: int, seconds: float) -> Tally:
    """All connections at once. Raises: OSError, and what asyncio raises where a connection breaks."""
    return await measure_posts(f"{url}/api/{client_id}/messages/send", connections, seconds, single, key)


async def measure_posts(
    url: str, connections: int, seconds: float, body_of: Callable[[int], dict[str, Any]], key: str = ""
) -> Tally:
    """The same to any address; body_of: a number below 10**8 → what is posted."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 80
    if not ip_address("127.0.0.1" if host == "localhost" else host).is_loopback:
        raise ValueError("only this machine is measured")
    tally, deadline = Tally(), time.perf_counter() + seconds
    span = 10**8 // connections
    start = int(time.time()) % span
    await asyncio.gather(
        *(
            send_until(deadline, host, port, address.path, key, turn * span + start, tally, body_of)
            for turn in range(connections)
        )
    )
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crm.bench.load")
    parser.add_argument("url")
    parser.add_argument("client_id", type=int)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    asked = parser.parse_args()
    key = os.environ["TARISHI_API_KEY"]
    tally = asyncio.run(measure(asked.url, asked.client_id, key, asked.connections, asked.seconds))
    accepted = tally.statuses.get(200, 0)
    sys.stdout.write(
        f"{accepted / asked.seconds:.0f} accepted a second over {asked.connections} connections; "
        f"p50 {tally.quantile(0.5):.0f} ms, p95 {tally.quantile(0.95):.0f} ms; answers {tally.statuses}\n"
    )
    return 0 if accepted and len(tally.statuses) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
