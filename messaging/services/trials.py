"""Trying a provider account for real, without sending: is it reached, does it know us, how much credit is left.

Used by the back office, `manage.py doctor` and the watch over balances, so that all of them say the same.
"""

import logging
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import send_mail
from django.db import connection, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from crm.common.money import format_money, to_micros
from crm.common.sql import later_sql, now_sql
from crm.common.transfers import Ended, Transfers
from messaging.models import DecisionKind, ProviderAccount, ProviderLine
from messaging.providers.base import (
    Adapter,
    Balance,
    HttpRequest,
    HttpResponse,
    SentMessage,
    SessionAdapter,
    UnusableCredentials,
)
from messaging.services.provider_access import adapter_of, address_of, credentials_of
from messaging.services.providers import record_decision

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5
TOTAL_SECONDS = 15
BALANCE_EVERY = 600  # seconds
MOST_SKEW = 120.0  # seconds between our clock and a provider's; signatures and tokens commonly allow five minutes
_SIX = Decimal("0.000001")
PORTS = {"https": 443, "http": 80, "smpp": 2775, "smpps": 3550, "smtp": 25, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial came to. words: what was seen, with the provider's own; advice: what to do, "" where all is well.

    serious: nothing can leave by this account. skew: seconds by which the provider's clock is ahead of ours.
    """

    words: str
    advice: str = ""
    serious: bool = False
    balance: Balance | None = None
    skew: float | None = None


def try_account(account: ProviderAccount) -> Trial:
    """Ask the provider something harmless: its balance, else about a message that does not exist, else for an answer
    at all. Never raises.
    """
    try:
        adapter = adapter_of(account)
        address = address_of(account)
    except LookupError as error:
        return Trial(str(error), _("Choose an adapter of this release, or pause the account."), serious=True)
    if problems := adapter.problems_with(account.credentials):
        return Trial(" ".join(problems.values()), _("Enter what is missing in the account's form."), serious=True)
    if unreachable := _knock(address):
        return unreachable
    if not isinstance(adapter, Adapter):
        return _try_session(adapter, account, address)
    try:
        request, asks = _harmless(adapter, account, address)
    except UnusableCredentials as error:
        return Trial(str(error), _("Correct the credentials in the account's form."), serious=True)
    return _read(adapter, address, asks, fetch(request))


def _try_session(adapter: SessionAdapter, account: ProviderAccount, address: str) -> Trial:
    """By a connection of its own, or by what the worker says that holds the only one."""
    if adapter.keeps_line:
        line = ProviderLine.objects.filter(account=account).first()
        if line is None or line.connected_at is None:
            problem = (line and line.problem) or _("no worker holds the line")
            return Trial(
                _("%(host)s is not connected: %(problem)s") % {"host": _shown(address), "problem": problem},
                _("Start a worker; if one runs, correct the credentials or ask the provider."),
                serious=True,
            )
        since = f"{line.connected_at:%Y-%m-%d %H:%M} UTC"
        return Trial(_("%(host)s is connected since %(since)s") % {"host": _shown(address), "since": since})
    try:
        return Trial(adapter.try_out(credentials_of(account), address))
    except NotImplementedError:
        return Trial(_("%(address)s takes connections") % {"address": _shown(address)})
    except UnusableCredentials as error:
        return Trial(str(error), _("Correct the credentials in the account's form."), serious=True)
    except ConnectionError as error:
        return Trial(str(error), _("Check the address and its encryption; ask the provider."), serious=True)


def _harmless(adapter: Adapter, account: ProviderAccount, address: str) -> tuple[HttpRequest, str]:
    credentials = credentials_of(account)
    if adapter.can.balance:
        return adapter.balance_request(credentials, address), "balance"
    if adapter.can.lookup:
        nobody = SentMessage(id=0, to="+254700000000", sender="", reference="TEST", provider_message_id="0")
        return adapter.lookup_request([nobody], credentials, address), "lookup"
    return HttpRequest("GET", address, (), b""), "answer"


def _read(adapter: Adapter, address: str, asks: str, ended: Ended) -> Trial:
    host = _shown(address)
    if ended.kind != "answer":
        return Trial(
            _("%(host)s gave no answer: %(problem)s") % {"host": host, "problem": ended.problem},
            _("Check the account's address, this host's network and its firewall."),
            serious=True,
        )
    skew = _skew_of(ended)
    said = ended.body[:200].decode("utf-8", "replace").replace("\x00", " ").strip()
    heard = f"HTTP {ended.status}" + (f": {said}" if said else "")
    if asks == "answer":
        return _with_skew(Trial(_("%(host)s answers; it offers no way to try the credentials.") % {"host": host}), skew)
    balance = adapter.balance_of(HttpResponse(ended.status, ended.headers, ended.body)) if asks == "balance" else None
    if balance is not None:
        amount = f"{balance.amount:,f}"
        if balance.currency:
            amount = format_money(balance.amount, balance.currency, plain=True)
        words = _("%(host)s knows the account: balance %(amount)s") % {"host": host, "amount": amount}
        return _with_skew(Trial(words, balance=balance), skew)
    if ended.status in (401, 403):
        return Trial(
            _("%(host)s refuses the credentials (%(heard)s)") % {"host": host, "heard": heard},
            _("Correct the credentials in the account's form."),
            serious=True,
            skew=skew,
        )
    if asks == "lookup" and ended.status < 500:
        return _with_skew(Trial(_("%(host)s answers our questions about messages") % {"host": host}), skew)
    return Trial(
        _("%(host)s answers in a way that cannot be read (%(heard)s)") % {"host": host, "heard": heard},
        _("Check the address and the credentials; ask the provider if both are right."),
        skew=skew,
    )


def _with_skew(trial: Trial, skew: float | None) -> Trial:
    if skew is None or abs(skew) <= MOST_SKEW:
        return Trial(trial.words, balance=trial.balance, skew=skew)
    return Trial(
        _("%(words)s; its clock differs from ours by %(seconds)d seconds") % {"words": trial.words, "seconds": skew},
        _("Set this host's clock by NTP."),
        balance=trial.balance,
        skew=skew,
    )


def _skew_of(ended: Ended) -> float | None:
    """By how many seconds the Date of an answer is ahead of our clock."""
    value = dict(ended.headers).get("date")
    try:
        moment = parsedate_to_datetime(value) if value else None
    except ValueError:
        return None
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()


def _shown(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme, 0)}"


def _knock(address: str) -> Trial | None:
    """A connection, and a TLS handshake where the address asks for one; None when both succeed."""
    advice = _("Check the account's address, this host's network and its firewall.")
    try:
        parts = urlsplit(address)
        port = parts.port or PORTS[parts.scheme]
        with socket.create_connection((parts.hostname or "", port), timeout=CONNECT_SECONDS) as plain:
            if parts.scheme in ("https", "smpps", "smtps"):
                ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname).close()
    except ssl.SSLError as error:
        return Trial(
            _("%(address)s has no TLS that can be trusted (%(error)s)") % {"address": _shown(address), "error": error},
            _("Check the address; a provider's certificate must be valid for its name."),
            serious=True,
        )
    except (OSError, ValueError, KeyError) as error:
        try:
            shown = _shown(address)
        except ValueError:
            shown = address[:60]
        words = _("%(address)s cannot be reached (%(error)s)") % {"address": shown, "error": error}
        return Trial(words, advice, serious=True)
    return None


def fetch(request: HttpRequest) -> Ended:
    """Make one request and wait for its end."""
    transfers = Transfers(connect_seconds=CONNECT_SECONDS, total_seconds=TOTAL_SECONDS)
    try:
        transfers.start(None, request.method, request.url, request.headers, request.body)
        while True:
            for _tag, ended in transfers.ended():
                return ended
            transfers.wait(0.1)
    finally:
        transfers.close()


def accounts_to_ask_for_balance() -> list[int]:
    """Accounts whose credit was not read for ten minutes, taken by moving the next time on."""
    able = [pk for pk, adapter in _able()]
    if not able:
        return []
    marks = ", ".join(["%s"] * len(able))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_provideraccount SET balance_due_at = {later_sql(BALANCE_EVERY)}
                WHERE id IN ({marks}) AND (balance_due_at IS NULL OR balance_due_at <= {now_sql()}) RETURNING id""",
            able,
        )
        return [row[0] for row in cursor.fetchall()]


def _able() -> list[tuple[int, Adapter]]:
    found = []
    for account in ProviderAccount.objects.filter(is_active=True):
        try:
            adapter = adapter_of(account)
        except LookupError:
            continue
        if isinstance(adapter, Adapter) and adapter.can.balance:
            found.append((account.pk, adapter))
    return found


def read_balance(*, account_id: int) -> Balance | None:
    """Ask a provider for its account's credit and keep it; tell staff once when it falls below the account's alarm."""
    account = ProviderAccount.objects.filter(pk=account_id).first()
    if account is None:
        return None
    trial = try_account(account)
    if keep_balance(account=account, trial=trial):
        _tell_staff(account, trial)
    return trial.balance


@transaction.atomic
def keep_balance(*, account: ProviderAccount, trial: Trial) -> bool:
    """Write down what a trial said of the credit. Returns whether staff must be told that it is low, once a fall."""
    row = ProviderAccount.objects.filter(pk=account.pk)
    if trial.balance is None:
        row.update(balance_problem=trial.words[:200])
        return False
    micros = to_micros(trial.balance.amount.quantize(_SIX))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE messaging_provideraccount SET balance_micros = %s, balance_currency = %s, balance_problem = '',
                balance_at = {now_sql()} WHERE id = %s""",
            [micros, trial.balance.currency[:3], account.pk],
        )
        cursor.execute(
            "UPDATE messaging_provideraccount SET balance_told_at = NULL WHERE id = %s AND balance_told_at IS NOT NULL "
            "AND (balance_alarm_micros IS NULL OR balance_micros >= balance_alarm_micros)",
            [account.pk],
        )
        cursor.execute(
            f"""UPDATE messaging_provideraccount SET balance_told_at = {now_sql()} WHERE id = %s
                AND balance_told_at IS NULL AND balance_micros < balance_alarm_micros""",
            [account.pk],
        )
        falls = cursor.rowcount == 1
    if falls:
        record_decision(account_id=account.pk, kind=DecisionKind.BALANCE, reason=trial.words)
    return falls


def _tell_staff(account: ProviderAccount, trial: Trial) -> None:
    people = list(User.objects.filter(is_staff=True, is_active=True).values_list("email", flat=True))
    if not people:
        return
    try:
        send_mail(
            subject=_("%(brand)s: the credit at %(account)s is low")
            % {"brand": settings.BRAND_NAME, "account": account.name},
            message=_("%(words)s. Top it up before messages wait for it.\n\n%(url)s/staff/")
            % {"words": trial.words, "url": settings.PUBLIC_URL},
            from_email=None,
            recipient_list=people,
        )
    except OSError:  # the decision is on the board all the same
        log.exception("staff could not be told of the low balance of provider account %s", account.pk)
