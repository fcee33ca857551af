"""What every dialect stands on: bodies read within bounds, keys judged, calls counted, refusals in the caller's words.

A dialect's view names its refusals by codes of DomainError; its `refuse` turns one into its own body. Whatever happens,
the answer is in that body: an error nobody foresaw is logged, without the request, and refused as `server_error`.
"""

import logging
import re
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.http.response import HttpResponseBase
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import ParseError

from accounts.errors import KeyMissing, KeyNotAllowed, KeyUnknown, TooManyCalls
from accounts.models import ApiKey
from accounts.queries import find_key
from accounts.requests.recording import note_body, note_caller, used_for
from accounts.services.keys import note_use
from accounts.services.rates import count_call, limit_for
from crm.common.addresses import client_address, is_within
from crm.common.api.parsers import read_object
from crm.common.api.renderers import render_json
from crm.common.errors import DomainError, NotFound
from messaging.errors import ClientSuspended

log = logging.getLogger(__name__)

Fields = dict[str, Any]
MOST_FIELDS = 2000
MOST_RECIPIENTS = 1000
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
_LISTED = re.compile(r"(.+)\[[0-9]{0,5}\]")


class UnreadableRequest(DomainError):
    """The body or query cannot be read: broken JSON, an encoding, a NUL, half of a character."""

    code = "unreadable_request"
    default_message = "The request cannot be read."


class BodyTooLarge(DomainError):
    code = "body_too_large"
    default_message = "The body is too large."


class WrongMethod(DomainError):
    """Fact: `allow`, the methods that this address knows."""

    code = "wrong_method"
    default_message = "This method is not allowed here."


class ServerError(DomainError):
    """Something went wrong on our side."""

    code = "server_error"
    default_message = "Something went wrong on our side. It was logged; the request may be tried again."


def answer(body: Any, status: int = 200) -> HttpResponse:
    """`body` as JSON; times are printed as UTC, non-ASCII unescaped."""
    return HttpResponse(render_json(body), status=status, content_type="application/json")


class DialectView(View):
    """The base of a dialect's views. Subclasses write get and post, and `refuse`.

    It needs no CSRF token: it knows no cookie, only keys.
    """

    http_method_names = ["get", "post", "head"]
    is_public = True  # no person signs in here; the key is judged by `admit`

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        view = csrf_exempt(super().as_view(**initkwargs))
        view.is_public = cls.is_public  # type: ignore[attr-defined]
        return view

    def refuse(self, error: DomainError) -> HttpResponse:
        """The dialect's body for `error`."""
        raise NotImplementedError

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = super().dispatch(request, *args, **kwargs)
        except DomainError as error:
            response = self._refused(error)
        except Exception:
            # The path has no secret; query and body may, and are not logged.
            log.exception("a call to %s broke", request.path)
            response = self._refused(ServerError())
        response["Cache-Control"] = "no-store"
        response._has_been_logged = True  # type: ignore[attr-defined]  # refusals are the caller's news, not ours
        return response

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        names = [name for name in self.http_method_names if hasattr(self, name)]
        raise WrongMethod(allow=", ".join(name.upper() for name in names))

    def _refused(self, error: DomainError) -> HttpResponse:
        response = self.refuse(error)
        response.refused_as = error.code  # type: ignore[attr-defined]  # for the list of the last requests
        if "retry_after" in error.facts:
            response["Retry-After"] = str(error.facts["retry_after"])
        if "allow" in error.facts:
            response["Allow"] = error.facts["allow"]
        return response


class UnknownPathView(DialectView):
    """The end of a dialect's addresses: every method is told that there is nothing here."""

    http_method_names = []

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        raise NotFound("There is no such address in this API.")


def take_key(api_key: Any) -> ApiKey:
    """The live key presented. Raises: KeyMissing, KeyUnknown."""
    if api_key is None or api_key == "":
        raise KeyMissing
    key = find_key(api_key) if isinstance(api_key, str) else None
    if key is None:
        raise KeyUnknown
    return key


_WHILE_SUSPENDED = {"", "messages:read", "wallet:read", "wallet:topup"}  # what a suspended client still may: read, pay


def admit(request: HttpRequest, key: ApiKey, *, scope: str, kind: str, documented: int | None = None) -> None:
    """Count a call under `kind` and judge whether `key` may make it. documented: the contract's calls a minute.

    scope: "" for a call that needs none. Raises: TooManyCalls, ClientSuspended, KeyNotAllowed.
    """
    note_caller(request, key)
    note_use(key=key, address=client_address(request), used_for=used_for(request))
    rate = count_call(name=f"{kind}:{key.pk}", limit=limit_for(key.client, documented))
    if rate.is_exceeded:
        raise TooManyCalls(retry_after=rate.seconds_left)
    if not key.client.is_active and scope not in _WHILE_SUSPENDED:
        raise ClientSuspended
    if key.allowed_addresses and not is_within(client_address(request), key.allowed_addresses):
        raise KeyNotAllowed("This API key may not be used from your address.")
    if scope and scope not in key.scopes:
        raise KeyNotAllowed(f"This API key lacks the scope “{scope}”.")


def read_body(request: HttpRequest) -> bytes:
    """The raw body. Raises: BodyTooLarge, UnreadableRequest (the connection broke)."""
    most = settings.API_MAX_BODY_BYTES
    try:
        raw = request.read(most + 1)
    except (UnreadablePostError, OSError):
        raise UnreadableRequest from None
    if len(raw) > most:
        raise BodyTooLarge(f"The body may have at most {most} bytes.")
    note_body(request, raw)
    return raw


def read_json(raw: bytes) -> Fields:
    """The JSON object in `raw`. Raises: UnreadableRequest."""
    try:
        return read_object(raw)
    except ParseError as error:
        raise UnreadableRequest(str(error.detail)) from None


def kind_of(request: HttpRequest) -> str:
    """The body's media type, in lower case, without parameters."""
    return (request.content_type or "").strip().lower()


def read_form(raw: bytes) -> Fields:
    """A form or query: `name[]` and `name[0]`, as PHP writes lists, are lists; of other names the last one holds.

    Raises: UnreadableRequest for what is not UTF-8, holds NUL, or has too many fields.
    """
    try:
        # Latin-1 gives each byte a character, so that the UTF-8 below is read strictly; parse_qsl itself would mend it.
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FIELDS, encoding="latin-1")
    except ValueError:
        raise UnreadableRequest(f"The request has more than {MOST_FIELDS} fields.") from None
    return _fields((_text(name), _text(value)) for name, value in pairs)


def read_query(request: HttpRequest) -> Fields:
    """The parameters of the address. Raises: UnreadableRequest."""
    return read_form(request.META.get("QUERY_STRING", "").encode("latin-1", "replace"))


def read_multipart(request: HttpRequest, raw: bytes) -> Fields:
    """The text fields of a multipart body; its files are left unread. Raises: UnreadableRequest."""
    meta = request.META | {"CONTENT_LENGTH": str(len(raw))}
    try:
        posted, _ = MultiPartParser(meta, BytesIO(raw), request.upload_handlers, "utf-8").parse()
    except (MultiPartParserError, SuspiciousOperation, ValueError, LookupError):
        raise UnreadableRequest from None
    return _fields(
        (_whole(name), _whole(value)) for name, values in posted.lists() for value in values if isinstance(value, str)
    )


def _fields(pairs: Any) -> Fields:
    found: Fields = {}
    for name, value in pairs:
        if listed := _LISTED.fullmatch(name):
            name = listed[1]
            kept = found.setdefault(name, [])
            if isinstance(kept, list):
                kept.append(value)
                continue
        found[name] = value
    return found


def _text(raw: str) -> str:
    try:
        return _whole(raw.encode("latin-1").decode())
    except UnicodeDecodeError:
        raise UnreadableRequest("The request is not UTF-8.") from None


def _whole(text: str) -> str:
    """`text`, unless it holds what no database and no phone can. U+FFFD is what Django makes of broken UTF-8."""
    if "\x00" in text or "\ufffd" in text:
        raise UnreadableRequest("The request holds a character that cannot be read.")
    return text
