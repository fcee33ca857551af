"""The `tarishi` command of an installed package, and `python -m crm`: the same as manage.py in a copy of the source."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    execute_from_command_line(sys.argv)
