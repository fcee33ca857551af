"""Filters of the documentation's templates."""

import json
import re
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.filter
def ticked(text: str) -> SafeString:
    """Text with `words` between backticks as code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S308 - escaped first


@register.filter
def as_json(value: Any) -> str:
    """A value as the JSON a program receives, indented."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def entry(found: Any, name: str) -> str:
    """`found[name]`; empty where there is none, also without a mapping."""
    return found.get(name, "") if isinstance(found, dict) else ""
