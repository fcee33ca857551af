"""The accounts that take payers' money: which one is asked, the adapter that speaks for it, and its addresses."""

from django.conf import settings
from django.db.models.functions import Now

from wallet.errors import TopUpsClosed
from wallet.models import PaymentAccount
from wallet.payments.base import PaymentMethod, UnusableAccount
from wallet.payments.http import PaymentHttp
from wallet.payments.registry import METHODS, get_method
from wallet.payments.tokens import CachedToken

ENVIRONMENT = "Environment"  # name of the account that MPESA_SHORTCODE and its companions describe


def current_account(method: str = "mpesa") -> PaymentAccount:
    """The account that new top-ups are paid into. Raises: TopUpsClosed."""
    if method not in METHODS:
        raise TopUpsClosed
    account = fill_from_environment() or PaymentAccount.objects.filter(method=method, is_active=True).first()
    if account is None or not account.is_active:
        raise TopUpsClosed
    return account


def fill_from_environment() -> PaymentAccount | None:
    """The account that the environment describes, written or brought up to date; None where it describes none."""
    values = settings.MPESA_CREDENTIALS
    if not values.get("shortcode"):
        return None
    account = PaymentAccount.objects.filter(name=ENVIRONMENT).first()
    facts = {"credentials": values, "has_statement": settings.MPESA_HAS_STATEMENT}
    if account is None:
        return PaymentAccount.objects.get_or_create(name=ENVIRONMENT, defaults=facts)[0]
    if any(getattr(account, name) != value for name, value in facts.items()):
        PaymentAccount.objects.filter(pk=account.pk).update(**facts)
        account.refresh_from_db()
    return account


def open_method(account: PaymentAccount) -> PaymentMethod:
    """The adapter for an account. Raises: TopUpsClosed where its values are not complete."""
    method = get_method(account.method)
    base_url = account.base_url or getattr(settings, f"{account.method.upper()}_BASE_URL", "")
    secrets = [account.credentials.get(field.name, "") for field in method.fields if field.secret]
    try:
        return method(account.credentials, base_url, CachedToken(base_url, *secrets), PaymentHttp())
    except UnusableAccount as error:
        raise TopUpsClosed(f"Top-ups are closed: {error}") from None


def callback_url(token: str) -> str:
    """Where a prompt's end is told. Safaricom refuses addresses that hold its own name or words of SQL and shells."""
    return f"{settings.PUBLIC_URL}/callbacks/pay/{token}"


def register_paybill(*, account: PaymentAccount) -> str:
    """Have payments to the paybill told to us. Returns the operator's problem in words, "" for none."""
    base = f"{settings.PUBLIC_URL}/callbacks/pay/{account.path_token}"
    problem = open_method(account).register(
        confirmation_url=f"{base}/confirmation", validation_url=f"{base}/validation"
    )
    if not problem:
        PaymentAccount.objects.filter(pk=account.pk).update(registered_at=Now())
    return problem
