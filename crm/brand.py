"""The operator's own look: one accent as a stylesheet, and the logo. Both come from settings that a check has read."""

from pathlib import Path

from django.conf import settings
from django.core.checks import Error, Tags, register
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from crm.common.access import public_page
from crm.common.colours import LEAST, Rgb, contrast, lightened_for, mix, read_colour, write_colour

MOST_LOGO_BYTES = 200_000
_WHITE: Rgb = (255, 255, 255)
_LIGHT_GROUNDS: tuple[Rgb, ...] = (_WHITE, (247, 245, 240), (239, 235, 227))  # surface, bg, sunken of tarishi.css
_DARK_GROUNDS: tuple[Rgb, ...] = ((23, 32, 36), (15, 21, 24), (11, 16, 18))
_KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_DAY = 24 * 3600


@public_page
@require_safe
@cache_control(public=True, max_age=_DAY)
def accent(request: HttpRequest) -> HttpResponse:
    """Colours made of BRAND_ACCENT, for both themes; empty without one."""
    return HttpResponse(stylesheet(settings.BRAND_ACCENT), content_type="text/css; charset=utf-8")


@public_page
@require_safe
@cache_control(public=True, max_age=_DAY)
def logo(request: HttpRequest) -> HttpResponse:
    """The image of BRAND_LOGO, at most MOST_LOGO_BYTES."""
    kind = kind_of_logo(settings.BRAND_LOGO)
    if not kind:
        raise Http404
    return HttpResponse(Path(settings.BRAND_LOGO).read_bytes(), content_type=kind)


def stylesheet(accent_text: str) -> str:
    """The tokens of tarishi.css that the accent takes over. Raises: ValueError for what is no colour."""
    if not accent_text:
        return ""
    colour = read_colour(accent_text)
    soft_dark = mix(_DARK_GROUNDS[0], colour, 0.25)
    tint = lightened_for(colour, (*_DARK_GROUNDS, soft_dark))
    light = _tokens(colour, mix(colour, (0, 0, 0), 0.2), mix(_WHITE, colour, 0.1), _WHITE)
    dark = _tokens(tint, mix(tint, _WHITE, 0.25), soft_dark, _DARK_GROUNDS[2])
    return (
        f":root {{ {light} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}\n'
        f':root[data-theme="dark"] {{ {dark} }}\n'
    )


def _tokens(primary: Rgb, hover: Rgb, soft: Rgb, ink: Rgb) -> str:
    values = {"primary": primary, "primary-hover": hover, "primary-soft": soft, "bubble": soft, "on-primary": ink}
    return " ".join(f"--{name}: {write_colour(value)};" for name, value in values.items())


def kind_of_logo(path: str) -> str:
    """The image's media type by its first bytes; "" for none, for another kind or one that is too large."""
    try:
        with Path(path).open("rb") as handle:
            start = handle.read(8)
            size = handle.seek(0, 2)
    except OSError:
        return ""
    found = next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), "")
    return found if size <= MOST_LOGO_BYTES else ""


@register(Tags.compatibility)
def check_brand(**_: object) -> list[Error]:
    """An accent that cannot be read, or a logo that cannot be shown, stops the start instead of spoiling every page."""
    found = []
    if settings.BRAND_ACCENT:
        try:
            colour = read_colour(settings.BRAND_ACCENT)
        except ValueError as problem:
            found.append(Error(f"BRAND_ACCENT: {problem}.", id="crm.E010"))
        else:
            worst = min(contrast(colour, ground) for ground in _LIGHT_GROUNDS)
            if worst < LEAST:
                found.append(
                    Error(
                        f"BRAND_ACCENT {settings.BRAND_ACCENT} has a contrast of {worst:.1f}:1 on light pages; text "
                        f"needs {LEAST}:1.",
                        hint="Choose a darker colour.",
                        id="crm.E011",
                    )
                )
    if settings.BRAND_LOGO and not kind_of_logo(settings.BRAND_LOGO):
        found.append(Error("BRAND_LOGO must be the path of a PNG or JPEG of at most 200 KB.", id="crm.E012"))
    return found
