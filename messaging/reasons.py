"""Why the product itself decided something about a provider account: kept in English, said in the reader's language.

The English sentence is what logs, rows and the doctor have. What a provider said stays as it said it, and so does what
a person wrote.
"""

import re
from collections.abc import Mapping

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

NO_CLEAR_ANSWERS = gettext_noop("no clear answers")
MANY_FAILED = gettext_noop("%(failed)s of the last %(total)s requests failed: %(problem)s")
NO_ANSWER = gettext_noop("%(requests)s requests have had no answer for %(seconds)s s")
SLOW = gettext_noop("slow: half of its answers took %(median)s s or more, %(usual)s s is usual")
STILL_SLOW = gettext_noop("still slow: it took %(seconds)s s")
WOKEN = gettext_noop("Woken by hand")
WORKS = gettext_noop("It took a message again")
OTHER_ROUTES = gettext_noop("The routes name another account now")
OUT_TOO_LONG = gettext_noop("Out of use for four hours, and no other route")

_FACT = re.compile(r"%\((\w+)\)s")


def _pattern(words: str) -> re.Pattern[str]:
    parts = _FACT.split(words)  # text and names of facts in turns
    return re.compile("".join(f"(?P<{part}>.+)" if n % 2 else re.escape(part) for n, part in enumerate(parts)), re.S)


_PATTERNS: Mapping[str, re.Pattern[str]] = {
    words: _pattern(words)
    for words in (
        NO_CLEAR_ANSWERS, MANY_FAILED, NO_ANSWER, SLOW, STILL_SLOW, WOKEN, WORKS, OTHER_ROUTES, OUT_TOO_LONG,
    )
}  # fmt: skip


def in_words(kept: str) -> str:
    """A kept reason in the reader's language, as far as these words are the product's."""
    for words, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(kept):
            facts = found.groupdict()
            if "problem" in facts:
                facts["problem"] = in_words(facts["problem"])
            return _(words) % facts
    return kept
