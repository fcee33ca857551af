"""A sender that dies: expands a campaign and sends it for real, and ends its process at a named point.

    python -m tests.messaging.core.crash_driver ACCOUNT CAMPAIGN POINT NTH SLOTS

POINT names a function and whether to die before or after its NTH call; "none" runs to the end or until somebody kills
it. `os._exit` runs no handler and closes nothing, as when the machine loses power.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

import django

django.setup()

from crm.common import wake  # noqa: E402
from messaging import wake as our_wake  # noqa: E402
from messaging.models import ProviderAccount  # noqa: E402
from messaging.sending import claims, loop, recording  # noqa: E402
from messaging.services import expansion  # noqa: E402

# point (tests/messaging/core/crash_points.py): where the function is looked up, its name, whether it still runs
PLACES: dict[str, tuple[Any, str, bool]] = {
    "inside expansion chunk": (expansion, "store_messages", True),
    "after expansion chunk": (expansion, "_store_chunk", True),
    "before expansion ends": (expansion, "_finish", False),
    "after claim": (claims, "claim", True),
    "after submitting": (claims, "mark_submitting", True),
    "after answer": (loop, "record_outcomes", False),
    "inside record": (recording, "_write_events", True),
    "inside refund": (recording.wallet, "refund_many", True),
    "after record": (loop, "record_outcomes", True),
}


def die_at(point: str, nth: int) -> None:
    """Arrange to end at the `nth` call."""
    where, name, runs = PLACES[point]
    real: Callable = getattr(where, name)
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        result = real(*args, **kwargs) if runs or calls < nth else None
        if calls >= nth:
            os._exit(9)
        return result

    setattr(where, name, dying)


def main(account_id: str, campaign_id: str, point: str, nth: str, slots: str) -> None:
    wake.send_now = our_wake.send_now = lambda *args, **options: True
    if point != "none":
        die_at(point, int(nth))
    expansion.CHUNK = 50
    sys.modules["messaging.services.audience"].CHUNK = 50  # type: ignore[attr-defined]
    expansion.expand_campaign(campaign_id=int(campaign_id))
    account = ProviderAccount.objects.get(pk=account_id)
    loop.Loop(account, stop=lambda: False, slots=int(slots)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
