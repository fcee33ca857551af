"""The way to a mail server: a few kept connections, each with a mail under way."""

import random
import select
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from messaging.providers.base import Arrival, Outbound, Outcome, UnusableCredentials, same_for_all
from messaging.providers.smtp.connection import Connection, Mail, NotConnected, Server
from messaging.providers.smtp.mime import compose, message_id_of, stuffed

FIRST_RECONNECT, LONGEST_RECONNECT = 1.0, 60.0
ROOM = 2  # mails waiting for each connection before another one is opened


class SmtpSession:
    """Belongs to one thread. bounce_address: what bounces go to, a mark of the message in it; "" for the sender."""

    def __init__(
        self,
        server: Server | UnusableCredentials,
        *,
        connections: int = 4,
        mails_each: int = 500,
        bounce_address: str = "",
    ) -> None:
        self.server = server
        self.room = 32 * connections
        self._most, self._mails_each, self._bounce_address = connections, mails_each, bounce_address
        self._open: list[Connection] = []
        self._waiting: deque[tuple[Sequence[Outbound], Mail]] = deque()
        self._carried: dict[Connection, Sequence[Outbound]] = {}
        self._done: list[tuple[Sequence[Outbound], list[Outcome]]] = []
        self._connect_at = 0.0
        self._reconnect = FIRST_RECONNECT
        self._problem = ("provider_unreachable", "")

    def start(self, batch: Sequence[Outbound]) -> None:
        if isinstance(self.server, UnusableCredentials):
            raise self.server
        (message,) = batch
        octets = stuffed(compose(message, datetime.now(UTC)))
        mail = Mail(message, message_id_of(message), octets, self._bounces_to(message))
        self._waiting.append((batch, mail))

    def ended(self) -> Iterator[tuple[Sequence[Outbound], list[Outcome]]]:
        for connection in list(self._open):
            outcome = connection.step()
            if outcome:
                self._done.append((self._carried.pop(connection), [outcome]))
            if connection.broken or (connection.is_idle and connection.carried >= self._mails_each):
                connection.close()
                self._open.remove(connection)
        self._hand_out()
        done, self._done = self._done, []
        yield from done

    def arrivals(self) -> Sequence[Arrival]:
        return ()

    def wait(self, seconds: float, enough: int = 1) -> None:
        if self._done:
            return
        busy = [connection for connection in self._open if connection.mail]
        if busy:
            writing = [connection.socket for connection in busy if connection.wants_to_write]
            select.select([connection.socket for connection in busy], writing, [], seconds)
        else:
            time.sleep(min(seconds, 0.01) if self._waiting else seconds)

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        self._open = []

    def _bounces_to(self, message: Outbound) -> str:
        """bounces@example.com → bounces+msg-000081.k3y@example.com, so that a bounce names its message."""
        if not self._bounce_address:
            return message.sender
        name, _, domain = self._bounce_address.partition("@")
        return f"{name}+{message_id_of(message)}@{domain}"

    def _hand_out(self) -> None:
        idle = [connection for connection in self._open if connection.is_idle]
        while self._waiting:
            if not idle:
                wanted = len(self._waiting) > ROOM * len(self._open) or not self._open
                if len(self._open) >= self._most or not wanted:
                    return
                connection = self._connect()
                if connection is None:
                    return
                self._open.append(connection)
                idle.append(connection)
            connection = idle.pop()
            batch, mail = self._waiting.popleft()
            self._carried[connection] = batch
            connection.begin(mail)
            outcome = connection.step()
            if outcome:
                self._done.append((self._carried.pop(connection), [outcome]))

    def _connect(self) -> Connection | None:
        """One more connection. Without any, what waits goes back to the queue."""
        assert isinstance(self.server, Server)
        if time.monotonic() >= self._connect_at:
            try:
                connection = Connection(self.server)
            except NotConnected as error:
                self._problem = (error.code, str(error))
                wait = LONGEST_RECONNECT if error.code == "provider_credentials" else self._reconnect
                self._connect_at = time.monotonic() + wait * random.uniform(0.8, 1.2)
                self._reconnect = min(self._reconnect * 2, LONGEST_RECONNECT)
            else:
                self._reconnect = FIRST_RECONNECT
                return connection
        if not self._open:
            for batch, _ in self._waiting:
                self._done.append((batch, same_for_all(batch, "retry", *self._problem)))
            self._waiting.clear()
        return None
