"""OpenAPI 3.1 of the native API, made from the URL map, the serializers and what each handler says of itself.

drf-spectacular turns serializers into schemas; everything the endpoints have in common (the envelope, the refusals,
the headers) is written here once.
"""

import re
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from rest_framework.serializers import Serializer

from crm import __version__
from crm.common.api.describe import Described, Param
from crm.common.api.errors import MESSAGES
from crm.docs.document import PREFIX, REPEATED, slug_of
from crm.docs.errors import ERRORS, of_status

_JSON = "application/json"
_EVERYWHERE = (400, 401, 403, 429, 500)
_WITH_BODY = (413, 415)
_LARGEST = 2**63 - 1
_RATE_HEADERS = {
    "X-RateLimit-Limit": "Calls a minute that this key may make.",
    "X-RateLimit-Remaining": "Calls left in this minute.",
    "X-RateLimit-Reset": "When the next minute begins, in seconds since 1970.",
}
_TAGS = {
    "messages": "Messages",
    "sms": "Messages",
    "contacts": "Contacts",
    "campaigns": "Campaigns",
    "client": "Wallet",
    "wallet": "Wallet",
    "webhooks": "Webhooks",
}


def is_native(path: str, view: Any, method: str) -> bool:
    """Whether an endpoint belongs to the native API: under its prefix and described."""
    return path.startswith(PREFIX) and hasattr(getattr(view.cls, method.lower(), None), "described")


def only_native(endpoints: list[tuple]) -> list[tuple]:
    """Preprocessing hook of drf-spectacular: dialects and pages have documentation of their own."""
    return [entry for entry in endpoints if is_native(entry[0], entry[3], entry[2])]


def tag_of(path: str) -> str:
    """The group of an endpoint in the documentation, by the first word of its path."""
    first = path.removeprefix(PREFIX).partition("/")[0]
    return _TAGS.get(first, first.capitalize())


class ApiSchema(AutoSchema):
    """One operation."""

    described: Described

    def get_operation(self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any) -> dict | None:
        self.described = getattr(self.view, method.lower()).described
        operation = super().get_operation(path, path_regex, path_prefix, method, registry)
        if operation and self.described.waits:
            operation[REPEATED] = "while the answer is 409 and has the header Retry-After"
        return operation

    def get_operation_id(self) -> str:
        return slug_of(self.described.title).replace("-", "_")

    def get_summary(self) -> str:
        return self.described.title

    def get_description(self) -> str:  # type: ignore[override]
        scope = f"Scope of the key: `{getattr(self.view, 'required_scope', '')}`."
        return "\n\n".join(part for part in (self.described.text, scope) if part)

    def get_tags(self) -> list[str]:
        return [tag_of(self.path)]

    def get_auth(self) -> list[dict[str, list]]:
        return [{"ApiKey": []}, {"Bearer": []}]

    def map_parsers(self, method: str | None = None) -> list[str]:
        return ["multipart/form-data" if self.described.upload else _JSON]

    def get_request_serializer(self) -> type[Serializer] | None:
        return self.described.takes

    def _get_request_for_media_type(self, *args: Any, **kwargs: Any) -> Any:
        schema, _, *rest = super()._get_request_for_media_type(*args, **kwargs)
        takes = self.described.takes
        required = bool(takes and any(field.required for field in takes().fields.values()))
        return (schema, required, *rest)

    def get_examples(self) -> list:
        return []

    def _get_request_body(self, direction: str = "request") -> dict[str, Any] | None:
        method = self.method
        self.method = "POST" if self.described.takes else method
        try:  # drf-spectacular would leave out the body of a DELETE
            body = super()._get_request_body(direction)
        finally:
            self.method = method
        if body and self.described.example is not None:
            for content in body["content"].values():
                content["example"] = dict(self.described.example)
        return body

    def _get_parameters(self) -> list[dict[str, Any]]:
        found = [_path_parameter(name, self.path) for name in re.findall(r"{(\w+)}", self.path)]
        found += [_query_parameter(param) for param in self.described.query]
        if self.method == "POST":
            found.append(_IDEMPOTENCY_KEY)
        if self.get_operation_id() == "send_a_message":
            found.append(_PREFER)
        return found

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        answers = {"200": self._success()}
        statuses = {*_EVERYWHERE, *self.described.refuses}
        if self.described.takes:
            statuses |= set(_WITH_BODY)
        if self.method == "POST":
            statuses |= {409, 422}
        if not self.described.query and not self.described.takes and self.method != "POST":
            statuses.discard(400)
        for status in sorted(statuses):
            answers[str(status)] = _refusal(status, self.described.refuses.get(status, ""))
        return answers

    def _success(self) -> dict[str, Any]:
        shape = self.described.answers
        assert shape is not None, f"{self.described.title} does not say what it answers"
        reference = self.resolve_serializer(shape, "response").ref
        if self.described.paged:
            schema = _page_of(reference, by_cursor=any(param.name == "cursor" for param in self.described.query))
        else:
            schema = self._envelope(shape, reference)
        headers = {name: _header(text) for name, text in _RATE_HEADERS.items()}
        if self.method == "POST":
            headers["Idempotent-Replayed"] = _header(
                "`true` where an earlier call with this Idempotency-Key had the effect.", kind="string", required=False
            )
        content: dict[str, Any] = {"schema": schema}
        if (data := self.described.example_answer) is not None:
            content["example"] = self._example(data)
        return {"description": "Done.", "headers": headers, "content": {_JSON: content}}

    def _envelope(self, shape: type[Serializer], reference: dict[str, Any]) -> dict[str, Any]:
        """The fields at the top level and again under `data`; `status` at the top is the envelope's unless flat."""
        fields = self._map_serializer(shape, "response")
        properties, required = dict(fields["properties"]), list(fields.get("required", []))
        if not self.described.flat:
            properties["status"] = {"type": "string", "const": "success"}
            required.append("status")
        if self.described.message:
            properties.setdefault("message", {"type": "string", "description": "What was done, for people."})
        properties["data"] = reference
        return {"type": "object", "properties": properties, "required": sorted({*required, "data"})}

    def _example(self, data: Any) -> dict[str, Any]:
        if self.described.paged:
            meta = {"current_page": 1, "total": len(data), "per_page": 20, "last_page": 1}
            return {"status": "success", "data": data, "meta": meta}
        told = {"message": self.described.message} if self.described.message else {}
        status = data["status"] if self.described.flat else "success"
        return {"status": status, **told, **{k: v for k, v in data.items() if k != "status"}, "data": data}


def _path_parameter(name: str, path: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": _LARGEST}
    text = {"client_id": "Your client ID; the key must be this client's."}.get(name, "")
    if name == "message_id" or name == "transaction_id":
        schema, text = {"type": "string", "minLength": 1, "maxLength": 100}, "As it was answered when it was made."
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": text}


_DAY = {
    "type": "string",
    "anyOf": [{"format": "date"}, {"format": "date-time"}],
}


def _query_parameter(param: Param) -> dict[str, Any]:
    schema: dict[str, Any]
    if param.choices:
        schema = {"type": "string", "enum": list(param.choices)}
    elif param.kind == "integer":
        schema = {"type": "integer", "minimum": 1}
    elif param.kind == "boolean":
        schema = {"type": "boolean"}
    elif param.kind == "day":
        schema = dict(_DAY)
    else:
        schema = {"type": "string", "maxLength": 254}
    if param.default is not None:
        schema["default"] = param.default
    found = {"name": param.name, "in": "query", "required": False, "schema": schema, "description": param.text}
    return found | ({"example": param.example} if param.example is not None else {})


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A value of your own for this act. Repeating the call with it within 24 hours has no second effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=10`: hold the answer until the message has left, at most ten seconds. "
    "Other preferences are ignored, as RFC 7240 asks.",
    "schema": {"type": "string"},
    "example": "wait=10",
}


def _header(text: str, *, kind: str = "integer", required: bool = True) -> dict[str, Any]:
    return {"description": text, "required": required, "schema": {"type": kind}}


def _page_of(reference: dict[str, Any], *, by_cursor: bool) -> dict[str, Any]:
    names = ["current_page", "total", "per_page", "last_page"]
    meta: dict[str, Any] = {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in names},
        "required": ["per_page"] if by_cursor else names,
    }
    if by_cursor:
        meta["properties"]["next_cursor"] = {"type": ["string", "null"], "description": "null on the last page."}
        meta["required"].append("next_cursor")
    properties = {"status": {"const": "success"}, "data": {"type": "array", "items": reference}, "meta": meta}
    return {"type": "object", "properties": properties, "required": ["status", "data", "meta"]}


def _refusal(status: int, when: str) -> dict[str, Any]:
    error = of_status(status)
    headers: dict[str, Any] = {}
    if status == 429:
        headers = {name: _header(text) for name, text in _RATE_HEADERS.items()}
    if status in (409, 429):
        headers["Retry-After"] = _header("Seconds to wait.", required=status == 429)
    if status == 401:
        headers["WWW-Authenticate"] = _header("`Bearer`", kind="string")
    example: dict[str, Any] = {
        "status": "error",
        "error_code": error.code,
        "message": when or MESSAGES.get(status, error.when),
        "errors": [{"field": "recipient", "message": "This field is required."}] if status == 400 else [],
    }
    if status == 402:
        example["balance"] = 5
    return {
        "description": when or error.when,
        "headers": headers,
        "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}, "example": example}},
    }


ERROR_SCHEMA = {
    "type": "object",
    "required": ["status", "error_code", "message", "errors"],
    "properties": {
        "status": {"const": "error"},
        "error_code": {"type": "string", "enum": [error.code for error in ERRORS]},
        "message": {"type": "string", "minLength": 1, "description": "A sentence for people; it may change."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "balance": {"type": "number", "description": "With INSUFFICIENT_BALANCE."},
        "contact_id": {"type": "integer", "description": "With CONFLICT: the contact that is in the way."},
        "group_id": {"type": "integer", "description": "With CONFLICT: the group that is in the way."},
    },
}


def finish(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing hook: what no serializer knows."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    result["components"]["securitySchemes"] = {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "Any letter case."},
        "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
    }
    result["tags"] = [{"name": name} for name in dict.fromkeys(_TAGS.values())]
    return result


def make_schema() -> dict[str, Any]:
    """What `document.schema` is."""
    found = SchemaGenerator().get_schema(request=None, public=True)
    found["info"]["version"] = __version__
    found["servers"] = [{"url": settings.PUBLIC_URL}]
    return found
