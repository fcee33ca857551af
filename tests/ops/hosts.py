"""Hosts in small: network namespaces of this machine on one bridge, each with an address of its own, to be cut off."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ops.installation import ROOT

PORT = 8000  # of every web process: each has an address of its own


def _ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)


class Host:
    """One namespace. Its processes see the bridge and nothing else of this machine."""

    def __init__(self, net: "Network", name: str, number: int) -> None:
        self.net, self.name = net, name
        self.space = f"{net.name}-{name}"
        self.outer = f"{net.name}{name}"[:15]  # the end of its cable at the bridge
        self.address = f"{net.prefix}.{number}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def plug_in(self) -> None:
        inner = f"{self.outer[:14]}i"
        for words in (
            ("netns", "add", self.space),
            ("link", "add", self.outer, "type", "veth", "peer", "name", inner),
            ("link", "set", inner, "netns", self.space),
            ("link", "set", self.outer, "master", self.net.name, "up"),
            ("-n", self.space, "addr", "add", f"{self.address}/24", "dev", inner),
            ("-n", self.space, "link", "set", inner, "up"),
            ("-n", self.space, "link", "set", "lo", "up"),
        ):
            done = _ip(*words)
            assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"

    def cut_off(self) -> None:
        """Pull its cable: what it sends is lost, and nobody is told."""
        assert _ip("link", "set", self.outer, "down").returncode == 0

    def bring_back(self) -> None:
        assert _ip("link", "set", self.outer, "up").returncode == 0

    def start(self, words: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
        """A process of this host, which also has a host name of its own."""
        name = f'hostname "{self.name}" && exec "$@"'
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.space, "unshare", "--uts", "sh", "-c", name, "sh", sys.executable, *words],
                cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)

    def unplug(self) -> None:
        _ip("netns", "del", self.space)  # which takes the cable with it


class Network:
    """A bridge that this machine and its hosts are on. `address` is this machine's."""

    def __init__(self) -> None:
        self.name = f"tsh{random.randint(100, 999)}"
        self.prefix = f"10.{random.randint(100, 250)}.{random.randint(1, 250)}"
        self.address = f"{self.prefix}.1"
        self.hosts: list[Host] = []

    def host(self, name: str) -> Host:
        found = Host(self, name, 10 + len(self.hosts))
        self.hosts.append(found)
        found.plug_in()
        return found


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A new bridge; skips the test where this is not permitted. Everything is gone at the end."""
    if not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("iproute2 or util-linux is not installed: no hosts in network namespaces")
    if os.geteuid():
        pytest.skip("only root may make network namespaces")
    net = Network()
    try:
        made = _ip("link", "add", net.name, "type", "bridge")
        if made.returncode:
            pytest.skip(f"network namespaces are not permitted here: {made.stderr.strip()}")
        for words in (("addr", "add", f"{net.address}/24", "dev", net.name), ("link", "set", net.name, "up")):
            assert _ip(*words).returncode == 0
        yield net
    finally:
        for host in net.hosts:
            host.bring_back()
        for host in net.hosts:
            host.stop()
        for host in net.hosts:
            host.unplug()
        _ip("link", "del", net.name)


@contextlib.contextmanager
def relay(address: str, to: tuple[str, int]) -> Iterator[int]:
    """Makes a server that listens on 127.0.0.1 alone reachable from the bridge; the port there."""
    with socket.create_server((address, 0)) as door:
        threading.Thread(target=_serve, args=(door, to), daemon=True).start()
        yield door.getsockname()[1]


def _serve(door: socket.socket, to: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):  # closed at the end of the test
        while True:
            near, _ = door.accept()
            far = socket.create_connection(to)
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pour, args=(source, target), daemon=True).start()


def _pour(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
