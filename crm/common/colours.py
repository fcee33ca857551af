"""Colours as WCAG 2.2 measures them: relative luminance, contrast, and a tint that can be read on a dark page."""

import re

Rgb = tuple[int, int, int]

LEAST = 4.5  # WCAG 2.2, 1.4.3: contrast of text
_HEX = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)


def read_colour(text: str) -> Rgb:
    """(14, 90, 107) of `#0e5a6b`. Raises: ValueError."""
    if not _HEX.fullmatch(text):
        raise ValueError("a colour is written as # and six hexadecimal digits, such as #0e5a6b")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def write_colour(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def contrast(one: Rgb, other: Rgb) -> float:
    """1 (the same) to 21 (black on white). WCAG 2.2, "contrast ratio"."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """`share` (0 to 1) of the other colour in the one."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def lightened_for(colour: Rgb, grounds: tuple[Rgb, ...]) -> Rgb:
    """The colour with as much white in it as it takes to be read on every one of the dark grounds."""
    for step in range(0, 101, 2):
        tint = mix(colour, (255, 255, 255), step / 100)
        if all(contrast(tint, ground) >= LEAST for ground in grounds):
            return tint
    return 255, 255, 255


def _luminance(colour: Rgb) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
