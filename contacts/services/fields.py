"""Fields of the client's own: what they are called and what may stand in them."""

from collections.abc import Mapping
from typing import Any

from contacts.models import ContactField
from crm.common.sql import database_now, insert_rows


def ensure_fields(*, client_id: int, kinds: Mapping[str, str]) -> None:
    """Make a field of each key (key → FieldKind) that the client has not yet, in whatever letter case; others stay."""
    now = database_now()
    known = {key.casefold() for key in ContactField.objects.for_client(client_id).values_list("key", flat=True)}
    rows: list[tuple[Any, ...]] = [
        (client_id, key, kind, [], now) for key, kind in kinds.items() if key.casefold() not in known
    ]
    insert_rows(
        ContactField, ["client_id", "key", "kind", "choices", "created_at"], rows, suffix="ON CONFLICT DO NOTHING"
    )
