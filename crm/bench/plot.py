"""Bars of figures as an SVG file: a scale of tenfold steps, so that a strawman and what beats it fit on one page."""

import math
from collections.abc import Sequence
from html import escape

WIDTH, ROW, LEFT, RIGHT, TOP = 760, 26, 330, 90, 34
_OURS, _OTHER, _INK, _LINE = "#0f766e", "#b45309", "#1f2937", "#d1d5db"


def bars(title: str, rows: Sequence[tuple[str, float]], *, unit: str) -> str:
    """One bar for each (label, value above 0). Labels that begin with “strawman” have their own colour."""
    shown = [(label, value) for label, value in rows if value > 0]
    most = max((value for _, value in shown), default=1.0)
    least = min((value for _, value in shown), default=1.0)
    low, high = math.floor(math.log10(least)), max(math.ceil(math.log10(most)), math.floor(math.log10(least)) + 1)
    span = WIDTH - LEFT - RIGHT
    height = TOP + ROW * len(shown) + 30

    def across(value: float) -> float:
        return LEFT + span * (math.log10(value) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12" role="img"><title>{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="14" font-weight="bold" fill="{_INK}">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        x = LEFT + span * (power - low) / (high - low)
        parts.append(f'<path d="M{x:.1f} {TOP}V{height - 26}" stroke="{_LINE}"/>')
        label = f"{10**power:,}" if power >= 0 else f"{10**power:g}"
        parts.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle" fill="{_INK}">{label}</text>')
    for number, (label, value) in enumerate(shown):
        y, end = TOP + ROW * number + 5, max(across(value), LEFT + 2)
        colour = _OTHER if label.startswith("strawman") else _OURS
        told = f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end" fill="{_INK}">{escape(label)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="17" fill="{colour}"/>')
        parts.append(f'<text x="{end + 5:.1f}" y="{y + 13}" fill="{_INK}">{told} {escape(unit)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
