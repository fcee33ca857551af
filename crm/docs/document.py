"""The OpenAPI document of the native API, and the names that it shares with the pages made of it.

What makes it (crm/docs/schema.py, with drf-spectacular) is large, and is loaded by those processes alone that are asked
for the documentation.
"""

import re
from functools import cache
from typing import Any

PREFIX = "/api/{client_id}/"
REPEATED = "x-to-be-repeated"  # of an operation: when the same call is to be made again


def slug_of(title: str) -> str:
    """`Send a message` → `send-a-message`: the address of its documentation and, with underscores, its operation id."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@cache
def schema() -> dict[str, Any]:
    """The whole document. It depends on the code alone, so it is made once."""
    from crm.docs.schema import make_schema

    return make_schema()
