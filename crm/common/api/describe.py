"""What an endpoint says of itself: read by the OpenAPI schema and by the documentation, and held true by tests.

An endpoint is described where it is written, by `@describe` on its handler; crm/docs/ makes pages of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rest_framework.serializers import Serializer

Handler = TypeVar("Handler", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Param:
    """A query parameter. kind: string, integer, boolean or day (a day, or a moment in ISO 8601)."""

    name: str
    text: str
    kind: str = "string"
    choices: tuple[str, ...] = ()
    default: Any = None
    example: Any = None


@dataclass(frozen=True, slots=True)
class Described:
    """One method of one endpoint.

    takes, answers: the shapes of the body and of `data`. paged: a list with `meta`. flat: the top-level `status` is
    the thing's own. refuses: HTTP status → when, besides what every endpoint refuses. upload: the body is a form with
    a file. example: a body that works; example_answer: the `data` of its answer. waits: 409 with Retry-After says that
    what it asks for is being worked out, and that the same call is to be made again.
    """

    title: str
    text: str = ""
    takes: type[Serializer] | None = None
    answers: type[Serializer] | None = None
    query: tuple[Param, ...] = ()
    paged: bool = False
    flat: bool = False
    upload: bool = False
    waits: bool = False
    refuses: Mapping[int, str] = field(default_factory=dict)
    example: Mapping[str, Any] | None = None
    example_answer: Any = None
    message: str = ""


PAGES = (
    Param("page", "Which page, from 1. One past the last is empty.", "integer", default=1),
    Param("per_page", "Rows on a page; more than 100 are read as 100.", "integer", default=20),
)
DAYS = (
    Param("from_date", "From this day on, in your time zone, or from this moment.", "day", example="2025-10-09"),
    Param(
        "to_date", "Up to the end of this day, in your time zone, or before this moment.", "day", example="2025-10-31"
    ),
)


def describe(title: str, text: str = "", **facts: Any) -> Callable[[Handler], Handler]:
    """Marks a handler of an ApiView with its description; `facts` are those of `Described`."""

    def mark(handler: Handler) -> Handler:
        handler.described = Described(title=title, text=text, **facts)  # type: ignore[attr-defined]
        return handler

    return mark
