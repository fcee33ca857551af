"""The people and rows that the browser looks at, made once for a session: python -m tests.browser.cast.

Acme has something of everything, and one row of each kind under the number ROW, so that every address of the URL map
can be opened. Zuri's organisation is empty, Juma's is in simulation, Baraka's is suspended; the operator signs in as
staff. Prints {name: {id, email, key}} as JSON.
"""

import json
import os
import random
import sys
from decimal import Decimal
from pathlib import Path

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    django.setup()
    from crm import demo  # models exist only now
    from crm.opening import open_ready_client
    from tests.browser import rows
    from tests.factories import PASSWORD

    demo.connect_sandbox()
    demo.connect_sandbox_wires()
    demo.connect_mpesa()
    cast = {}
    for name, owner, options in (
        ("Acme", "amina", {"credit": Decimal(25_000), "sender_ids": ["HOSPITAL", "SUNSCHOOL"]}),
        ("Zuri Ltd", "zuri", {}),
        ("Juma School", "juma", {"credit": Decimal(500), "sender_ids": ["JUMA"], "simulation": True}),
        ("Baraka Shop", "baraka", {"credit": Decimal(500), "sender_ids": ["BARAKA"]}),
        ("Neema Clinic", "neema", {"credit": Decimal(300), "sender_ids": ["NEEMA"]}),
        ("Tarishi", "operator", {"credit": Decimal(500), "sender_ids": ["TARISHI"]}),
    ):
        email = f"{owner}@{owner}.test"
        opened = open_ready_client(name=name, email=email, password=PASSWORD, **options)
        cast[owner] = {"id": opened.client.pk, "email": email, "key": opened.issued.api_key}
    rows.fill(cast, random.Random(7))
    json.dump(cast, sys.stdout)


if __name__ == "__main__":
    assert Path(os.environ["VAR_DIR"]).is_dir(), "of the installation under test, never one's own"
    main()
