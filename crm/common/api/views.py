"""The base of every API view: who calls, how often, may they; one effect per Idempotency-Key; headers."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.utils.module_loading import import_string
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from crm.common.api.renderers import AlwaysJson, render_json

Handler = Callable[..., Response]


class ApiView(APIView):
    """A native endpoint. Subclasses name `required_scope`, and write get, post … with `client_id` from the URL.

    A post that refuses *raises*: with an Idempotency-Key that undoes all it did, while a response it returns is kept
    and repeated. It then runs inside a transaction, so it must not talk to the network.
    """

    http_method_names: ClassVar[list[str]] = ["get", "post", "put", "patch", "delete", "head"]
    content_negotiation_class = AlwaysJson
    format_kwarg = None  # no suffix such as .json in the URL
    required_scope = ""
    while_suspended = False  # whether a suspended client may write by it; reading goes on everywhere
    rate_kind = "native"
    rate_per_minute: int | None = None  # where a dialect documents its own
    idempotency_key: str | None = None  # of a post that names one
    answers_once_itself = False  # `post` does what its key asks for, by `answer_once` or a service that takes it
    error_fields: ClassVar[dict[str, str]] = {}  # DomainError.code → the field of this endpoint it speaks of

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count before judging, so that refusals are limited too and carry the limit's headers."""
        self.perform_authentication(request)
        self.check_throttles(request)
        self.check_permissions(request)
        handler: Handler | None = getattr(self, "post", None)
        if request.method == "POST" and handler and (key := request.headers.get("Idempotency-Key")) is not None:
            self.idempotency_key = _checked_key(key)
            if not self.answers_once_itself:
                self.post = partial(self.answer_once, handler)

    def read(self, serializer_class: type[Serializer]) -> dict[str, Any]:
        """The request's fields, checked for shape. Raises: ValidationError."""
        data = self.request.data
        if (given := data.get("client_id")) is not None and str(given) != str(
            self.kwargs.get("client_id") or self.request.auth.client_id  # KeyMayCall compares these two
        ):
            raise ValidationError({"client_id": ["This is not the client of your API key and URL."]})
        return _checker(serializer_class).run_validation(data)

    def finalize_response(self, request: Request, response: HttpResponse, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        if rate := getattr(request, "rate", None):
            response["X-RateLimit-Limit"] = str(rate.limit)
            response["X-RateLimit-Remaining"] = str(rate.remaining)
            # Windows begin with the minute; rounded, since our clock and the counting one tick apart.
            response["X-RateLimit-Reset"] = str(round((time.time() + rate.seconds_left) / 60) * 60)
        return response

    def answer_once(self, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """What `handler` answers, or had answered to the call that came first with this key, where there is one."""
        if self.idempotency_key is None:
            return handler(request, *args, **kwargs)
        fresh: list[Response] = []

        def act() -> tuple[int, str]:
            fresh.append(handler(request, *args, **kwargs))
            return fresh[0].status_code, render_json(fresh[0].data).decode()

        answer = import_string(settings.API_ANSWER_ONCE)(
            client=request.auth.client,
            endpoint=request.path,
            key=self.idempotency_key,
            body_hash=fingerprint(request),
            act=act,
        )
        return repeat(answer.status, answer.body) if answer.is_replay else fresh[0]


def repeat(status: int, body: str) -> HttpResponse:
    """What an earlier call with the same key was answered, byte for byte."""
    response = HttpResponse(body, status=status, content_type="application/json")
    response["Idempotent-Replayed"] = "true"
    return response


_of_thread = threading.local()


def _checker(serializer_class: type[Serializer]) -> Serializer:
    """A serializer to check requests by. Kept, one a thread: to copy its fields for each call took a tenth of a send.

    `run_validation` leaves nothing behind in it. Raises: ValidationError.
    """
    held: dict[Any, Serializer] = _of_thread.__dict__
    if serializer_class not in held:
        held[serializer_class] = serializer_class()
    return held[serializer_class]


def _checked_key(key: str) -> str:
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise ValidationError({"Idempotency-Key": ["Give 1 to 255 printable characters."]})
    return key


def fingerprint(request: Request) -> str:
    """A digest of what is asked for: the query, the fields in any order, and the contents of uploaded files."""
    files = {name: [_file_digest(upload) for upload in request.FILES.getlist(name)] for name in request.FILES}
    fields = {name: value for name, value in dict(request.data).items() if name not in files}
    asked = [request.META.get("QUERY_STRING", ""), fields, files]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _file_digest(upload: UploadedFile) -> str:
    found = hashlib.sha256()
    for chunk in upload.chunks():
        found.update(chunk)
    upload.seek(0)
    return found.hexdigest()
