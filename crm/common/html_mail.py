"""HTML that people write for mails: made harmless, and read as plain text.

A cleaner by allow-list over the standard parser: what it does not know is left out, and all text is escaped anew, so
that nothing typed reaches a reader as anything but what the list names.
"""

import re
from html import escape
from html.parser import HTMLParser
from typing import Final

_TAGS: Final = frozenset(
    "a abbr b blockquote br center code div em font h1 h2 h3 h4 h5 h6 hr i img li ol p pre s small span strong sub sup "
    "table tbody td tfoot th thead tr u ul".split()
)
_VOID: Final = frozenset(("br", "hr", "img"))
_ATTRIBUTES: Final = frozenset(
    "align alt bgcolor border cellpadding cellspacing color colspan dir face height href lang rowspan size src style "
    "title valign width".split()
)
_DROPPED: Final = frozenset(("head", "script", "style", "title", "template", "iframe", "object", "svg", "math"))
_SCHEMES: Final = ("https://", "http://", "mailto:", "tel:", "#")
_IMAGES: Final = ("https://", "http://")
_BAD_STYLE: Final = re.compile(r"expression|javascript:|url\s*\(|@import|behaviou?r|position\s*:|\\|\{", re.IGNORECASE)
_BLOCKS: Final = frozenset("blockquote div h1 h2 h3 h4 h5 h6 hr li ol p pre table tr ul".split())


def clean_html(html: str) -> str:
    """`html` without scripts, styles of its own kind, forms, frames and odd addresses; tags left open are closed."""
    cleaner = _Cleaner()
    cleaner.feed(html)
    cleaner.close()
    return cleaner.finish()


def text_of_html(html: str) -> str:
    """What `html` says, for readers that show no HTML: blocks as lines, links with their address behind them."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Cleaner(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._open: list[str] = []
        self._skipping: list[str] = []

    def finish(self) -> str:
        return "".join([*self._out, *(f"</{tag}>" for tag in reversed(self._open))])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skipping or tag in _DROPPED:
            if tag in _DROPPED:
                self._skipping.append(tag)
            return
        if tag not in _TAGS:
            return
        kept = "".join(f' {name}="{escape(value)}"' for name, value in attrs if value and _is_kept(tag, name, value))
        self._out.append(f"<{tag}{kept}>")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            return  # <script/> opens nothing here
        self.handle_starttag(tag, attrs)
        if tag in _TAGS and tag not in _VOID and not self._skipping:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            if tag == self._skipping[-1]:
                self._skipping.pop()
            return
        if tag in self._open:
            while (last := self._open.pop()) != tag:
                self._out.append(f"</{last}>")
            self._out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._out.append(escape(data, quote=False))


def _is_kept(tag: str, name: str, value: str) -> bool:
    if name not in _ATTRIBUTES:
        return False
    plain = "".join(value.split()).lower()
    if name == "href":
        return tag == "a" and plain.startswith(_SCHEMES)
    if name == "src":
        return tag == "img" and plain.startswith(_IMAGES)
    return name != "style" or not _BAD_STYLE.search(value)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipping = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self._skipping += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag in _BLOCKS:
            self.parts.append("\n- " if tag == "li" else "\n\n" if tag not in ("tr", "div") else "\n")
        elif tag == "a":
            self._links.append(dict(attrs).get("href") or "")
        elif tag == "img":
            self.parts.append(dict(attrs).get("alt") or "")
        elif tag in ("td", "th"):
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _DROPPED:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            self._skipping = max(0, self._skipping - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag == "a" and self._links and (link := self._links.pop()).startswith(("http", "mailto:", "tel:")):
            self.parts.append(f" ({link})")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.parts.append(re.sub(r"\s+", " ", data))
