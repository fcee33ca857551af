"""Plain letters: what stands in for a character that would make a whole SMS Unicode, and what is simply left out.

static/js/composer.js has the same table; tests hold the two to one list of cases. Letters that are already
standard (é è à ù ì ò ä ö ñ ü Ç É and the others of 3GPP TS 23.038) stay as they are.
"""

import unicodedata

from crm.common.text_units import forcing_unicode

# Characters with an obvious twin in the standard alphabet.
_TWINS = {
    "’": "'", "‘": "'", "‚": "'", "‛": "'", "′": "'", "`": "'", "´": "'", "ʼ": "'",
    "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"', "‹": "'", "›": "'",
    "–": "-", "—": "-", "―": "-", "‐": "-", "‑": "-", "‒": "-", "−": "-", "•": "-", "·": ".",
    "…": "...", "œ": "oe", "Œ": "OE", "ı": "i", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ŋ": "ng", "Ŋ": "Ng",
    "ɓ": "b", "ɗ": "d", "ƙ": "k", "ƴ": "y", "×": "x", "÷": "/", "©": "(c)", "®": "(r)", "™": "(tm)", "№": "No",
    "½": "1/2", "¼": "1/4", "¾": "3/4", "°": "o", "º": "o", "ª": "a", "\t": " ",
}  # fmt: skip
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_TO_PLAIN = str.maketrans(dict.fromkeys(_SPACES, " "))
_INVISIBLE = (
    "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063"
    "\u2066\u2067\u2068\u2069\ufeff"
)


def plain_spaces(text: str) -> str:
    """With a plain space for each that is wider, narrower or unbreakable."""
    return text if text.isascii() else text.translate(_TO_PLAIN)


def plain_letter(character: str) -> str | None:
    """What a character outside the standard alphabet becomes, "" where it shows nothing; None where nothing stands in.

    An accent is dropped where what is left is standard: ç → c, ê → e, Š → S.
    """
    if character in _TWINS:
        return _TWINS[character]
    if character in _SPACES:
        return " "
    if character in _INVISIBLE:
        return ""
    bare = "".join(mark for mark in unicodedata.normalize("NFD", character) if not "\u0300" <= mark <= "\u036f")
    return bare if bare != character and not forcing_unicode(bare) else None
