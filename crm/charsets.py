"""Content types that name a charset no text is written in: Django decodes the query with it and breaks (U1)."""

import codecs
import re
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_CHARSET = re.compile(r"""charset\s*=\s*"?([^";]*)"?""", re.IGNORECASE)
_KNOWN = {"utf-8", "ascii", "iso8859-1", "cp1252"}


class KnownCharsets:
    """Takes any other charset than the four that programs use for forms out of the content type.

    `base64`, `undefined` and their like are codecs to Python, so that Django accepts them before it can refuse.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = environ.get("CONTENT_TYPE") or ""
        if any(not _is_known(name) for name in _CHARSET.findall(given)):
            environ["CONTENT_TYPE"] = given.partition(";")[0]
        return self.application(environ, start_response)


def _is_known(name: str) -> bool:
    try:
        return codecs.lookup(name.strip()).name in _KNOWN
    except (LookupError, ValueError):
        return False
