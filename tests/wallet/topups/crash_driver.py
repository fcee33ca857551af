"""A process that settles one top-up and dies at a named point, as kill -9 would: python -m … <point> <top-up id>."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

# pytest's own database: the parent names it, the settings of a process outside pytest do not.
connection.settings_dict["NAME"] = settings.DATABASES["default"]["NAME"] = os.environ["CRASH_DATABASE"]

from wallet.payments.base import Finding  # noqa: E402
from wallet.payments.mpesa import Mpesa  # noqa: E402
from wallet.topups import settling  # noqa: E402


def die(*_args, **_kwargs):
    os._exit(9)


def main(point: str, top_up_id: int) -> None:
    """Points: before the query, after its answer, after the state was written, after the ledger entry, before the
    commit."""
    Mpesa.find = lambda *_: Finding("ended", "0", "words")
    if point == "before-query":
        Mpesa.find = die
    elif point == "after-answer":
        settling.complete_top_up = die
    elif point == "after-state":
        settling.credit = die
    elif point == "after-entry":
        settling.record_events = die
    elif point == "before-commit":
        settling.close_event = die
    settling.settle_top_up(top_up_id=top_up_id)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
