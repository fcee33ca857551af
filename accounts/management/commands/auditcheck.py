"""manage.py auditcheck: is the audit log as it was written?"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.services.audit import check_chains, ends_of_chains, has_entry


class Command(BaseCommand):
    help = (
        "Go through the audit log and prove each entry by the hash of the one before it. Exits 1 where an entry was "
        "changed, removed or put in. --ends prints the end of each chain, as `chain sequence hash`: kept somewhere "
        "else, and given back with --expect, it also shows a log that was written anew from its beginning."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ends", action="store_true", help="print the end of each chain after the check")
        parser.add_argument("--expect", metavar="FILE", help="lines that an earlier --ends printed, to be found again")

    def handle(self, *args: Any, ends: bool, expect: str | None, **options: Any) -> None:
        breaks = [found.text for found in check_chains()]
        if expect:
            with open(expect) as lines:
                breaks += [text for line in lines if (text := _missing(line.split()))]
        for text in breaks:
            self.stdout.write(text)
        if ends:
            for chain, sequence, digest in ends_of_chains():
                self.stdout.write(f"{chain} {sequence} {digest}")
        if breaks:
            raise CommandError(f"{len(breaks)} breaks in the audit log", returncode=1)
        if not ends:
            self.stdout.write("The audit log is as it was written.")


def _missing(words: list[str]) -> str:
    """What is wrong with one expected end; "" where the chain still passes through it."""
    if len(words) != 3 or not (words[0] + words[1]).isdigit():
        return ""
    chain, sequence, digest = int(words[0]), int(words[1]), words[2]
    if not sequence or has_entry(chain=chain, sequence=sequence, digest=digest):
        return ""
    return f"chain {chain}: entry {sequence} is not the one that was noted"
