"""A certificate authority of a test, and a door with TLS before a server that has none."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_authority(folder: Path) -> tuple[Path, Path]:
    """(the authority's certificate, the server's chain with its key) for 127.0.0.1, signed by the authority alone."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])

    def certificate(subject: x509.Name, public: ec.EllipticCurvePublicKey, is_ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if not is_ca:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    authority = certificate(ca_name, ca_key.public_key(), True)
    server = certificate(name, key.public_key(), False)
    pem = serialization.Encoding.PEM
    ca_file, chain = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(authority.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(private + server.public_bytes(pem))
    return ca_file, chain


class Door:
    """Takes TLS and passes on what is said in it. starttls: in the clear first, as a mail server on port 587."""

    def __init__(self, chain: Path, port: int, *, starttls: bool = False) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(chain)
        self._port, self._starttls = port, starttls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.encrypted = 0  # connections that got as far as TLS
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), socket.create_connection(("127.0.0.1", self._port)) as server:
            if self._starttls and not self._ask_for_tls(client, server):
                return
            wrapped = self._context.wrap_socket(client, server_side=True)
            self.encrypted += 1
            back = threading.Thread(target=_pump, args=(server, wrapped), daemon=True)
            back.start()
            _pump(wrapped, server)
            back.join(timeout=5)

    @staticmethod
    def _ask_for_tls(client: socket.socket, server: socket.socket) -> bool:
        """The greeting and EHLO in the clear, with STARTTLS offered beside what the server offers."""
        said, heard = server.makefile("rb"), client.makefile("rb")
        client.sendall(said.readline())
        while line := heard.readline():
            if line.strip().upper() == b"STARTTLS":
                client.sendall(b"220 Go ahead\r\n")
                return True
            server.sendall(line)
            while (answer := said.readline())[3:4] == b"-":
                client.sendall(answer)
            if line.upper().startswith(b"EHLO"):
                client.sendall(answer[:3] + b"-STARTTLS\r\n")
            client.sendall(answer)
        return False

    def close(self) -> None:
        self._listener.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def door(chain: Path, port: int, *, starttls: bool = False) -> Iterator[Door]:
    made = Door(chain, port, starttls=starttls)
    try:
        yield made
    finally:
        made.close()
