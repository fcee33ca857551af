"""SMPP 3.4 to an aggregator or a carrier: the account's agreement, and its receipts and messages read.

Spec: SMPP 3.4 issue 1.2; what carriers do beyond it: contracts/upstream/smpp.md. The form of a receipt's text is the
example of the specification's appendix B, which vendors follow freely: it is read by key, and TLVs win over it.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final, cast
from urllib.parse import urlsplit

from messaging.providers.base import (
    Callback,
    Capabilities,
    CredentialField,
    Credentials,
    DeliveryReport,
    InboundNotice,
    Notice,
    ReportStatus,
    Session,
    SessionAdapter,
    UnreadableCallback,
    UnusableCredentials,
    clip,
    e164_or_empty,
)
from messaging.providers.smpp import pdus
from messaging.providers.smpp.ids import as_answered
from messaging.providers.smpp.line import Address
from messaging.providers.smpp.pdus import Delivered, Garbage
from messaging.providers.smpp.session import Settings, SmppSession
from messaging.providers.smpp.texts import Alphabet, LongTexts, decode, without_header

# message_state and its word in a receipt's text: our status, whether it is final, and our code.
STATES: Final[dict[str, tuple[ReportStatus, bool, str]]] = {
    "SCHEDLD": ("sent", False, ""),
    "ENROUTE": ("sent", False, ""),
    "DELIVRD": ("delivered", True, ""),
    "EXPIRED": ("failed", True, "expired"),
    "DELETED": ("failed", True, "delivery_failed"),
    "UNDELIV": ("failed", True, "delivery_failed"),
    "ACCEPTD": ("sent", False, ""),
    "UNKNOWN": ("failed", True, "delivery_failed"),
    "REJECTD": ("failed", True, "rejected_by_network"),
    "SKIPPED": ("failed", True, "delivery_failed"),
}
_BY_NUMBER: Final = tuple(STATES)  # message_state 0 to 9
_KEY: Final = re.compile(r"(?:^|\s)(id|stat|err):\s*(\S*)", re.IGNORECASE)
_YES_NO: Final = ("yes", "no")


class Smpp(SessionAdapter):
    """Binds by the account's agreement; one process holds the bind, see messaging/sending/lines.py."""

    name = "smpp"
    label = "SMPP 3.4"
    can = Capabilities(batch_size=1, one_text_many=False, reports="pushed", lookup=False, idempotent=False)
    keeps_line = True
    url_schemes = ("smpp", "smpps")
    default_base_url = ""
    callback_kinds = ("delivery", "inbound")
    credential_fields = (
        CredentialField("system_id", "System ID", secret=False, required=True),
        CredentialField("password", "Password", secret=True, required=True),
        CredentialField("system_type", "System type", secret=False, required=False, help="Only where the carrier asks"),
        CredentialField(
            "binds", "Binds", secret=False, required=False, choices=("transceiver", "two"),
            help="two: a transmitter and a receiver, for carriers without transceivers",
        ),
        CredentialField("window", "Window", secret=False, required=False, help="Messages under way; empty: 10"),
        CredentialField(
            "long_messages", "Long messages", secret=False, required=False, choices=("udh", "sar", "payload"),
            help="Parts with a header in the text, parts with sar fields, or all of it in message_payload",
        ),
        CredentialField(
            "alphabet", "Plain alphabet", secret=False, required=False, choices=("gsm7", "latin1"),
            help="What data_coding 0 means at this carrier",
        ),
        CredentialField(
            "receipt_ids", "Ids in receipts", secret=False, required=False, choices=("same", "decimal", "hex"),
            help="Where receipts spell the id of the answer in another base",
        ),
        CredentialField(
            "short_code_ton", "Short code type", secret=False, required=False, choices=("3", "0", "6"),
            help="Type of number for short codes",
        ),
        CredentialField("service_type", "Service type", secret=False, required=False),
        CredentialField(
            "check_certificate", "Check the TLS certificate", secret=False, required=False, choices=_YES_NO
        ),
    )  # fmt: skip

    def open_session(self, credentials: Credentials, base_url: str) -> Session:
        try:
            return SmppSession(read_settings(credentials, base_url))
        except UnusableCredentials as error:
            return SmppSession(error)  # each message then says so

    def parse_callback(self, callback: Callback) -> list[Notice]:
        """A stored deliver_sm. Raises: UnreadableCallback."""
        try:
            found = pdus.read_deliver(callback.body)
        except Garbage as error:
            raise UnreadableCallback(f"This is no deliver_sm: {error}.") from None
        options = _options(callback.content_type)
        if not found.is_receipt:
            return [read_inbound(found, cast(Alphabet, options.get("alphabet", "gsm7")), options.get("at", ""))]
        return [read_receipt(found, options.get("receipt_ids", "same"))]


def read_settings(credentials: Credentials, base_url: str) -> Settings:
    """The agreement out of an account's values. Raises: UnusableCredentials."""
    parts = urlsplit(base_url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in Smpp.url_schemes or not host:
        raise UnusableCredentials("The address of an SMPP account is smpp://host:port, or smpps:// with TLS.")
    tls = parts.scheme == "smpps"
    window = credentials.text("window", "10")
    if not window.isdecimal() or not 1 <= int(window) <= 1000:
        raise UnusableCredentials("The window is a number from 1 to 1000.")
    settings = Settings(
        address=Address(host, port or (3550 if tls else 2775), tls, credentials.text("check_certificate") != "no"),
        system_id=credentials.required("system_id"),
        password=credentials.required("password"),
        system_type=credentials.text("system_type"),
        two_binds=credentials.text("binds") == "two",
        window=int(window),
        long_texts=cast(LongTexts, credentials.text("long_messages", "udh")),
        alphabet=cast(Alphabet, credentials.text("alphabet", "gsm7")),
        receipt_ids=credentials.text("receipt_ids", "same"),
        short_code_ton=int(credentials.text("short_code_ton", "3")),
        service_type=credentials.text("service_type"),
    )
    try:
        pdus.bind_body(system_id=settings.system_id, password=settings.password, system_type=settings.system_type)
    except ValueError as error:
        raise UnusableCredentials(f"System ID, password or system type: {error}.") from None
    return settings


def read_receipt(found: Delivered, receipt_ids: str) -> DeliveryReport:
    """What a delivery receipt says. Raises: UnreadableCallback where it names no message."""
    text = found.octets.decode("latin-1")
    said = {key.lower(): value for key, value in reversed(_KEY.findall(text))}  # of a key given twice the first holds
    by_tlv = found.tlvs.get(pdus.RECEIPTED_MESSAGE_ID, b"").rstrip(b"\x00").decode("latin-1")
    message_id = by_tlv or said.get("id", "")
    if not message_id:
        raise UnreadableCallback("The receipt names no message.")
    word = said.get("stat", "").upper()
    state = found.tlvs.get(pdus.MESSAGE_STATE, b"")
    if len(state) == 1 and state[0] < len(_BY_NUMBER):
        word = _BY_NUMBER[state[0]]
    status, final, code = STATES.get(word, ("sent", False, ""))
    error = said.get("err", "").strip("0")
    return DeliveryReport(
        provider_message_id=as_answered(message_id, receipt_ids),
        recipient=e164_or_empty(found.source),
        status=status,
        final=final,
        error_code=code,
        error_message=f"{word} err {said['err']}" if error and code else (word if code else ""),
        raw=clip(text),
    )


def read_inbound(found: Delivered, alphabet: Alphabet, when: str) -> InboundNotice:
    """What a person wrote; a part of a long text stands for itself. when: the ten minutes it came in.

    Raises: UnreadableCallback without a number.
    """
    octets, mark = found.octets, None  # mark: reference, total, place
    if found.esm_class & 0x40:
        octets, mark = without_header(octets)
    elif pdus.SAR_REFERENCE in found.tlvs:
        places = (found.tlvs.get(pdus.SAR_TOTAL, b"\x01"), found.tlvs.get(pdus.SAR_SEQUENCE, b"\x01"))
        total, place = (value[0] if value else 1 for value in places)
        mark = (int.from_bytes(found.tlvs[pdus.SAR_REFERENCE], "big"), total, place)
    sender = e164_or_empty(found.source)
    if not sender:
        raise UnreadableCallback("The message names no sender.")
    text = decode(octets, found.data_coding, alphabet)
    # The protocol gives it no id. One made of what it says and of when it came makes one that was sent again known.
    told = b"|".join(
        (found.source.encode(), found.destination.encode(), repr(mark).encode(), when.encode(), found.octets)
    )
    return InboundNotice(sender, found.destination, text, f"smpp-{blake2b(told, digest_size=12).hexdigest()}", raw=text)


def _options(content_type: str) -> Mapping[str, str]:
    pairs: Sequence[list[str]] = [part.strip().split("=", 1) for part in content_type.split(";")[1:]]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
