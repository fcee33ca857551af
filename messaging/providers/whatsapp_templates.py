"""Templates of a WhatsApp Business account: listed, made and read as values. Their states also come by webhook.

Spec: Meta's reference of message templates, read November 2026. A template is approved by name and language; Meta may
change its category. States and quality are kept in the vendor's words, which are not a closed list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from messaging.providers.base import Credentials, HttpRequest, HttpResponse
from messaging.providers.reading import field as text_in
from messaging.providers.reading import inner, object_of, rows_of
from messaging.providers.whatsapp import get, graph, post
from messaging.providers.whatsapp_callbacks import words_of

_FIELDS: Final = "name,language,status,category,components,quality_score,rejected_reason"


@dataclass(frozen=True, slots=True)
class TemplateState:
    """A template as Meta has it. `status`, `category` and `quality` are its words; "" where it says none."""

    name: str
    language: str
    status: str
    category: str
    provider_id: str = ""
    quality: str = ""
    reason: str = ""
    components: Sequence[Any] = field(default=())


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a template that was handed in: its id and state, or `problem` in the vendor's words."""

    provider_id: str = ""
    status: str = ""
    category: str = ""
    problem: str = ""


def list_request(credentials: Credentials, base_url: str, *, after: str = "") -> HttpRequest:
    """One page of the account's templates; `after` is the cursor that the page before gave."""
    query = {"fields": _FIELDS, "limit": "100"} | ({"after": after} if after else {})
    return get(f"{_path(credentials, base_url)}?{urlencode(query)}", credentials)


def listed_in(response: HttpResponse) -> tuple[list[TemplateState], str]:
    """The templates of a page, and the cursor of the next one, "" after the last. Nothing where it cannot be read."""
    answer = object_of(response) if response.status == 200 else {}
    paging = inner(answer, "paging")
    following = text_in(inner(paging, "cursors"), "after") if text_in(paging, "next") else ""
    return [_state(row) for row in rows_of(answer.get("data"))], following


def create_request(
    credentials: Credentials,
    base_url: str,
    *,
    name: str,
    language: str,
    category: str,
    components: Sequence[Mapping[str, Any]],
) -> HttpRequest:
    """Hand in a template for approval. category: MARKETING, UTILITY or AUTHENTICATION; components as Meta has them."""
    wire = {"name": name, "language": language, "category": category.upper(), "components": list(components)}
    return post(_path(credentials, base_url), wire, credentials)


def created_by(response: HttpResponse) -> Made:
    """What the answer to `create_request` says. A problem that nobody can read is told by the HTTP status."""
    answer = object_of(response)
    if response.status == 200 and text_in(answer, "id"):
        return Made(text_in(answer, "id"), text_in(answer, "status"), text_in(answer, "category"))
    error = inner(answer, "error")
    return Made(problem=text_in(error, "error_user_msg") or words_of(error) or f"HTTP {response.status}")


def _state(row: Mapping[str, Any]) -> TemplateState:
    components = row.get("components")
    return TemplateState(
        name=text_in(row, "name"),
        language=text_in(row, "language"),
        status=text_in(row, "status"),
        category=text_in(row, "category"),
        provider_id=text_in(row, "id"),
        quality=text_in(inner(row, "quality_score"), "score"),
        reason=text_in(row, "rejected_reason").removeprefix("NONE"),
        components=components if isinstance(components, list) else (),
    )


def _path(credentials: Credentials, base_url: str) -> str:
    account = quote(credentials.required("business_account_id"), safe="")
    return f"{graph(credentials, base_url)}/{account}/message_templates"
