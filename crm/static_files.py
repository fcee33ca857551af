"""Collects static files for the web server, and only when one of them has changed."""

import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

# Browsable pages, which the API does not offer, and a second reader of the schema: compressing them takes seconds.
UNUSED = ["rest_framework", "redoc"]


def collect_if_changed() -> bool:
    """Bring STATIC_ROOT up to date with hashed, compressed copies. Returns whether anything had to be done."""
    stamp = Path(settings.VAR_DIR, "static.stamp")
    present = _fingerprint()
    if stamp.exists() and stamp.read_text() == present and Path(settings.STATIC_ROOT).is_dir():
        return False
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, clear=True, ignore_patterns=UNUSED, verbosity=0)
    stamp.write_text(present)
    return True


def _fingerprint() -> str:
    """Changes with the name, size or time of any source file, and with where and how they are kept."""
    digest = hashlib.sha256(repr((settings.STORAGES["staticfiles"], str(settings.STATIC_ROOT))).encode())
    for finder in get_finders():
        for name, storage in sorted(finder.list(UNUSED), key=lambda found: found[0]):
            facts = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()
