"""Take a bounce or complaint from a mail server's pipe: `|python manage.py takebounce` for bounces+…@example.com."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging.models import ProviderAccount
from messaging.providers.base import UnreadableCallback
from messaging.services.reports import store_callback

LONGEST = 256 << 10  # what follows is the returned mail's own body, which says nothing to us


class Command(BaseCommand):
    help = "Read one raw mail from standard input and keep what it says of our mails; exits 0 where it says nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--account", default="", help="name of the provider account; the only one by SMTP if left out"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = ProviderAccount.objects.filter(adapter="smtp")
        if options["account"]:
            accounts = accounts.filter(name=options["account"])
        found = list(accounts[:2])
        if len(found) != 1:
            raise CommandError("Name the provider account of these mails with --account.")
        body = sys.stdin.buffer.read(LONGEST)
        try:
            store_callback(account=found[0], kind="bounce", content_type="message/rfc822", query="", body=body)
        except UnreadableCallback as error:
            # A mail server would bounce the bounce: strangers write to this address too.
            self.stderr.write(f"nothing kept: {error}")
