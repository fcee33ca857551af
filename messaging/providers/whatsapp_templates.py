"""Templates of a WhatsApp Business account: listed, made, changed and taken away. Their states also come by webhook.

Spec: Meta's references of message templates and of their webhooks, read November 2026. What is peculiar:
- a template is approved by name and language; Meta may change its category, and says so;
- one that was approved, refused or paused is changed under its id and reviewed again; how often is limited (100 a
  month, one a day once it is approved). A name that was taken away is free again after 30 days;
- after complaints it is paused for three hours, then for six, then disabled for good;
- there is no request for an appeal: it is made by hand in Meta's WhatsApp Manager, and we hear of it.
States are not a closed list: one that is not in STATES is kept raw and changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from messaging.providers.base import Credentials, HttpRequest, HttpResponse
from messaging.providers.reading import field as text_in
from messaging.providers.reading import inner, object_of, rows_of
from messaging.providers.whatsapp import delete, get, graph, post
from messaging.providers.whatsapp_callbacks import words_of

STATES: Final[dict[str, str]] = {
    "APPROVED": "approved",
    "REINSTATED": "approved",
    "UNARCHIVED": "approved",
    "PENDING": "review",
    "IN_REVIEW": "review",
    "REJECTED": "rejected",
    "IN_APPEAL": "appeal",
    "APPEAL_REQUESTED": "appeal",
    "PAUSED": "paused",
    "DISABLED": "disabled",
    "LIMIT_EXCEEDED": "disabled",
    "ARCHIVED": "disabled",
    "PENDING_DELETION": "disabled",
    "DELETED": "disabled",
}
QUALITY: Final[dict[str, str]] = {"GREEN": "high", "YELLOW": "medium", "RED": "low", "UNKNOWN": "unknown"}
PAUSES: Final[dict[str, timedelta]] = {"FIRST_PAUSE": timedelta(hours=3), "SECOND_PAUSE": timedelta(hours=6)}
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
    """What became of a template that was handed in: its id and state, or `problem` in the vendor's words.

    unclear: the answer does not say whether it was taken.
    """

    provider_id: str = ""
    status: str = ""
    category: str = ""
    problem: str = ""
    unclear: bool = False


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
    words = text_in(error, "error_user_msg") or words_of(error) or f"HTTP {response.status}"
    return Made(problem=words, unclear=response.status >= 500 or not error)


def change_request(
    credentials: Credentials,
    base_url: str,
    *,
    provider_id: str,
    category: str,
    components: Sequence[Mapping[str, Any]],
) -> HttpRequest:
    """Hand in new words for a template that Meta has. category: "" leaves it, as Meta wants of an approved one."""
    wire: dict[str, Any] = {"components": list(components)} | ({"category": category.upper()} if category else {})
    return post(f"{graph(credentials, base_url)}/{quote(provider_id, safe='')}", wire, credentials)


def changed_by(response: HttpResponse) -> Made:
    """What the answer to `change_request` says: taken means in review again."""
    if response.status == 200 and object_of(response).get("success") is True:
        return Made(status="PENDING")
    return created_by(response) if response.status != 200 else Made(problem=f"HTTP {response.status}", unclear=True)


def remove_request(credentials: Credentials, base_url: str, *, name: str, provider_id: str) -> HttpRequest:
    """Take one language of a template away at Meta."""
    query = urlencode({"hsm_id": provider_id, "name": name})
    return delete(f"{_path(credentials, base_url)}?{query}", credentials)


def removed_by(response: HttpResponse) -> str:
    """ "" where it is gone, else why not."""
    answer = object_of(response)
    if response.status == 200 and answer.get("success") is True:
        return ""
    error = inner(answer, "error")
    return text_in(error, "error_user_msg") or words_of(error) or f"HTTP {response.status}"


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
