"""Send one real message and follow it, to see the whole way from here to a phone."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Client
from crm.common.errors import DomainError
from crm.common.money import format_money, from_micros
from messaging import queries
from messaging.models import Message
from messaging.services.accept import Draft, Refused, accept_messages

TEXT = "This is a test message."


class Command(BaseCommand):
    help = (
        "Sends one SMS for a client, at its price, and prints each step until it is delivered, failed, or time is up."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client", type=int, required=True, help="the client's id, who pays for it")
        parser.add_argument("--to", required=True, help="the number, as people write it")
        parser.add_argument("--text", default=TEXT)
        parser.add_argument("--sender", help="an approved sender ID; without it the client's default")
        parser.add_argument("--wait", type=float, default=30.0, help="seconds to follow it (30)")

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client.objects.filter(pk=options["client"]).first()
        if client is None:
            raise CommandError(f"There is no client {options['client']}.")
        try:
            (result,) = accept_messages(
                client=client,
                drafts=[Draft(options["to"], options["text"])],
                sender=options["sender"],
                source="command",
            )
        except DomainError as error:
            raise CommandError(str(error)) from None
        if isinstance(result, Refused):
            raise CommandError(str(result.error))
        price = format_money(from_micros(result.cost_micros), client.currency, plain=True)
        self.stdout.write(f"{result.message_id} to {result.recipient}: {result.units} units, {price}")
        message = self._follow(Message.objects.for_client(client).get(pk=result.id), options["wait"])
        if message.status == "failed":
            raise CommandError(f"failed: {message.error_message or message.error_code}")
        if message.status in queries.STORED_AS["queued"]:
            raise CommandError("It is still queued: is a worker running? `manage.py doctor` tells.")

    def _follow(self, message: Message, seconds: float) -> Message:
        """Print the timeline as it grows; the message when it has ended or time is up."""
        until = time.monotonic() + seconds
        shown = 0
        while True:
            events = queries.events_for(message)
            for event in events[shown:]:
                self.stdout.write(f"  {event.at:%H:%M:%S} {event.kind} {event.code} {event.detail}".rstrip())
            shown = len(events)
            message.refresh_from_db()
            if message.status in ("delivered", "read", "failed", "cancelled") or time.monotonic() >= until:
                return message
            time.sleep(0.2)
