"""What is loaded before web server and workers are forked: the whole application, and nothing that would not survive
the fork. What is large and rarely used is loaded by those processes alone that come to need it."""

import subprocess
import sys

import pytest
from django.conf import settings

LOOK = """
import sys, threading
from crm import loading
loading.load(workers=WORKERS)
from django.db import connections
print("views", "messaging.api.messages" in sys.modules and "crm.docs.views" in sys.modules)
print("threads", threading.active_count())
print("connections", len([one for one in connections.all(initialized_only=True) if one.connection is not None]))
print("wsgi", "crm.wsgi" in sys.modules)
print("large", [name for name in ("reportlab", "xlsxwriter", "PIL", "drf_spectacular.generators", "django.test")
    if name in sys.modules])
print("tasks", "messaging.tasks" in sys.modules)
"""
OF_A_WORKER = """
import sys
import django
django.setup()
import crm.worker
print("large", [name for name in ("requests", "xlsxwriter", "PIL", "rest_framework.serializers", "accounts.admin",
    "crm.urls") if name in sys.modules])
"""


def run(program):
    found = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", program], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120, check=True,
        env={"PATH": "", "VAR_DIR": str(settings.VAR_DIR), "DJANGO_SETTINGS_MODULE": "crm.settings"},
    )  # fmt: skip
    return found.stdout.splitlines()


@pytest.mark.parametrize("workers", [False, True])
def test_views_are_loaded_before_the_fork_and_no_thread_or_connection_is_begun(workers):
    found = run(LOOK.replace("WORKERS", str(workers)))
    assert found == ["views True", "threads 1", "connections 0", "wsgi False", "large []", f"tasks {workers}"]


def test_a_worker_loads_nothing_of_pages_and_papers():
    assert run(OF_A_WORKER) == ["large []"]
