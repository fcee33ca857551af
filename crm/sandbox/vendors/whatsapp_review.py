"""WhatsApp's templates: handed in, reviewed, changed, taken away; and what its people decide later, told by webhook.

One set for the whole sandbox: the numbers of an account and the account itself are not told apart here. What is handed
in is in review for REVIEW_SECONDS, then approved; names that begin with `refused` are rejected, those with `slow` wait
until somebody decides on the page /templates or by `POST /sandbox/templates`.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from crm.sandbox.reports import Post
from crm.sandbox.server import Answer, Request
from crm.sandbox.vendors.core import answer_json
from crm.sandbox.world import World

REVIEW_SECONDS: Final = 0.6
# What somebody may decide: the event of the webhook, the state it leaves, and what else it says.
DECISIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "APPROVED": ("APPROVED", {}),
    "REJECTED": ("REJECTED", {"reason": "INVALID_FORMAT"}),
    "PAUSED": ("PAUSED", {"other_info": {"title": "FIRST_PAUSE", "description": "Low quality"}}),
    "DISABLED": ("DISABLED", {"disable_info": {"disable_date": 1_760_000_000}}),
    "IN_APPEAL": ("IN_APPEAL", {}),
}
QUALITIES: Final = ("GREEN", "YELLOW", "RED")
CATEGORIES: Final = ("UTILITY", "MARKETING", "AUTHENTICATION")
LONGEST_BODY: Final = 1024
_VARIABLE: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")
Tell = Callable[[World, str, dict[str, Any]], None]


@dataclass
class Shelf:
    """Every template by name and language, and by id."""

    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def by_id(self, number: str) -> dict[str, Any] | None:
        return next((row for row in self.rows.values() if row["id"] == number), None)


def shelf_of(world: World) -> Shelf:
    """With the two that are there from the beginning: `hello_world` and `order_update` in en_US and sw."""
    found: Shelf | None = world.shelves.get("whatsapp")
    if found is None:
        found = Shelf()
        bodies = {
            "hello_world": ("Habari {{1}}", [["Amina"]]),
            "order_update": ("Habari {{1}}, your order of {{2}} is on its way.", [["Amina", "KES 500"]]),
        }
        for name, (body, sample) in bodies.items():
            for language in ("en_US", "sw"):
                parts = [{"type": "BODY", "text": body, "example": {"body_text": sample}}]
                row = _row(name, language, "UTILITY", parts, "APPROVED")
                found.rows[name, language] = row | {"quality_score": {"score": "GREEN"}}
        world.shelves["whatsapp"] = found
    return found


def _row(name: str, language: str, category: str, components: list[Any], status: str) -> dict[str, Any]:
    number = str(int(hashlib.sha256(f"{name}{language}".encode()).hexdigest()[:12], 16))
    return {
        "id": number, "name": name, "language": language, "category": category, "components": components,
        "status": status, "quality_score": {"score": "UNKNOWN"}, "rejected_reason": "NONE",
    }  # fmt: skip


def serve(world: World, request: Request, error: Callable[..., Answer], tell: Tell) -> Answer | None:
    """`/{account}/message_templates`: the list, a new one, one taken away."""
    shelf = shelf_of(world)
    if request.method == "GET":
        return answer_json({"data": list(shelf.rows.values()), "paging": {"cursors": {"before": "a", "after": "b"}}})
    if request.method == "DELETE":
        row = shelf.by_id(request.query.get("hsm_id", ""))
        if row is None or row["name"] != request.query.get("name"):
            return error(100, "Invalid parameter")
        del shelf.rows[row["name"], row["language"]]
        return answer_json({"success": True})
    if request.method != "POST":
        return None
    wire = request.json()
    name, language = str(wire.get("name", "")), str(wire.get("language", ""))
    category = str(wire.get("category", ""))
    components = wire.get("components")
    if not re.fullmatch(r"[a-z0-9_]{1,512}", name) or not language or category not in CATEGORIES:
        return error(100, "Invalid parameter")
    if (name, language) in shelf.rows:
        return error(100, "Content in this language already exists", subcode=2388024)
    if problem := _problem_of(components):
        return error(100, problem, subcode=2388043)
    assert isinstance(components, list)
    made = _row(name, language, category, components, "PENDING")
    shelf.rows[name, language] = made
    _review(world, made, tell)
    return answer_json({"id": made["id"], "status": made["status"], "category": category})


def change(world: World, request: Request, number: str, error: Callable[..., Answer], tell: Tell) -> Answer | None:
    """`/{template id}`: new words, which are reviewed again. None where no template has this id."""
    row = shelf_of(world).by_id(number)
    if row is None or request.method != "POST":
        return None
    wire = request.json()
    components = wire.get("components")
    if row["status"] not in ("APPROVED", "REJECTED", "PAUSED"):
        return error(100, "Template cannot be edited in its current state", subcode=2388109)
    if "category" in wire and row["status"] == "APPROVED" and wire["category"] != row["category"]:
        return error(100, "The category of an approved template cannot be changed", subcode=2388110)
    if problem := _problem_of(components):
        return error(100, problem, subcode=2388043)
    row.update(components=components, status="PENDING", rejected_reason="NONE")
    row["category"] = str(wire.get("category", row["category"]))
    _review(world, row, tell)
    return answer_json({"success": True})


def _problem_of(components: Any) -> str:
    """Why words are refused at once."""
    rows = components if isinstance(components, list) else []
    bodies = [str(row.get("text", "")) for row in rows if isinstance(row, dict) and row.get("type") == "BODY"]
    if len(bodies) != 1 or not bodies[0] or len(bodies[0]) > LONGEST_BODY:
        return "A template has one body of at most 1024 characters"
    body = bodies[0].strip()
    names = list(dict.fromkeys(_VARIABLE.findall(body)))
    if _VARIABLE.match(body) or body.endswith("}}"):
        return "Variables cannot be at the start or end of the template"
    samples = next(row for row in rows if row.get("type") == "BODY").get("example", {}).get("body_text", [[]])
    if names and len(samples[0]) != len(names):
        return "Template is missing example values for its variables"
    return ""


def _review(world: World, row: dict[str, Any], tell: Tell) -> None:
    if row["name"].startswith("slow"):
        return
    word = "REJECTED" if row["name"].startswith("refused") else "APPROVED"

    def end() -> None:
        if row["status"] == "PENDING":
            decide(world, row, word, tell)

    world.engine.post(Post(due=time.monotonic() + REVIEW_SECONDS, started=end))


def decide(world: World, row: dict[str, Any], word: str, tell: Tell) -> None:
    """Somebody at WhatsApp decides about a template: its state, its quality or its category; the webhook says so."""
    about = {
        "message_template_id": int(row["id"]), "message_template_name": row["name"],
        "message_template_language": row["language"],
    }  # fmt: skip
    if word in DECISIONS:
        row["status"], more = DECISIONS[word]
        row["rejected_reason"] = more.get("reason", "NONE")
        tell(world, "message_template_status_update", about | {"event": word, "reason": "NONE"} | more)
    elif word in QUALITIES:
        was, row["quality_score"] = row["quality_score"]["score"], {"score": word}
        told = {"previous_quality_score": was, "new_quality_score": word}
        tell(world, "message_template_quality_update", about | told)
    elif word in CATEGORIES and word != row["category"]:
        was, row["category"] = row["category"], word
        told = {"previous_category": was, "new_category": word}
        tell(world, "template_category_update", about | told)
