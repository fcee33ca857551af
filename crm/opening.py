"""Opens a client that can send at once: owner, wallet with its price, approved sender IDs, API key."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction

from accounts.models import Client, User
from accounts.scopes import SCOPES
from accounts.services.clients import open_client
from accounts.services.keys import IssuedKey, create_api_key
from accounts.services.webhooks import IssuedEndpoint, create_endpoint
from crm.common.errors import InvalidInput
from crm.common.money import to_micros
from messaging.services.senders import approve_sender_id
from messaging.services.trial import start_trial
from wallet import queries as wallets
from wallet.services import create_price_plan, credit_wallet, grant_trial_credit, open_wallet


@dataclass(frozen=True, slots=True)
class OpenedClient:
    """A client that was opened. issued: its key, to be shown once; sender_ids: the first is the default.

    webhook: its endpoint and secret, to be shown once; None where none was asked for.
    """

    client: Client
    issued: IssuedKey
    sender_ids: list[str]
    balance: Decimal
    webhook: IssuedEndpoint | None = None


@transaction.atomic
def open_ready_client(
    *,
    name: str,
    email: str,
    password: str | None = None,
    country: str = "KE",
    currency: str = "",
    time_zone: str = "",
    simulation: bool = False,
    rate_limit: int | None = None,
    credit: Decimal = Decimal(0),
    price_per_unit: Decimal | None = None,
    sender_ids: Sequence[str] = (),
    webhook_url: str = "",
    webhook_secret: str = "",
) -> OpenedClient:
    """`accounts.services.clients.open_client`, and what the apps above it add, or nothing at all.

    credit: added to the wallet as its opening balance; without it the client gets the trial credit, if there is any.
    price_per_unit: of an SMS, in a price plan of the client's own;
    None: the default plan of its currency. webhook_url: told of every event from here on; "" for no webhook.
    Raises: InvalidInput, fields as the parameters, and `url` and `secret` of the webhook.
    """
    _check_amount("credit", credit)
    if price_per_unit is not None:
        _check_amount("price_per_unit", price_per_unit)
    client = open_client(
        name=name,
        email=email,
        password=password,
        country=country,
        currency=currency,
        time_zone=time_zone,
        simulation=simulation,
        rate_limit=rate_limit,
    )
    plan = None
    if price_per_unit is not None:
        plan = create_price_plan(name=client.name[:80], currency=client.currency, price_per_unit=price_per_unit)
    open_wallet(client=client, plan=plan)
    if credit:
        credit_wallet(client=client, amount=credit, reference="opening", description="Opening balance")
    else:
        grant_trial_credit(client=client)
    names = [
        approve_sender_id(client=client, name=sender_id, default=position == 0).name
        for position, sender_id in enumerate(dict.fromkeys(sender_ids))
    ]
    issued = create_api_key(client=client, name="First key", scopes=SCOPES)
    webhook = None
    if webhook_url:
        webhook = create_endpoint(client=client, url=webhook_url, events=["*"], secret=webhook_secret)
    return OpenedClient(client, issued, names, wallets.balance_of(client.pk).balance, webhook)


def open_registered_client(*, name: str, owner: User, country: str, language: str) -> Client:
    """The organisation of somebody who registered: in trial, able to write to its own people at once.

    Trial: see messaging.models.SendingRules. The sender is the installation's own until one of theirs is approved.
    Raises: InvalidInput.
    """
    with transaction.atomic():
        client = open_client(name=name, email=owner.email, country=country, language=language)
        open_wallet(client=client)
        start_trial(client=client)
        grant_trial_credit(client=client)
    return client


def _check_amount(field: str, amount: Decimal) -> None:
    try:
        is_amount = to_micros(amount) >= 0
    except ValueError:
        is_amount = False
    if not is_amount:
        raise InvalidInput({field: ["Give an amount of money, zero or more, with at most 6 decimals."]})
