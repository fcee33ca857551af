"""Opens a client that is ready to send, with its API key (DESIGN.md, "Commands")."""

import json
from argparse import ArgumentTypeError
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from crm.common.errors import InvalidInput
from crm.common.money import format_money, json_money, to_micros
from crm.opening import OpenedClient, open_ready_client


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f"“{text}” is no amount of money") from None


class Command(BaseCommand):
    help = "Open a client: its owner's sign-in, a wallet, approved sender IDs and an API key, which is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True, help="name of the organisation")
        parser.add_argument("--email", required=True, help="the owner signs in with it")
        parser.add_argument("--password", help="the owner's; left out when the email signs in here already")
        parser.add_argument("--country", default="KE", help="ISO 3166 code; local numbers are read in it (KE)")
        parser.add_argument("--currency", default="", help="ISO 4217 code (the country's own)")
        parser.add_argument("--time-zone", default="", help="such as Africa/Nairobi (the country's own)")
        parser.add_argument("--credit", type=_amount, default=Decimal(0), help="opening balance (0)")
        parser.add_argument("--price-per-unit", type=_amount, help="of an SMS, for this client alone")
        parser.add_argument(
            "--sender-id", action="append", default=[], help="approve it; repeat for more, the first is the default"
        )
        parser.add_argument("--simulation", action="store_true", help="nothing leaves and nothing is charged")
        parser.add_argument("--rate-limit", type=int, help="API calls a minute")
        parser.add_argument("--webhook-url", default="", help="tell this address of every event")
        parser.add_argument("--webhook-secret", default="", help="signs those events; made when left out")
        parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["webhook_secret"] and not options["webhook_url"]:
            raise CommandError("--webhook-secret needs --webhook-url")
        if options["password"]:
            self._warn_of_weak(options["password"])
        try:
            opened = open_ready_client(
                name=options["name"],
                email=options["email"],
                password=options["password"],
                country=options["country"],
                currency=options["currency"],
                time_zone=options["time_zone"],
                simulation=options["simulation"],
                rate_limit=options["rate_limit"],
                credit=options["credit"],
                price_per_unit=options["price_per_unit"],
                sender_ids=options["sender_id"],
                webhook_url=options["webhook_url"],
                webhook_secret=options["webhook_secret"],
            )
        except InvalidInput as refusal:
            raise CommandError(" ".join(sentence for told in refusal.errors.values() for sentence in told)) from None
        self.stdout.write(_as_json(opened) if options["json"] else _as_text(opened))

    def _warn_of_weak(self, password: str) -> None:
        """The operator decides: a weak password is taken, with a word on the error output."""
        try:
            validate_password(password)
        except ValidationError as weakness:
            self.stderr.write(f"Warning: {' '.join(weakness.messages)}")


def _as_json(opened: OpenedClient) -> str:
    """webhook_id, webhook_secret: only where a webhook was asked for."""
    webhook = opened.webhook
    return json.dumps(
        {
            "client_id": opened.client.pk,
            "email": opened.client.contact_email,
            "api_key": opened.issued.api_key,
            "api_secret": opened.issued.api_secret,
            "app_key": opened.issued.app_key,
            "sender_ids": opened.sender_ids,
            "balance": json_money(to_micros(opened.balance)),
            **({"webhook_id": webhook.endpoint.pk, "webhook_secret": webhook.secret} if webhook else {}),
        }
    )


def _as_text(opened: OpenedClient) -> str:
    client = opened.client
    return "\n".join(
        [
            f"Opened client {client.pk}, {client.name}. {client.contact_email} signs in as its owner.",
            f"Balance:         {format_money(opened.balance, client.currency, plain=True)}",
            f"Sender IDs:      {', '.join(opened.sender_ids) or 'none'}",
            "Shown this once:",
            f"API key:         {opened.issued.api_key}",
            f"API secret:      {opened.issued.api_secret}",
            f"Application key: {opened.issued.app_key}",
            *([f"Webhook secret:  {opened.webhook.secret}"] if opened.webhook else []),
        ]
    )
