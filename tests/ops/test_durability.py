"""What tests switch off for speed is on everywhere else."""

import os
import subprocess
import sys

from django.conf import settings

SHOW = "from crm import settings; print(settings.DATABASES['default']['OPTIONS']['init_command'])"


def test_sqlite_survives_a_power_cut_outside_tests(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"DATABASE_URL": f"sqlite:///{tmp_path}/any.sqlite3", "VAR_DIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert "synchronous=FULL" in told.stdout
    assert "journal_mode=WAL" in told.stdout
