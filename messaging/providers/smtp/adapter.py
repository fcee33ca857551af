"""Email by SMTP, to the operator's own mail server or a company's relay.

Spec: RFC 5321 and those named in the modules beside. What comes back later, as mail, is posted to the `bounce`
callback; `manage.py takebounce` does that for a mail server's pipe.
"""

from typing import Final
from urllib.parse import urlsplit

from messaging.providers.base import (
    Callback,
    Capabilities,
    CredentialField,
    Credentials,
    Notice,
    Session,
    SessionAdapter,
    UnusableCredentials,
)
from messaging.providers.smtp.bounces import read_bounce
from messaging.providers.smtp.connection import NotConnected, Server, sign_in
from messaging.providers.smtp.session import SmtpSession

_YES_NO: Final = ("yes", "no")


class Smtp(SessionAdapter):
    """Several kept connections; replies of the mail server are outcomes, bounces are reports."""

    name = "smtp"
    label = "Email (SMTP)"
    can = Capabilities(batch_size=1, one_text_many=False, reports="pushed", lookup=False, idempotent=False)
    channels = ("email",)
    url_schemes = ("smtp", "smtps")
    default_base_url = ""
    callback_kinds = ("bounce",)
    callback_bytes = 256 << 10  # a bounce returns the mail itself
    credential_fields = (
        CredentialField("username", "User name", secret=False, required=False, help="Empty: no signing in"),
        CredentialField("password", "Password", secret=True, required=False),
        CredentialField(
            "tls", "Encryption", secret=False, required=False, choices=("starttls", "optional", "none"),
            help="For smtp:// addresses; smtps:// is encrypted from the start",
        ),
        CredentialField(
            "check_certificate", "Check the TLS certificate", secret=False, required=False, choices=_YES_NO
        ),
        CredentialField(
            "bounce_address", "Bounce address", secret=False, required=False,
            help="Such as bounces@example.com: mails to bounces+…@example.com must reach the bounce callback",
        ),
        CredentialField("connections", "Connections", secret=False, required=False, help="At once; empty: 4"),
        CredentialField("greeting", "Name in the greeting", secret=False, required=False, help="Empty: the host's"),
    )  # fmt: skip

    def open_session(self, credentials: Credentials, base_url: str) -> Session:
        try:
            connections = credentials.text("connections", "4")
            if not connections.isdecimal() or not 1 <= int(connections) <= 50:
                raise UnusableCredentials("Connections is a number from 1 to 50.")
            bounces = credentials.text("bounce_address")
            if bounces and (bounces.count("@") != 1 or not bounces.isascii() or set(bounces) & set(" <>\r\n\t")):
                raise UnusableCredentials("The bounce address is not an email address.")
            server = read_server(credentials, base_url)
        except UnusableCredentials as error:
            return SmtpSession(error)  # each message then says so
        return SmtpSession(server, connections=int(connections), bounce_address=bounces)

    def try_out(self, credentials: Credentials, base_url: str) -> str:
        server = read_server(credentials, base_url)
        try:
            with sign_in(server):
                return f"{server.host} takes mail" + (f" from {server.username}" if server.username else "")
        except NotConnected as error:
            if error.code == "provider_credentials":
                raise UnusableCredentials(str(error)) from None
            raise ConnectionError(str(error)) from None

    def parse_callback(self, callback: Callback) -> list[Notice]:
        """A raw mail to the bounce address. Raises: UnreadableCallback."""
        return [*read_bounce(callback.body)]


def read_server(credentials: Credentials, base_url: str) -> Server:
    """Where mails go, out of an account's values. Raises: UnusableCredentials."""
    parts = urlsplit(base_url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in Smtp.url_schemes or not host:
        raise UnusableCredentials("The address of a mail server is smtp://host:587, or smtps://host:465.")
    implicit = parts.scheme == "smtps"
    return Server(
        host=host,
        port=port or (465 if implicit else 587),
        tls="implicit" if implicit else credentials.text("tls", "starttls"),
        username=credentials.text("username"),
        password=credentials.text("password"),
        check_certificate=credentials.text("check_certificate") != "no",
        greeting=credentials.text("greeting"),
    )
