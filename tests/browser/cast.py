"""The people and rows that the browser looks at, made once for a session: python -m tests.browser.cast.

Acme has something of everything, and one row of each kind under the number ROW, so that every address of the URL map
can be opened. Zuri's organisation is empty, Juma's is in simulation, Baraka's is suspended; the operator signs in as
staff. Those below them are each for the tests of one file, and are changed by these. Prints JSON: people {owner: {id,
email, key}}, and hooks {user name at the sandbox: path of the callback for its delivery reports}.
"""

import json
import os
import random
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import django
from django.contrib.auth.hashers import make_password


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    django.setup()
    from accounts.models import User
    from crm import demo  # models exist only now
    from crm.opening import open_ready_client
    from tests.browser import rows
    from tests.factories import PASSWORD

    demo.connect_sandbox()
    demo.connect_sandbox_wires()
    demo.connect_mpesa()
    cast: dict[str, dict[str, Any]] = {}
    password = make_password(PASSWORD)  # once: it takes its time by design
    for name, owner, options in (
        ("Acme", "amina", {"credit": Decimal(25_000), "sender_ids": ["HOSPITAL", "SUNSCHOOL"]}),
        ("Zuri Ltd", "zuri", {}),
        ("Juma School", "juma", {"credit": Decimal(500), "sender_ids": ["JUMA"], "simulation": True}),
        ("Baraka Shop", "baraka", {"credit": Decimal(500), "sender_ids": ["BARAKA"]}),
        ("Neema Clinic", "neema", {"credit": Decimal(300), "sender_ids": ["NEEMA"]}),
        ("Tarishi", "operator", {"credit": Decimal(500), "sender_ids": ["TARISHI"]}),
        ("Halima Parents", "halima", {"credit": Decimal(5000), "sender_ids": ["HOSPITAL"]}),
        ("Otieno Shop", "otieno", {"credit": Decimal(1), "sender_ids": ["OTIENO"]}),
        ("Kiptoo School", "kiptoo", {"credit": Decimal(100), "sender_ids": ["KIPTOO"]}),
        ("Achieng Hotel", "achieng", {"credit": Decimal(500), "sender_ids": ["HOSPITAL"]}),
        ("Mwangi Farm", "mwangi", {}),
        ("Moraa Water", "moraa", {"credit": Decimal(2000), "sender_ids": [rows.SLOW_SENDER]}),
        ("Koffi Radio", "koffi", {"credit": Decimal(10_000), "sender_ids": ["KOFFI"], "country": "CI",
                                  "price_per_unit": Decimal(10)}),
    ):  # fmt: skip
        email = f"{owner}@{owner}.test"
        User.objects.create(email=email, password=password)
        opened = open_ready_client(name=name, email=email, **options)
        cast[owner] = {"id": opened.client.pk, "email": email, "key": opened.issued.api_key}
    rows.fill(cast, random.Random(7))
    json.dump({"people": cast, "hooks": rows.slow_road()}, sys.stdout)


if __name__ == "__main__":
    assert Path(os.environ["VAR_DIR"]).is_dir(), "of the installation under test, never one's own"
    main()
