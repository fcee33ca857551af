"""Sending notices that wait: email outside any transaction, SMS by the app above; retried, never lost."""

import logging
from datetime import timedelta

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F

from accounts.models import Notice, NoticeState
from accounts.services.notices import NO_SYSTEM_SENDER
from accounts.signals import system_sms
from crm.common.sql import database_now

log = logging.getLogger(__name__)

MOST_AT_ONCE = 5
LEASE = timedelta(minutes=2)  # longer than EMAIL_TIMEOUT lets so many take: then whoever had them is gone
RETRY_AFTER = (60, 300, 1800, 7200, 21_600)  # seconds after each failed attempt; then it has failed
KEPT = timedelta(days=30)


def is_due() -> bool:
    """Whether a notice waits that nobody is sending."""
    return Notice.objects.unscoped().filter(state=NoticeState.WAITING, next_at__lte=database_now()).exists()


def send_waiting() -> int:
    """Send what is due; returns how many left. A crash between the mail server's yes and our mark sends it again."""
    sent = 0
    while batch := _claim():
        sent += sum(_send(notice) for notice in batch)
    return sent


def _claim() -> list[Notice]:
    now = database_now()
    due = Notice.objects.unscoped().filter(state=NoticeState.WAITING, next_at__lte=now)
    mine = []
    for notice in list(due.order_by("pk")[:MOST_AT_ONCE]):
        if due.filter(pk=notice.pk).update(next_at=now + LEASE, attempts=F("attempts") + 1):
            notice.attempts += 1
            mine.append(notice)
    return mine


def _send(notice: Notice) -> bool:
    return _send_email(notice) if notice.channel == "email" else _send_sms(notice)


def _send_email(notice: Notice) -> bool:
    try:
        EmailMessage(notice.subject, notice.text, to=[notice.address]).send()
    except (OSError, ValueError) as error:  # SMTP's errors are OSErrors; a header that cannot be is a ValueError
        log.warning("a notice of client %d was not sent: %s", notice.client_id, type(error).__name__)
        _put_off(notice, f"The mail server did not take it ({type(error).__name__}).")
        return False
    _close(notice, NoticeState.SENT)
    return True


@transaction.atomic
def _send_sms(notice: Notice) -> bool:
    """The message is accepted and the notice marked in one transaction: it leaves once."""
    answers = [str(answer or "") for _, answer in system_sms.send(Notice, phone=notice.address, text=notice.text)]
    problem = answers[0] if answers else NO_SYSTEM_SENDER
    _close(notice, NoticeState.SKIPPED if problem else NoticeState.SENT, problem)
    return not problem


def _put_off(notice: Notice, problem: str) -> None:
    if notice.attempts > len(RETRY_AFTER):
        _close(notice, NoticeState.FAILED, problem)
        return
    later = database_now() + timedelta(seconds=RETRY_AFTER[notice.attempts - 1])
    Notice.objects.for_client(notice.client_id).filter(pk=notice.pk).update(next_at=later, problem=problem[:200])


def _close(notice: Notice, state: NoticeState, problem: str = "") -> None:
    rows = Notice.objects.for_client(notice.client_id).filter(pk=notice.pk)
    sent_at = database_now() if state == NoticeState.SENT else None
    rows.update(state=state, next_at=None, problem=problem[:200], sent_at=sent_at)


def forget_old_notices() -> None:
    """They name addresses: a month is long enough to see what went where."""
    Notice.objects.unscoped().filter(created_at__lt=database_now() - KEPT).exclude(state=NoticeState.WAITING).delete()
