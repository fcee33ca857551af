"""What it takes to speak to an account's provider: its address and its values, one rule for all who speak to it."""

from django.conf import settings

from messaging.models import ProviderAccount
from messaging.providers.base import AnyAdapter, Credentials
from messaging.providers.registry import get_adapter


def callback_base(account: ProviderAccount) -> str:
    """The public address under which the provider reaches us for this account; a kind follows after a slash."""
    return f"{settings.PUBLIC_URL}/callbacks/{account.adapter}/{account.callback_token}"


def credentials_of(account: ProviderAccount) -> Credentials:
    """The account's values, and `callback_url` for providers that are told with each message where to report."""
    return Credentials({**account.credentials, "callback_url": callback_base(account)})


def adapter_of(account: ProviderAccount) -> AnyAdapter:
    """The adapter that speaks for this account. Raises: LookupError."""
    return get_adapter(account.adapter).for_account(credentials_of(account))


def address_of(account: ProviderAccount) -> str:
    """The account's own address, else the setting for its adapter, else the vendor's. Raises: LookupError."""
    return (
        account.base_url
        or getattr(settings, f"{account.adapter.upper()}_BASE_URL", "")
        or get_adapter(account.adapter).default_base_url
    )
