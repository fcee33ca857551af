"""The shapes of every native answer (contracts/dialects/native.md, "Envelope")."""

from collections.abc import Mapping, Sequence
from typing import Any

FieldErrors = Sequence[Mapping[str, str]]


def success(data: Mapping[str, Any], *, message: str = "", status: str = "success") -> dict[str, Any]:
    """A result for both published ways of reading it: its fields at the top level and again under `data`.

    The top-level `status` is "success", except at the endpoints whose contract puts the thing's own status there.
    """
    told = {"message": message} if message else {}
    return {"status": status, **told, **{name: value for name, value in data.items() if name != "status"}, "data": data}


def listing(rows: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> dict[str, Any]:
    """A page of a list."""
    return {"status": "success", "data": rows, "meta": meta}


def failure(error_code: str, message: str, *, errors: FieldErrors = (), **facts: Any) -> dict[str, Any]:
    """A refusal. `errors` are {"field", "message"}; `facts` stand beside them, as `balance` does when it is too low."""
    return {"status": "error", "error_code": error_code, "message": message, "errors": list(errors), **facts}
