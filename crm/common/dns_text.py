"""TXT records, asked of the host's own resolver: enough to see whether a domain's email records are there."""

import secrets
import socket
import struct

SECONDS = 3.0
_TXT, _IN = 16, 1


class NoAnswer(Exception):
    """The resolver gave no usable answer; what is there is unknown."""


def text_records(name: str, *, servers: list[str] | None = None) -> list[str]:
    """The TXT records of a name, empty where it has none. Raises: NoAnswer."""
    query_id = secrets.randbelow(1 << 16)
    question = _name(name) + struct.pack("!HH", _TXT, _IN)
    packet = struct.pack("!HHHHHH", query_id, 0x0100, 1, 0, 0, 0) + question
    problem: Exception | None = None
    for server in servers if servers is not None else _resolvers():
        host, _, port = server.partition("#")
        for ask in (_by_udp, _by_tcp):  # a long answer is cut short on UDP
            try:
                answer = ask(packet, host, int(port or 53))
                if answer[:2] != packet[:2]:
                    raise NoAnswer("an answer to another question")
                if answer[2] & 0x02 and ask is _by_udp:
                    continue
                return _read(answer)
            except (OSError, struct.error, IndexError, NoAnswer) as error:
                problem = error
                break
    raise NoAnswer(f"no resolver answers for {name} ({problem})")


def _resolvers() -> list[str]:
    try:
        with open("/etc/resolv.conf") as lines:
            found = [words[1] for line in lines if (words := line.split()) and words[0] == "nameserver"]
    except OSError:
        found = []
    return [address.partition("%")[0] for address in found] or ["127.0.0.1"]


def _name(name: str) -> bytes:
    try:
        labels = [label.encode("idna") for label in name.rstrip(".").split(".")]
    except UnicodeError as error:
        raise NoAnswer(f"{name} is no name ({error})") from None
    if not all(0 < len(label) < 64 for label in labels):
        raise NoAnswer(f"{name} is no name")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _by_udp(packet: bytes, host: str, port: int) -> bytes:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        line.settimeout(SECONDS)
        line.connect((host, port))
        line.send(packet)
        return line.recv(65535)


def _by_tcp(packet: bytes, host: str, port: int) -> bytes:
    with socket.create_connection((host, port), timeout=SECONDS) as line:
        line.sendall(struct.pack("!H", len(packet)) + packet)
        length = struct.unpack("!H", _exactly(line, 2))[0]
        return _exactly(line, length)


def _exactly(line: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = line.recv(length - len(data))
        if not part:
            raise NoAnswer("the answer ends early")
        data += part
    return data


def _read(answer: bytes) -> list[str]:
    code = answer[3] & 0x0F
    if code not in (0, 3):  # 3: the name does not exist, so it has no records
        raise NoAnswer(f"the resolver refuses (code {code})")
    questions, answers = struct.unpack("!HH", answer[4:8])
    place = 12
    for _ in range(questions):
        place = _skip(answer, place) + 4
    found = []
    for _ in range(answers):
        place = _skip(answer, place)
        kind, _klass, _ttl, length = struct.unpack("!HHIH", answer[place : place + 10])
        place += 10
        if kind == _TXT:
            found.append(_texts(answer[place : place + length]))
        place += length
    return found


def _skip(answer: bytes, place: int) -> int:
    while answer[place]:
        if answer[place] & 0xC0:
            return place + 2
        place += 1 + answer[place]
    return place + 1


def _texts(data: bytes) -> str:
    parts, place = [], 0
    while place < len(data):
        parts.append(data[place + 1 : place + 1 + data[place]])
        place += 1 + data[place]
    return b"".join(parts).decode("utf-8", "replace")
