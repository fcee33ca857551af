"""Who calls and how often, found out once for calls that come with one API key at the same moment."""

from dataclasses import dataclass

from accounts import queries
from accounts.models import ApiKey
from accounts.services.rates import Counted, count_calls, counter_of


@dataclass(frozen=True, slots=True)
class Found:
    """What was read for one call. key: None where it is unknown, revoked or expired; such a call is not counted."""

    key: ApiKey | None
    counted: Counted | None


def find_callers(*, api_key: str, rate_kind: str, calls: int) -> list[Found]:
    """Look the key up for so many calls that are all under way, and count each of them (T4, L1).

    They share the key's object. Whoever holds a call against what was found judges it: nothing is refused here.
    """
    key = queries.find_key(api_key)
    if key is None:
        return [Found(None, None)] * calls
    return [Found(key, counted) for counted in count_calls(name=counter_of(rate_kind, key), calls=calls)]
