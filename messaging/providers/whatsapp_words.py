"""The words of a WhatsApp template as values, and as the components that Meta keeps them in.

Spec: Meta's reference of message template components, read November 2026. Variables are `{{1}}`, `{{2}}` or names.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from messaging.providers.reading import field as text_in
from messaging.providers.reading import inner, rows_of

VARIABLE: Final = re.compile(r"\{\{\s*(\w{1,60})\s*\}\}")
BUTTON_KINDS: Final[dict[str, tuple[str, str]]] = {  # ours: theirs, and where its value stands
    "reply": ("QUICK_REPLY", ""),
    "url": ("URL", "url"),
    "phone": ("PHONE_NUMBER", "phone_number"),
}
_KIND_OF: Final = {theirs: (kind, key) for kind, (theirs, key) in BUTTON_KINDS.items()}


@dataclass(frozen=True, slots=True)
class TemplateWords:
    """What a template says. Fields as messaging.models.WhatsAppTemplate has them."""

    body: str
    header: str = ""
    footer: str = ""
    buttons: Sequence[Mapping[str, str]] = ()
    samples: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""

    @property
    def variables(self) -> list[str]:
        return variables_of(self.body)


def variables_of(body: str) -> list[str]:
    """The variables of a body, each once; numbers in their order, names in that of the text."""
    found = list(dict.fromkeys(VARIABLE.findall(body)))
    return sorted(found, key=int) if all(name.isascii() and name.isdigit() for name in found) else found


def fill_body(body: str, values: Mapping[str, str]) -> str:
    """The body as a person reads it; a variable without a value stays as it is written."""
    return VARIABLE.sub(lambda found: values.get(found[1], found[0]), body)


def parameters_of(body: str, values: Mapping[str, str]) -> list[str] | dict[str, str]:
    """The values as Message.content has them: a list where the body counts its variables, else by name."""
    names = variables_of(body)
    if all(name.isascii() and name.isdigit() for name in names):
        return [values[name] for name in names]
    return {name: values[name] for name in names}


def components_of(words: TemplateWords) -> list[dict[str, Any]]:
    """As Meta takes them: with a sample for each variable of the body."""
    made: list[dict[str, Any]] = []
    if words.header:
        made.append({"type": "HEADER", "format": "TEXT", "text": words.header})
    body: dict[str, Any] = {"type": "BODY", "text": words.body}
    if names := words.variables:
        body["example"] = {"body_text": [[words.samples.get(name, "") for name in names]]}
    made.append(body)
    if words.footer:
        made.append({"type": "FOOTER", "text": words.footer})
    buttons = []
    for button in words.buttons:
        theirs, key = BUTTON_KINDS[button["kind"]]
        buttons.append({"type": theirs, "text": button["text"]} | ({key: button["value"]} if key else {}))
    return made + ([{"type": "BUTTONS", "buttons": buttons}] if buttons else [])


def words_in(components: Sequence[Any]) -> TemplateWords:
    """What Meta's components say. Parts that people do not read, such as a flow, are left out."""
    header, body, footer, needs = "", "", "", ""
    buttons: list[dict[str, str]] = []
    samples: dict[str, str] = {}
    for part in rows_of(list(components)):
        kind = text_in(part, "type").upper()
        if kind == "HEADER":
            header = text_in(part, "text")[:60]
            if text_in(part, "format").upper() not in ("", "TEXT"):
                needs = "file"
            elif VARIABLE.search(header):
                needs = "header"
        elif kind == "BODY":
            body = text_in(part, "text")
            samples = _samples(body, inner(part, "example"))
        elif kind == "FOOTER":
            footer = text_in(part, "text")[:60]
        elif kind == "BUTTONS":
            for row in rows_of(part.get("buttons")):
                own, key = _KIND_OF.get(text_in(row, "type").upper(), ("", ""))
                value = text_in(row, key) if key else ""
                if own:
                    buttons.append({"kind": own, "text": text_in(row, "text"), "value": value})
                if not own or VARIABLE.search(value):
                    needs = needs or "button"
    return TemplateWords(body, header, footer, buttons, samples, needs)


def _samples(body: str, example: Mapping[str, Any]) -> dict[str, str]:
    named = {
        text_in(row, "param_name"): text_in(row, "example") for row in rows_of(example.get("body_text_named_params"))
    }
    if named:
        return named
    rows = example.get("body_text")
    first = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], list) else []
    return {name: str(value) for name, value in zip(variables_of(body), first, strict=False)}
