"""Single calls to operators of mobile money: time limits, no redirects, no proxy of the environment, a log without
secrets."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from crm.common import tracing

log = logging.getLogger(__name__)

CONNECT_SECONDS, TOTAL_SECONDS = 5, 30  # GUARANTEES.md D7
MAX_ANSWER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Answered:
    """How a call ended. status 0: no whole answer came; then `sent` tells whether anything may have been written."""

    status: int = 0
    body: bytes = b""
    sent: bool = True

    def json(self) -> dict[str, Any]:
        """The JSON object of the body; {} for anything else."""
        try:
            data = json.loads(self.body)
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}


class PaymentHttp:
    """One session. Bodies, headers and queries are never logged; the path, the status and the seconds are."""

    def __init__(self) -> None:
        import requests  # here and below: large, and most processes never ask for a payment

        self._session = requests.Session()
        self._session.trust_env = False

    def call(
        self, method: str, url: str, *, headers: Mapping[str, str], json_body: Mapping[str, Any] | None = None
    ) -> Answered:
        """One attempt, whatever happens."""
        host, path = urlsplit(url).hostname or "", urlsplit(url).path
        facts = {"server.address": host, "http.request.method": method}
        with tracing.span(f"payment {method}", facts, kind="client") as span:
            answered = self._call(method, url, path, headers=headers, json_body=json_body)
            if answered.status:
                span.set({"http.response.status_code": answered.status})
            else:
                span.fail("no answer" if answered.sent else "not sent")
            return answered

    def _call(
        self, method: str, url: str, path: str, *, headers: Mapping[str, str], json_body: Mapping[str, Any] | None
    ) -> Answered:
        data = None if json_body is None else json.dumps(json_body).encode()
        sent_headers = dict(headers) | ({"Content-Type": "application/json"} if data is not None else {})
        try:
            with self._session.request(
                method,
                url,
                data=data,
                headers=sent_headers,
                timeout=(CONNECT_SECONDS, TOTAL_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = _read(answer.iter_content(8192))
        except OSError as error:  # requests' own errors are such
            sent = not _before_writing(error)
            log.warning("%s %s: %s", method, path, type(error).__name__)
            return Answered(sent=sent)
        log.info("%s %s: %d", method, path, answer.status_code)
        return Answered(answer.status_code, body) if len(body) <= MAX_ANSWER_BYTES else Answered()


def _read(chunks: Iterator[bytes]) -> bytes:
    """The body, one byte over the limit at most. Raises: TimeoutError for an answer that drips."""
    body, deadline = b"", time.monotonic() + TOTAL_SECONDS
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def _before_writing(error: BaseException) -> bool:
    """Whether the call ended before a byte of it was written: no name, no connection, no TLS."""
    import requests
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
    from urllib3.exceptions import SSLError as TlsError

    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.InvalidURL):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError | ConnectTimeoutError | TlsError)
