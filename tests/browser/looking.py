"""What can be seen of an open page without knowing what it is for: acceptance checks 20, 21, 22 and 24 (UX.md §18).

look.js measures in the page; here is what its measures may be. Every function returns findings in words, none for a
page that is well.
"""

import gettext
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from tests.browser.conftest import DESK, PHONE, ROOT

HERE = Path(__file__).parent
AXE = (HERE / "vendor" / "axe.min.js").read_text("utf-8") + ";0"
LOOK = (HERE / "look.js").read_text("utf-8")
LIGHTEST, LIGHT = 130_000, 250_000  # bytes of a first load
FIRST_PAGES = {"/app", "/app/send", "/app/wallet"}
MOST_SHIFT = 0.1
# Words of English that are words of neither French nor Kiswahili.
ENGLISH = re.compile(
    r"\b(?:the|and|of|your|you|is|are|was|were|with|this|that|these|not|from|for|will|has|have|been|to|it|its|what|when"
    r"|which|who|how|all|by|new|more|than)\b",
    re.IGNORECASE,
)
DATA = {"English", "{first_name|customer}"}  # a language's own name; what is typed as it stands


def bring(context: Any) -> None:
    """For windows that look at many pages: both scripts come with each load, which costs less than to put them in."""
    context.add_init_script(AXE)
    context.add_init_script(LOOK)


def put_in(page: Any) -> None:
    """Once after each load, where the window did not `bring` them. Neither script counts as part of the page."""
    if not page.evaluate("window.looking !== undefined"):
        page.evaluate(AXE)
        page.evaluate(LOOK)


def dress(page: Any, colours: str, size: dict[str, int]) -> None:
    """Changes an open page, without loading it again."""
    page.emulate_media(color_scheme=colours, reduced_motion="reduce")
    page.set_viewport_size(size)
    # The page hears of it later than we do: what is looked at meanwhile has colours of both.
    page.wait_for_function("dark => matchMedia('(prefers-color-scheme: dark)').matches === dark", arg=colours == "dark")
    page.evaluate("looking.settle()")


def everything(page: Any) -> list[str]:
    """A page in light colours at desk size, and its colours and sizes in the dark on a phone: first as it was loaded,
    then as the other. The window stays so, and the next page is loaded as this one was left.

    The names of what a phone alone shows are looked at in the other languages.
    """
    put_in(page)
    found = weight(page)
    was_on_phone = page.viewport_size == PHONE
    for on_phone in (was_on_phone, not was_on_phone):
        if on_phone != was_on_phone:
            dress(page, *(("dark", PHONE) if on_phone else ("light", DESK)))
        if on_phone:
            found += [f"phone, dark: {each}" for each in page.evaluate("looking.axe('colours')") + on_a_phone(page)]
        else:
            seen = page.evaluate("looking.axe()") + page.evaluate("looking.small()")
            found += [f"desk, light: {each}" for each in seen]
        shoot(page, "phone-dark" if on_phone else "desk-light")
    return found


def on_a_phone_in_full(page: Any) -> list[str]:
    """A page that was loaded on a phone in dark colours, there alone."""
    put_in(page)
    return weight(page) + page.evaluate("looking.axe()") + on_a_phone(page)


def the_other_colours(page: Any) -> list[str]:
    """The two variants that `everything` leaves out, of the page that it looked at."""
    dress(page, "dark", DESK)
    found = [f"desk, dark: {each}" for each in page.evaluate("looking.axe()")]
    shoot(page, "desk-dark")
    dress(page, "light", PHONE)
    found += [f"phone, light: {each}" for each in page.evaluate("looking.axe()")]
    shoot(page, "phone-light")
    dress(page, "light", DESK)
    return found


def shoot(page: Any, variant: str) -> None:
    """A picture, where BROWSER_SHOTS names a folder for them."""
    if folder := os.environ.get("BROWSER_SHOTS"):
        name = re.sub(r"\W+", "-", path_of(page)).strip("-") or "front"
        page.screenshot(path=f"{folder}/{name}-{variant}.png", full_page=True)


def path_of(page: Any) -> str:
    return re.sub(r"^\w+://[^/]+", "", page.url)


def in_another_language(page: Any, language: str) -> list[str]:
    """What another text can break, in a phone's window: its length, names of controls, words that stayed English."""
    put_in(page)
    return (
        page.evaluate("looking.axe('names')") + on_a_phone(page) + english(page.evaluate("looking.words()"), language)
    )


def on_a_phone(page: Any) -> list[str]:
    found = []
    for measure in ("sideways", "small", "covered"):
        found += [f"{measure}: {each}" for each in page.evaluate(f"looking.{measure}()")]
    return found


def weight(page: Any) -> list[str]:
    """Bytes as they came over the wire, cached or not, and how far things moved while the page appeared."""
    measured, shift = page.evaluate("looking.weight()"), page.evaluate("looking.shift()")
    found = []
    if measured["bytes"] > (LIGHTEST if path_of(page) in FIRST_PAGES else LIGHT):
        found.append(f"{measured['bytes']} bytes: {measured['names']}")
    if shift >= MOST_SHIFT:
        found.append(f"layout shift {shift:.3f}")
    return found


def english(words: list[str], language: str) -> list[str]:
    """Of the texts of a page those that are English: known to be translated otherwise, or made of English words."""
    known = catalogue(language)
    suspect = [text for text in words if text not in DATA and not text.startswith("/")]
    return [f"English: {text!r}" for text in suspect if known.get(text, text) != text or ENGLISH.search(text)]


@cache
def catalogue(language: str) -> dict[str, str]:
    """What the plain messages of the English pages become."""
    path = ROOT / "locale" / language / "LC_MESSAGES" / "django.mo"
    with path.open("rb") as file:
        pairs = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {
        key: value for key, value in pairs.items() if isinstance(key, str) and "\x04" not in key and "%(" not in key
    }
