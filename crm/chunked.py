"""Request bodies that announce no length, as .NET's and Java's HTTP clients send them (Transfer-Encoding: chunked)."""

from collections.abc import Callable, Iterable
from tempfile import SpooledTemporaryFile
from typing import Any

from django.conf import settings

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_IN_MEMORY = 1 << 20
_STEP = 1 << 16


class MeasuredBodies:
    """Gives a chunked body the length that Django needs to read it: without one it takes the body for empty.

    Only where the server says that the input ends by itself (`wsgi.input_terminated`). What is longer than the largest
    upload is cut there, and its reader then refuses it as too large.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        has_length = environ.get("CONTENT_LENGTH")
        if has_length or not environ.get("wsgi.input_terminated") or "HTTP_TRANSFER_ENCODING" not in environ:
            return self.application(environ, start_response)
        most = settings.MAX_IMPORT_BYTES + _IN_MEMORY
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
            length = 0
            while length < most and (part := environ["wsgi.input"].read(_STEP)):
                length += body.write(part)
            body.seek(0)
            environ |= {"wsgi.input": body, "CONTENT_LENGTH": str(length)}
            return self.application(environ, start_response)
