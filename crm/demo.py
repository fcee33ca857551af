"""What a first start makes so that a newcomer can send at once: the sandbox as a provider, and a demo client.

The demo client's key is shown at every start, unlike any other key, so its access is kept in `VAR_DIR`/demo.json,
readable by the owner of the files alone. Its money and messages are play: only the sandbox gets them.
"""

import json
import os
import secrets
import urllib.request
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path

from django.conf import settings
from django.db import transaction

from accounts.models import ApiKey, Client
from contacts.services.contacts import create_contact
from contacts.services.groups import add_to_group, create_group
from crm.common.crypto import digest
from crm.opening import open_ready_client
from messaging.models import ProviderAccount, Route
from messaging.services.providers import add_route, connect_provider
from messaging.services.senders import approve_email_sender
from wallet.models import PaymentAccount, PricePlan
from wallet.services import set_rate
from wallet.topups.accounts import fill_from_environment, register_paybill

SANDBOX = "Sandbox"  # name of its provider account
SANDBOX_MAIL = "Sandbox mail"
SANDBOX_SMPP = "Sandbox SMPP"
ADAPTER = "africastalking"
EMAIL = "demo@tarishi.test"
CREDIT = Decimal(25_000)  # enough for a list of 10,000 and some more
SENDER_IDS = ("TARISHI", "HOSPITAL")
PEOPLE = (("Amina", "+254712345678"), ("Baraka", "+254722000101"), ("Zuri", "+254733000102"))
GROUP = "First friends"
MAIL_FROM = "news@acme.test"
MAIL_PRICE = Decimal("0.10")  # of a mail, in the demo client's plan
# Safaricom's published test paybill (developer.safaricom.co.ke, "M-Pesa Express"); no money can move by it.
SANDBOX_PAYBILL = {
    "shortcode": "174379",
    "passkey": "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919",
}


@dataclass(frozen=True, slots=True)
class Access:
    """How to use the demo client: by its owner's sign-in and by its API key."""

    client_id: int
    email: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)
    sender_id: str
    operator_id: int = 0  # the client whose sender and wallet carry the installation's own SMS


def connect_sandbox() -> None:
    """Make the sandbox a provider with a route, unless another provider is set up; follow it when its port changed.

    AFRICASTALKING_BASE_URL, where it is set, is spoken to instead.
    """
    base_url = settings.AFRICASTALKING_BASE_URL or settings.SANDBOX_URL
    ProviderAccount.objects.filter(name=SANDBOX).exclude(base_url=base_url).update(base_url=base_url)
    if ProviderAccount.objects.exists():
        return
    with transaction.atomic():
        account = connect_provider(
            name=SANDBOX,
            adapter=ADAPTER,
            credentials={"username": "sandbox", "api_key": secrets.token_urlsafe(24)},
            base_url=base_url,
        )
        if not Route.objects.filter(channel="sms").exists():
            add_route(account=account)


def connect_sandbox_wires() -> None:
    """The sandbox's SMPP and mail doors as provider accounts, beside the one by HTTP; the mails' door has a route.

    Only on an installation that uses the sandbox. They follow it when its ports changed.
    """
    if not ProviderAccount.objects.filter(name=SANDBOX).exists():
        return
    wires = {
        SANDBOX_MAIL: ("smtp", f"smtp://127.0.0.1:{settings.SANDBOX_SMTP_PORT}", {"tls": "none"}),
        SANDBOX_SMPP: (
            "smpp",
            f"smpp://127.0.0.1:{settings.SANDBOX_SMPP_PORT}",
            {"system_id": "sandbox", "password": secrets.token_urlsafe(6)},
        ),
    }
    for name, (adapter, base_url, credentials) in wires.items():
        account = ProviderAccount.objects.filter(name=name).first()
        if account is None:
            account = connect_provider(name=name, adapter=adapter, credentials=credentials, base_url=base_url)
            if adapter == "smtp" and not Route.objects.filter(channel="email").exists():
                add_route(account=account, channel="email")
        elif account.base_url != base_url:
            ProviderAccount.objects.filter(pk=account.pk).update(base_url=base_url)


def connect_mpesa() -> None:
    """Open top-ups by the sandbox's M-Pesa, unless an account is set up; follow the sandbox when its port changed.

    MPESA_BASE_URL, where it is set, is spoken to instead.
    """
    base_url = settings.MPESA_BASE_URL or settings.SANDBOX_URL
    PaymentAccount.objects.filter(name=SANDBOX).exclude(base_url=base_url).update(base_url=base_url)
    if fill_from_environment() is None and not PaymentAccount.objects.exists():
        credentials = {"kind": "paybill", "consumer_key": "sandbox", "consumer_secret": secrets.token_urlsafe(24)}
        PaymentAccount.objects.create(
            name=SANDBOX, base_url=base_url, credentials=credentials | SANDBOX_PAYBILL, has_statement=True
        )


def register_sandbox_paybill() -> None:
    """Have payments to the sandbox's paybill told to us. Raises: OSError."""
    account = PaymentAccount.objects.filter(name=SANDBOX, base_url=settings.SANDBOX_URL, is_active=True).first()
    if account and (problem := register_paybill(account=account)):
        raise OSError(problem)


def tell_sandbox() -> None:
    """Give the sandbox the callback addresses of its account, as one would in a carrier's dashboard.

    Raises: OSError, when it does not answer or refuses.
    """
    account = ProviderAccount.objects.filter(name=SANDBOX).first()
    if account is None:
        return
    base = f"{settings.PUBLIC_URL}/callbacks/{ADAPTER}/{account.callback_token}"
    _put_callbacks({"delivery": f"{base}/delivery", "optout": f"{base}/optout"})
    mail = ProviderAccount.objects.filter(name=SANDBOX_MAIL).first()
    if mail is not None:
        bounces = f"{settings.PUBLIC_URL}/callbacks/smtp/{mail.callback_token}/bounce"
        _put_callbacks({"username": "smtp:mail", "delivery": bounces})


def _put_callbacks(values: dict[str, str]) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own sandbox
        f"{settings.SANDBOX_URL}/sandbox/callbacks",
        data=json.dumps(values).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by the environment's proxy
    with opener.open(request, timeout=2):
        pass


def seed_if_empty() -> bool:
    """Open the demo client where there is no client at all. Returns whether it was made."""
    if Client.objects.exists():
        return False
    with transaction.atomic():
        password = secrets.token_urlsafe(9)
        opened = open_ready_client(
            name="Acme", email=EMAIL, password=password, credit=CREDIT, sender_ids=SENDER_IDS, country="KE"
        )
        approve_email_sender(client=opened.client, address=MAIL_FROM, display_name="Acme")
        plan = PricePlan.objects.get(wallets__client=opened.client)
        if not plan.rates.filter(channel="email").exists():
            set_rate(plan=plan, channel="email", price_per_unit=MAIL_PRICE)
        people = [
            create_contact(client=opened.client, name=name, phone=phone, email=f"{name.lower()}@people.test")
            for name, phone in PEOPLE
        ]
        group = create_group(client=opened.client, name=GROUP)
        add_to_group(group=group, contact_ids=[contact.pk for contact in people])
        operator = open_ready_client(
            name=settings.BRAND_NAME, email=EMAIL, credit=CREDIT, sender_ids=SENDER_IDS[:1], country="KE"
        )
        # Before the commit: a client whose key nobody knows would be of no use.
        _keep(
            Access(opened.client.pk, EMAIL, password, opened.issued.api_key, opened.sender_ids[0], operator.client.pk)
        )
    return True


def load_access() -> Access | None:
    """The demo client's access; None where there is none, or its key no longer holds."""
    try:
        access = Access(**json.loads(_path().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    live = ApiKey.objects.for_client(access.client_id).filter(key_hash=digest(access.api_key), revoked_at=None)
    return access if live.exists() else None


def operator_id() -> int:
    """The client that sends the installation's own SMS in the demo; 0 where there is no demo."""
    access = load_access()
    return access.operator_id if access else 0


def _path() -> Path:
    return Path(settings.VAR_DIR, "demo.json")


def _keep(access: Access) -> None:
    draft = _path().with_suffix(".tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as handle:
        json.dump(asdict(access), handle)
    os.replace(draft, _path())
