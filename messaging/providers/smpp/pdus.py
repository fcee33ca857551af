"""SMPP 3.4 on the wire: building and reading PDUs. Pure; knows no socket and no message of ours.

Spec: Short Message Peer to Peer Protocol 3.4, issue 1.2. Only what an ESME (a sender's side) needs.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

BIND_RECEIVER: Final = 0x01
BIND_TRANSMITTER: Final = 0x02
SUBMIT_SM: Final = 0x04
DELIVER_SM: Final = 0x05
UNBIND: Final = 0x06
BIND_TRANSCEIVER: Final = 0x09
ENQUIRE_LINK: Final = 0x15
GENERIC_NACK: Final = 0x80000000
RESPONSE: Final = 0x80000000  # the bit that makes a command its answer

OK: Final = 0x00
INVALID_COMMAND: Final = 0x03
INVALID_BODY: Final = 0x02
THROTTLED: Final = 0x58
QUEUE_FULL: Final = 0x14

SAR_REFERENCE: Final = 0x020C
SAR_TOTAL: Final = 0x020E
SAR_SEQUENCE: Final = 0x020F
MESSAGE_PAYLOAD: Final = 0x0424
RECEIPTED_MESSAGE_ID: Final = 0x001E
MESSAGE_STATE: Final = 0x0427
NETWORK_ERROR_CODE: Final = 0x0423

HEADER: Final = struct.Struct(">IIII")
LONGEST: Final = 70_000  # octets of a PDU: 64 KiB of message_payload and room for the rest
LAST_SEQUENCE: Final = 0x7FFFFFFF


class Garbage(ValueError):
    """Octets that are no SMPP."""


@dataclass(frozen=True, slots=True)
class Pdu:
    """One protocol unit."""

    command: int
    status: int
    sequence: int
    body: bytes = b""

    def pack(self) -> bytes:
        return HEADER.pack(16 + len(self.body), self.command, self.status, self.sequence) + self.body

    def answer(self, body: bytes = b"", status: int = OK) -> "Pdu":
        """The response to this one."""
        return Pdu(self.command | RESPONSE, status, self.sequence, body)


class Reader:
    """Cuts a stream of octets into PDUs."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Pdu]:
        """The PDUs that are whole now. Raises: Garbage, after which the connection is of no use."""
        self._buffer += data
        while len(self._buffer) >= 16:
            length, command, status, sequence = HEADER.unpack_from(self._buffer)
            if not 16 <= length <= LONGEST:
                raise Garbage(f"a PDU of {length} octets")
            if len(self._buffer) < length:
                return
            body = bytes(self._buffer[16:length])
            del self._buffer[:length]
            yield Pdu(command, status, sequence, body)


def text_field(value: str, most: int) -> bytes:
    """A C-octet string of at most `most` octets and its NUL. Raises: ValueError."""
    octets = value.encode("latin-1")  # UnicodeEncodeError is a ValueError
    if b"\x00" in octets or len(octets) > most:
        raise ValueError(f"a value of at most {most} plain characters is needed")
    return octets + b"\x00"


def bind_body(*, system_id: str, password: str, system_type: str) -> bytes:
    return (
        text_field(system_id, 15)
        + text_field(password, 64)  # 8 by the specification; carriers hand out longer ones
        + text_field(system_type, 12)
        + bytes((0x34, 0, 0))
        + b"\x00"
    )


def tlv(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


@dataclass(frozen=True, slots=True)
class Part:
    """What one submit_sm carries of a text."""

    octets: bytes
    data_coding: int
    has_header: bool = False  # the octets begin with a user data header
    tlvs: bytes = b""
    in_payload: bool = False


def submit_body(
    *,
    source: str,
    source_kind: tuple[int, int],
    destination: str,
    part: Part,
    service_type: str = "",
    validity: str = "",
    receipt: bool = True,
) -> bytes:
    """source_kind: type of number and numbering plan. destination: digits with the country code, no plus."""
    octets = b"" if part.in_payload else part.octets
    return b"".join(
        (
            text_field(service_type, 5),
            bytes(source_kind),
            text_field(source, 20),
            b"\x01\x01",
            text_field(destination, 20),
            bytes((0x40 if part.has_header else 0, 0, 0)),
            b"\x00",
            text_field(validity, 16),
            bytes((1 if receipt else 0, 0, part.data_coding, 0, len(octets))),
            octets,
            part.tlvs,
            tlv(MESSAGE_PAYLOAD, part.octets) if part.in_payload else b"",
        )
    )


@dataclass(frozen=True, slots=True)
class Delivered:
    """The body of a deliver_sm. `octets`: of short_message, or of message_payload."""

    source: str
    destination: str
    esm_class: int
    data_coding: int
    octets: bytes
    tlvs: dict[int, bytes]

    @property
    def is_receipt(self) -> bool:
        return bool(self.esm_class & 0x24)


def read_deliver(body: bytes) -> Delivered:
    """Raises: Garbage."""
    try:
        _, at = _read_text(body, 0)
        source, at = _read_text(body, at + 2)
        destination, at = _read_text(body, at + 2)
        esm_class, at = body[at], at + 3
        _, at = _read_text(body, at)
        _, at = _read_text(body, at)
        data_coding, length = body[at + 2], body[at + 4]
        at += 5
        octets = body[at : at + length]
        if len(octets) < length:
            raise Garbage("a text that ends too early")
        tlvs = _read_tlvs(body, at + length)
    except (IndexError, struct.error):
        raise Garbage("a deliver_sm that ends too early") from None
    return Delivered(source, destination, esm_class, data_coding, octets or tlvs.get(MESSAGE_PAYLOAD, b""), tlvs)


def read_message_id(body: bytes) -> str:
    """The id in a submit_sm_resp, "" where there is none."""
    return body.split(b"\x00", 1)[0].decode("latin-1").strip()


def _read_text(body: bytes, at: int) -> tuple[str, int]:
    end = body.find(b"\x00", at)
    if end < 0:
        raise Garbage("a value without its end")
    return body[at:end].decode("latin-1"), end + 1


def _read_tlvs(body: bytes, at: int) -> dict[int, bytes]:
    found = {}
    while at + 4 <= len(body):
        tag, length = struct.unpack_from(">HH", body, at)
        found[tag] = body[at + 4 : at + 4 + length]
        at += 4 + length
    return found
