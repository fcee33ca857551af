"""What printed pages share: letterhead, fonts with the Latin letters of every country, tables, page numbers."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.dateformat import format as format_date
from django.utils.translation import gettext as _
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

FONTS = Path(__file__).parent / "fonts"
PLAIN, BOLD = "DejaVuSans", "DejaVuSans-Bold"
INK, MUTED, LINE, SHADE = HexColor("#1B2430"), HexColor("#5A6270"), HexColor("#DDD6C9"), HexColor("#EFEBE3")
MARGIN = 20 * mm
PADDING = 6  # points, which a page's frame adds on its own
LOGO_HEIGHT, LOGO_WIDTH = 14 * mm, 60 * mm
WIDTH = A4[0] - 2 * MARGIN


@cache
def _glyphs() -> frozenset[int]:
    """Registers the fonts, once; the characters that they have."""
    for name in (PLAIN, BOLD):
        pdfmetrics.registerFont(TTFont(name, FONTS / f"{name}.ttf"))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    return frozenset(pdfmetrics.getFont(PLAIN).face.charToGlyph)


def printable(text: object) -> str:
    """Text with what the fonts lack replaced: by the letter beneath its accents where there is one, else by "?"."""
    have = _glyphs()
    shown = []
    for character in unicodedata.normalize("NFC", str(text)):
        if ord(character) in have:
            shown.append(character)
            continue
        if character.isspace():
            shown.append(" ")
            continue
        base = [part for part in unicodedata.normalize("NFKD", character) if ord(part) in have]
        shown.append("".join(base) or "?")
    return "".join(shown)


def style(size: float = 9, *, bold: bool = False, right: bool = False, muted: bool = False) -> ParagraphStyle:
    _glyphs()
    return ParagraphStyle(
        "printed",
        fontName=BOLD if bold else PLAIN,
        fontSize=size,
        leading=size * 1.4,
        textColor=MUTED if muted else INK,
        alignment=TA_RIGHT if right else 0,
    )


def paragraph(text: object, size: float = 9, **how: bool) -> Paragraph:
    """Text as data: nothing in it is markup, and its line breaks stay."""
    return Paragraph("<br/>".join(escape(printable(line)) for line in str(text).split("\n")), style(size, **how))


def facts(rows: Sequence[tuple[str, str]]) -> LongTable:
    """Names and their values, side by side."""
    cells = [[paragraph(name, muted=True), paragraph(value)] for name, value in rows]
    table = LongTable(cells, colWidths=[45 * mm, WIDTH - 45 * mm])
    table.setStyle(TableStyle([("LEFTPADDING", (0, 0), (0, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")]))
    return table


def listing(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[float],
    *,
    right: Sequence[int] = (),
    strong: Sequence[int] = (),
) -> LongTable:
    """A table whose head is repeated on each page. widths: shares of the page; right: columns of amounts; strong: rows
    in bold."""
    made = [[paragraph(name, 8, bold=True, right=at in right) for at, name in enumerate(head)]]
    for number, row in enumerate(rows):
        made.append([paragraph(cell, 8, right=at in right, bold=number in strong) for at, cell in enumerate(row)])
    table = LongTable(made, colWidths=[WIDTH * share for share in widths], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, 0), SHADE),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        )
    )
    return table


def gap(millimetres: float = 4) -> Spacer:
    return Spacer(1, millimetres * mm)


def moment(at: datetime, time_zone: str) -> str:
    """`20 Nov 2026, 14:05 EAT`."""
    return format_date(at.astimezone(ZoneInfo(time_zone)), "j M Y, H:i T")


def make_pdf(*, title: str, story: list[Any]) -> bytes:
    """The document, under the installation's name or logo and its particulars."""
    kept = BytesIO()
    details = [line.strip() for line in settings.BRAND_DETAILS.split("|") if line.strip()]
    top = 26 * mm + len(details) * 4 * mm + (LOGO_HEIGHT - 6 * mm if settings.BRAND_LOGO else 0)
    document = SimpleDocTemplate(
        kept,
        pagesize=A4,
        leftMargin=MARGIN - PADDING,
        rightMargin=MARGIN - PADDING,
        topMargin=top + 6 * mm,
        bottomMargin=MARGIN,
        title=printable(title),
        author=printable(settings.BRAND_NAME),
    )

    def frame(canvas: Canvas, _document: Any) -> None:
        canvas.saveState()
        y = A4[1] - MARGIN
        canvas.setFillColor(INK)
        if settings.BRAND_LOGO:
            image = ImageReader(settings.BRAND_LOGO)
            wide, high = image.getSize()
            scale = min(LOGO_WIDTH / wide, LOGO_HEIGHT / high)
            canvas.drawImage(image, MARGIN, y - high * scale, wide * scale, high * scale, mask="auto")
            y -= high * scale + 5 * mm
        else:
            canvas.setFont(BOLD, 15)
            canvas.drawString(MARGIN, y - 4 * mm, printable(settings.BRAND_NAME))
            y -= 10 * mm
        canvas.setFont(PLAIN, 8)
        canvas.setFillColor(MUTED)
        for line in details:
            canvas.drawString(MARGIN, y, printable(line))
            y -= 4 * mm
        canvas.setStrokeColor(LINE)
        canvas.line(MARGIN, y, A4[0] - MARGIN, y)
        canvas.drawString(MARGIN, 12 * mm, printable(title))
        canvas.drawRightString(A4[0] - MARGIN, 12 * mm, printable(_("Page %(n)s") % {"n": canvas.getPageNumber()}))
        canvas.restoreState()

    _glyphs()
    document.build([paragraph(title, 16, bold=True), gap(), *story], onFirstPage=frame, onLaterPages=frame)
    return kept.getvalue()
