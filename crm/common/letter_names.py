"""Names of the characters that make a text Unicode, for people who read another language than Unicode's English."""

from django.utils.translation import get_language, gettext, gettext_noop

# What keyboards and pasted texts bring most, as static/js/composer.js names it: by its English name here, in the
# reader's language in the catalogues. Others go by their number there.
NAMED = (
    gettext_noop("right single quotation mark"),
    gettext_noop("left single quotation mark"),
    gettext_noop("left double quotation mark"),
    gettext_noop("right double quotation mark"),
    gettext_noop("left-pointing double angle quotation mark"),
    gettext_noop("right-pointing double angle quotation mark"),
    gettext_noop("en dash"),
    gettext_noop("em dash"),
    gettext_noop("horizontal ellipsis"),
    gettext_noop("bullet"),
    gettext_noop("grave accent"),
    gettext_noop("acute accent"),
    gettext_noop("tab"),
    gettext_noop("no-break space"),
    gettext_noop("narrow no-break space"),
    gettext_noop("zero width space"),
    gettext_noop("latin small letter c with cedilla"),
    gettext_noop("latin small letter e with circumflex"),
    gettext_noop("latin small letter e with diaeresis"),
    gettext_noop("latin small letter i with circumflex"),
    gettext_noop("latin small letter i with diaeresis"),
    gettext_noop("latin small letter o with circumflex"),
    gettext_noop("latin small letter u with circumflex"),
    gettext_noop("latin small letter a with circumflex"),
    gettext_noop("latin small letter a with acute"),
    gettext_noop("latin small letter i with acute"),
    gettext_noop("latin small letter o with acute"),
    gettext_noop("latin small letter u with acute"),
    gettext_noop("latin small ligature oe"),
    gettext_noop("latin capital ligature oe"),
    gettext_noop("latin capital letter a with grave"),
    gettext_noop("latin capital letter e with grave"),
    gettext_noop("latin capital letter e with circumflex"),
)


def name_to_read(character: str, english: str) -> str:
    """What the page calls a character whose English name this is; its number where that language has no name for it."""
    if (get_language() or "en").startswith("en"):
        return english
    return gettext(english) if english in NAMED else f"U+{ord(character):04X}"
