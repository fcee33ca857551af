"""The doctor's look at the roads out: every provider account tried for real, its callbacks, its queue, its email."""

import ipaddress
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from crm.common.dns_text import NoAnswer, text_records
from crm.common.sql import database_now
from crm.doctor.findings import Finding
from messaging.models import Channel, ProviderAccount, Route, SenderId, SenderState
from messaging.provider_board import state_of
from messaging.providers.base import HttpRequest
from messaging.services.provider_access import adapter_of, address_of
from messaging.services.queues import wait_of
from messaging.services.trials import Trial, fetch, keep_balance, try_account

AT_ONCE = 8
OLD_SECONDS = 60.0
DKIM_SELECTORS = ("default", "dkim", "mail", "selector1", "selector2", "google", "s1", "s2", "k1", "smtp")


def examine_roads() -> Iterator[Finding]:
    """Every account, its routes, its queue and its callbacks. Nothing is sent."""
    accounts = list(ProviderAccount.objects.all())
    active = [account for account in accounts if account.is_active]
    if not active:
        yield Finding("providers", "none", "Connect one in the back office under Provider accounts.")
    if not Route.objects.filter(account__is_active=True).exists():
        yield Finding("routes", "none leads to an active account", "Add one in the back office under Routes.")
    now = database_now()
    for account, trial in zip(active, _try_all(active), strict=True):
        keep_balance(account=account, trial=trial)
        yield _finding_of(account, trial, now)
    yield from _queues(accounts, now)
    yield from examine_callbacks(active)
    yield from examine_email(active)


def _try_all(accounts: list[ProviderAccount]) -> list[Trial]:
    """All at once: ten providers that are away take as long as one."""

    def trial(account: ProviderAccount) -> Trial:
        try:
            return try_account(account)
        finally:
            connection.close()

    if len(accounts) < 2:
        return [try_account(account) for account in accounts]
    with ThreadPoolExecutor(AT_ONCE) as crew:
        return list(crew.map(trial, accounts))


def _finding_of(account: ProviderAccount, trial: Trial, now: datetime) -> Finding:
    subject = f"provider “{account.name}”"
    if trial.advice:
        return Finding(subject, trial.words, trial.advice, grave=trial.serious)
    if not account.routes.exists():
        return Finding(subject, f"{trial.words}; no route leads to it", "Add a route, or pause it.", grave=False)
    if account.rest_until and account.rest_until > now:
        words = f"rests until {account.rest_until:%H:%M:%S} UTC: {account.rest_reason}"
        return Finding(subject, words, "It comes back by itself; other routes are used until then.", grave=False)
    account.refresh_from_db()
    below = account.balance_alarm_micros
    if below is not None and account.balance_micros is not None and account.balance_micros < below:
        return Finding(subject, f"{trial.words}, which is low", "Top it up at the provider.", grave=False)
    return Finding(subject, trial.words)


def _queues(accounts: list[ProviderAccount], now: datetime) -> Iterator[Finding]:
    waits = wait_of([account.pk for account in accounts])
    for account in accounts:
        wait, state = waits[account.pk], state_of(account, now)
        if not wait["count"]:
            continue
        age = max(0.0, (now - wait["oldest"]).total_seconds()) if wait["oldest"] else 0.0
        words = f"{wait['count']}{'+' if wait['more'] else ''} waiting, the oldest for {age:.0f} s"
        subject = f"queue of “{account.name}”"
        if state == "paused":
            yield Finding(
                subject, f"{words}; the account is paused and no route takes them", "Resume it or move its queue: what "
                "waits for four hours fails and is refunded.",
            )  # fmt: skip
        elif age > OLD_SECONDS and state != "working":
            yield Finding(
                subject, f"{words}; the account is out of use: {account.rest_reason}", "Add another route, or move its "
                "queue in the back office.",
            )  # fmt: skip
        elif age > OLD_SECONDS and account.rate_per_second:
            words += f" at {account.rate_per_second} a second"
            yield Finding(subject, words, "Raise its rate, or share its routes with another account.", grave=False)


def examine_callbacks(accounts: list[ProviderAccount]) -> Iterator[Finding]:
    """Whether PUBLIC_URL leads to our own door for callbacks, as a provider would see it from here."""
    calling = [account for account in accounts if _calls_back(account)]
    if not calling:
        return
    far = [account.name for account in calling if not _is_near(address_of(account))]
    url = f"{settings.PUBLIC_URL}/callbacks/doctor/nobody/delivery"
    ended = fetch(HttpRequest("GET", url, (), b""))
    if ended.kind == "answer" and ended.status in (404, 405) and b'"error"' in ended.body:
        if far and _is_near(settings.PUBLIC_URL):
            yield Finding(
                "callbacks", f"{settings.PUBLIC_URL} is this machine alone; {far[0]} cannot reach it",
                "Set PUBLIC_URL to the address under which the internet reaches this installation.",
            )  # fmt: skip
        else:
            yield Finding("callbacks", f"{settings.PUBLIC_URL}/callbacks answers")
        return
    seen = f"HTTP {ended.status}" if ended.kind == "answer" else ended.problem
    if not far:
        yield Finding("callbacks", f"{settings.PUBLIC_URL} does not answer ({seen}); every provider is on this machine")
        return
    yield Finding(
        "callbacks", f"{settings.PUBLIC_URL} does not lead here ({seen}): reports would be lost",
        "Start the web process, or mend PUBLIC_URL, DNS or the proxy in front.",
    )  # fmt: skip


def _calls_back(account: ProviderAccount) -> bool:
    try:
        return bool(adapter_of(account).callback_kinds)
    except LookupError:
        return False


def _is_near(address: str) -> bool:
    """Whether an address names this very machine."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def examine_email(accounts: list[ProviderAccount], look: Any = text_records) -> Iterator[Finding]:
    """SPF, DKIM and DMARC of every domain that approved email senders write from, where email is sent at all."""
    letters = []
    for account in accounts:
        try:
            if Channel.EMAIL in adapter_of(account).channels and not _is_near(address_of(account)):
                letters.append(account)
        except LookupError:
            continue
    if not letters:
        return
    names = SenderId.objects.unscoped().filter(channel=Channel.EMAIL, state=SenderState.APPROVED)
    for domain in sorted({name.rpartition("@")[2] for name in names.values_list("name", flat=True) if "@" in name}):
        yield from _records_of(domain, look)


def _records_of(domain: str, look: Any) -> Iterator[Finding]:
    subject = f"email from {domain}"
    try:
        spf = [record for record in look(domain) if record.lower().startswith("v=spf1")]
        dmarc = [record for record in look(f"_dmarc.{domain}") if record.lower().startswith("v=dmarc1")]
        dkim = any("p=" in record for selector in DKIM_SELECTORS for record in look(f"{selector}._domainkey.{domain}"))
    except NoAnswer as error:
        yield Finding(subject, f"its records are unknown: {error}", "Check this host's DNS resolver.", grave=False)
        return
    if len(spf) != 1:
        words = "has no SPF record" if not spf else f"has {len(spf)} SPF records, which counts as none"
        advice = "Publish one TXT record “v=spf1 include:<your mail provider> ~all” at the domain."
        yield Finding(subject, words, advice)
    if not dmarc:
        advice = f"Publish a TXT record at _dmarc.{domain}, to begin with “v=DMARC1; p=none; rua=mailto:…”."
        yield Finding(subject, "has no DMARC record", advice)
    if not dkim:
        advice = (
            "Turn signing on at the mail provider and publish its key; other selectors than the usual are not seen."
        )
        yield Finding(subject, "no DKIM key under the usual selectors", advice, grave=False)
    if len(spf) == 1 and dmarc and dkim:
        yield Finding(subject, "SPF, DKIM and DMARC are there")
