"""Which adapters exist. Adding one is a line here; see README.md in this folder."""

from messaging.providers.africastalking import AfricasTalking
from messaging.providers.base import AnyAdapter

_ADAPTERS: dict[str, AnyAdapter] = {adapter.name: adapter for adapter in (AfricasTalking(),)}


def get_adapter(name: str) -> AnyAdapter:
    """The adapter of that name. Raises: LookupError, when a provider account names one this release does not have."""
    try:
        return _ADAPTERS[name]
    except KeyError:
        raise LookupError(f"There is no provider adapter named {name!r}.") from None


def all_adapters() -> tuple[AnyAdapter, ...]:
    """Every adapter, in the order shown to operators."""
    return tuple(_ADAPTERS.values())
