"""The web server: granian, whose processes share what one of them would need for itself.

    python -m crm.webserver --interface wsgi … crm.wsgi:application

What they share is loaded before granian forks them (crm/loading.py).
"""

import os
import sys
from collections.abc import Sequence

from crm import loading


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    if loading.is_shared():
        loading.load(workers=False)
    serve(sys.argv[1:])


def serve(words: Sequence[str]) -> None:
    """Granian with these options, until SIGTERM."""
    from granian.cli import entrypoint

    sys.argv = ["crm.webserver", *words]
    entrypoint()


if __name__ == "__main__":
    main()
