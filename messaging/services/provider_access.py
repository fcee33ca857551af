"""What it takes to speak to an account's provider: its address and its values, one rule for all who speak to it."""

from collections.abc import Sequence

from django.conf import settings

from crm.common.reading import CompiledRead
from crm.common.together import Together
from messaging.models import ProviderAccount
from messaging.providers.base import AnyAdapter, Credentials
from messaging.providers.registry import get_adapter

_AT_TOKEN = CompiledRead(lambda token: ProviderAccount.objects.filter(callback_token=token))


def _find_for_all(tokens: Sequence[str]) -> list[ProviderAccount | None]:
    return [_AT_TOKEN.first(tokens[0])] * len(tokens)


_look_ups: Together[str, ProviderAccount | None] = Together(_find_for_all)


def account_called(*, adapter: str, token: str) -> ProviderAccount | None:
    """The account that a callback's address names, to be read only: calls of the same moment share its look-up."""
    account = None if "\x00" in token else _look_ups.ask(token, token)  # no text for PostgreSQL
    return account if account is not None and account.adapter == adapter else None


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
