"""Merge fields: `{name}` and `{first_name|client}` in a text, filled in from each recipient's values.

This is no template language (GUARANTEES.md U6): values are put in as they are and never read for fields again.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

# A name as a spreadsheet heads its columns: letters of any script, digits, inner spaces and hyphens.
_FIELD = re.compile(r"\{ *([^\W\d](?:[\w -]*\w)?) *(?:\|([^{}|\n]*))?\}")


@dataclass(frozen=True, slots=True)
class MergeTemplate:
    """A text taken apart once, to be filled in for a million recipients.

    fields: names in order of first appearance. without_fallback: those that somewhere have no fallback, so that a
    recipient lacking the value would read a gap.
    """

    text: str
    fields: tuple[str, ...]
    without_fallback: tuple[str, ...]
    _head: str
    _slots: tuple[tuple[str, str, str], ...]  # field name, fallback, the literal text up to the next field

    @property
    def fallbacks(self) -> list[tuple[str, str]]:
        """(field, fallback) wherever the text has a fallback, in order."""
        return [(name, fallback) for name, fallback, _ in self._slots if fallback]

    def render(self, values: Mapping[str, str]) -> str:
        """The text for one recipient; a missing or empty value gives the fallback, or nothing where there is none."""
        if not self._slots:
            return self._head
        parts = [self._head]
        for name, fallback, literal in self._slots:
            parts.append(values.get(name) or fallback)
            parts.append(literal)
        return "".join(parts)


def parse_template(text: str, known: Container[str] | None = None) -> MergeTemplate:
    """Take `text` apart. Braces that are no field stay as they are: `{}`, `{1}`, `{a`, `{"a": 1}`.

    known: with it, only these names are fields and all others stay literal; without it every well-formed name is one,
    and the caller refuses those it does not know.
    """
    found = [match for match in _FIELD.finditer(text) if known is None or match[1] in known]
    slots = []
    for index, match in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        slots.append((match[1], match[2] or "", text[match.end() : end]))
    return MergeTemplate(
        text=text,
        fields=tuple(dict.fromkeys(name for name, _, _ in slots)),
        without_fallback=tuple(dict.fromkeys(name for name, fallback, _ in slots if not fallback)),
        _head=text[: found[0].start()] if found else text,
        _slots=tuple(slots),
    )
