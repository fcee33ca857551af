"""Which network has which numbers, as the back office says it for a country from a day on.

`crm.common.networks` answers from a table in the process, for every message and every row of a list; so each process
looks here once a minute whether the table is still right, instead of asking the database for every number.
"""

import logging
import threading

from django.db import DatabaseError, close_old_connections

from crm.common.networks import read_ranges, use_ranges
from crm.common.sql import database_now
from messaging.models import CountryRules

EVERY = 60  # seconds
log = logging.getLogger(__name__)


def load_network_ranges() -> None:
    """Makes the rules that hold today the process's own."""
    rows = CountryRules.objects.filter(valid_from__lte=database_now().date()).order_by("valid_from")
    said = dict(rows.values_list("country", "network_ranges"))  # the newest row of each country
    use_ranges({country: read_ranges(text) for country, text in said.items() if text})


def keep_network_ranges() -> None:
    """Loads them now and once a minute, in a thread of its own, until the process ends."""
    threading.Thread(target=_keep, name="network-ranges", daemon=True).start()


def _keep() -> None:
    pause = threading.Event()
    while True:
        try:
            load_network_ranges()
        except (DatabaseError, ValueError) as error:
            log.warning("network ranges stay as they were: %s", error)
        finally:
            close_old_connections()
        pause.wait(EVERY)
