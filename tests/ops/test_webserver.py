"""What the web server loads before it forks: the whole application, and nothing that would not survive the fork."""

import subprocess
import sys

from django.conf import settings

LOOK = """
import sys, threading
from crm import webserver
webserver._load()
from django.db import connections
print("views", "messaging.api.messages" in sys.modules and "crm.docs.views" in sys.modules)
print("threads", threading.active_count())
print("connections", len([one for one in connections.all(initialized_only=True) if one.connection is not None]))
print("wsgi", "crm.wsgi" in sys.modules)
"""


def test_views_are_loaded_before_the_fork_and_no_thread_or_connection_is_begun():
    found = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", LOOK], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120, check=True,
        env={"PATH": "", "VAR_DIR": str(settings.VAR_DIR), "DJANGO_SETTINGS_MODULE": "crm.settings"},
    )  # fmt: skip
    assert found.stdout.split("\n")[:4] == ["views True", "threads 1", "connections 0", "wsgi False"]
