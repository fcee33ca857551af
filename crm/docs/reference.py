"""The endpoints as the documentation shows them, read from the OpenAPI schema so that they are what the code does."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from crm.docs.document import PREFIX, REPEATED, schema, slug_of
from crm.docs.errors import BY_CODE, ApiError, of_status


@dataclass(frozen=True, slots=True)
class Field:
    """One field or parameter. kind: its JSON type in words; limits: sentences such as "at most 480 characters"."""

    name: str
    kind: str
    required: bool
    limits: str
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """When an endpoint answers with a status; `error` has the code and its page."""

    status: int
    error: ApiError
    when: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call. fields: of its body; answer: the fields of `data`; example: a body that works, None without one.
    waits: it answers 409 with Retry-After while something is worked out.
    """

    title: str
    slug: str
    group: str
    method: str
    path: str
    text: tuple[str, ...]
    parameters: tuple[Field, ...]
    fields: tuple[Field, ...]
    answer: tuple[Field, ...]
    paged: bool
    refusals: tuple[Refusal, ...]
    example: dict[str, Any] | None
    example_answer: dict[str, Any] | None
    upload: bool
    waits: bool

    @property
    def group_slug(self) -> str:
        return slug_of(self.group)

    @property
    def short_path(self) -> str:
        """The path below the client's prefix."""
        return self.path.removeprefix(PREFIX)


@cache
def endpoints() -> tuple[Endpoint, ...]:
    """Every endpoint, group by group, in the order of their paths."""
    found = list(_read(schema()))
    order = {tag["name"]: number for number, tag in enumerate(schema()["tags"])}
    return tuple(sorted(found, key=lambda one: (order[one.group], one.path, _METHODS.index(one.method))))


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@cache
def groups() -> dict[str, tuple[Endpoint, ...]]:
    """The endpoints by the address of their group's page."""
    found: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints():
        found.setdefault(endpoint.group_slug, []).append(endpoint)
    return {slug: tuple(rows) for slug, rows in found.items()}


def _read(document: dict[str, Any]) -> Iterator[Endpoint]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {})
            media, content = next(iter(body.items()), ("", dict[str, Any]()))
            success = operation["responses"]["200"]["content"]["application/json"]
            data = success["schema"]["properties"]["data"]
            paged = data.get("type") == "array"
            yield Endpoint(
                title=operation["summary"],
                slug=slug_of(operation["summary"]),
                group=operation["tags"][0],
                method=method.upper(),
                path=path,
                text=tuple(operation["description"].split("\n\n")),
                parameters=tuple(_parameters(operation["parameters"])),
                fields=tuple(_fields(content.get("schema", {}))),
                answer=tuple(_fields(data["items"] if paged else data)),
                paged=paged,
                refusals=tuple(_refusals(operation["responses"])),
                example=content.get("example"),
                example_answer=success.get("example"),
                upload=media.startswith("multipart/"),
                waits=REPEATED in operation,
            )


def _parameters(parameters: list[dict[str, Any]]) -> Iterator[Field]:
    for one in parameters:
        if one["name"] != "client_id":
            name = one["name"] + (" (header)" if one["in"] == "header" else "")
            kind, limits = _kind(one["schema"]), _limits(one["schema"])
            yield Field(name, kind, one["required"], limits, one.get("description", ""))


def _fields(found: dict[str, Any]) -> Iterator[Field]:
    found = _resolved(found)
    for name, field in found.get("properties", {}).items():
        required = name in found.get("required", ())
        yield Field(name, _kind(field), required, _limits(field), _text(field))


def _text(field: dict[str, Any]) -> str:
    """What a field says of itself; the list of its choices, which drf-spectacular appends, is shown as a limit."""
    return field.get("description", "").partition("\n\n* `")[0].strip()


def _resolved(found: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in found:
        return schema()["components"]["schemas"][found["$ref"].rpartition("/")[2]]
    return found


def _kind(found: dict[str, Any]) -> str:
    if "allOf" in found:
        return _kind(found["allOf"][0])
    for option in found.get("oneOf", ()):
        if option != {"type": "null"}:
            return _kind(option)
    resolved = _resolved(found)
    kinds = resolved.get("type", "string")
    kind = next((one for one in ([kinds] if isinstance(kinds, str) else kinds) if one != "null"), "string")
    if resolved.get("format") == "date-time":
        return "time"
    if resolved.get("format") == "binary" or "contentMediaType" in resolved:
        return "file"
    if kind == "array":
        return f"list of {_kind(resolved.get('items', {}))}s"
    return kind


def _limits(found: dict[str, Any]) -> str:
    said = []
    choices = found.get("enum") or next((one["enum"] for one in found.get("oneOf", ()) if one.get("enum")), None)
    if choices:
        said.append("one of " + ", ".join(str(choice) for choice in choices if choice not in (None, "")))
    if found.get("default") not in (None, ""):
        said.append(f"default {found['default']}")
    if longest := found.get("maxLength"):
        said.append(f"at most {longest:,} characters")
    if most := found.get("maxItems"):
        said.append(f"{found.get('minItems', 0):,} to {most:,}")
    return "; ".join(said)


def _refusals(responses: dict[str, Any]) -> Iterator[Refusal]:
    for status, response in responses.items():
        if status != "200":
            yield Refusal(int(status), of_status(int(status)), response["description"])


def error_pages() -> list[ApiError]:
    """Every documented error, in the order of their statuses."""
    return sorted(BY_CODE.values(), key=lambda error: error.status)
