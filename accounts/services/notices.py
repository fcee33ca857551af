"""Telling members what happened: written down with what caused it, sent by a task, each in the way its reader chose.

The apps above call `notify` inside the transaction of the change; accounts.delivery.letters sends after the commit and
tries again, so neither a crash nor a mail server that is away loses a notice.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from accounts import wake
from accounts.models import Client, Membership, Notice, NoticeSettings, NoticeState
from accounts.notices import KINDS, NOTICES, TEST, NoticeKind
from accounts.signals import asking_system_sender
from crm.common.errors import DomainError, InvalidInput
from crm.common.phones import InvalidPhone, read_phone
from crm.common.sql import database_now

CHANNELS = ("email", "sms")
NO_PHONE = gettext_noop("No phone number for SMS was given.")  # translated where it is read
NO_SYSTEM_SENDER = gettext_noop("This installation has no sender for SMS of its own.")
TEST_AGAIN_AFTER = timedelta(minutes=1)


class TestedJustNow(DomainError):
    code = "tested_just_now"
    default_message = gettext_lazy("A test was sent within the last minute. Wait a little before the next.")


def system_sender() -> str:
    """The sender ID that notices go out under by SMS; "" where the operator set none up."""
    return next((name for _, name in asking_system_sender.send(Notice) if name), "")


def kinds_for(membership: Membership) -> list[NoticeKind]:
    """What this member may be told of."""
    return [kind for kind in KINDS if membership.may(kind.permission)]


def settings_of(membership: Membership) -> NoticeSettings:
    """The member's own choices; unsaved and empty where none were made."""
    found = NoticeSettings.objects.filter(membership=membership).first()
    return found or NoticeSettings(membership=membership, choices={})


def channels_of(kind: NoticeKind, role: str, chosen: NoticeSettings | None) -> list[str]:
    """By which channels a member with `role` is told of `kind`."""
    default = ["email"] if role in kind.roles else []
    return [name for name in (chosen.choices.get(kind.name, default) if chosen else default) if name in CHANNELS]


def save_settings(*, membership: Membership, phone: str, choices: Mapping[str, Iterable[str]]) -> NoticeSettings:
    """Keep a member's choices; events that are not named, or not theirs to hear of, stay as they were.

    phone: as people write it, "" for none. Raises: InvalidInput (phone).
    """
    number = ""
    if phone.strip():
        try:
            number = read_phone(phone, membership.client.country).e164
        except InvalidPhone as error:
            raise InvalidInput({"phone": [str(error)]}) from None
    allowed = {kind.name for kind in kinds_for(membership)}
    wanted = {
        event: [name for name in CHANNELS if name in set(channels)]
        for event, channels in choices.items()
        if event in allowed
    }
    if not number and any("sms" in channels for channels in wanted.values()):
        raise InvalidInput({"phone": [_("Give the phone number that SMS go to, or untick SMS.")]})
    kept = settings_of(membership).choices
    return NoticeSettings.objects.update_or_create(
        membership=membership, defaults={"phone": number, "choices": kept | wanted}
    )[0]


def notify(*, client: Client, event: str, facts: Mapping[str, Any]) -> int:
    """Write down a notice for each member of `client` who wants one of `event`; returns how many.

    Runs in the caller's transaction and wakes the sender after it. facts: what the event's template prints, beside
    `client` and `brand`. Raises: KeyError for an unknown event.
    """
    kind = NOTICES[event]
    members = Membership.objects.filter(client=client, user__is_active=True).order_by("pk")
    rows = []
    for member in members.select_related("user", "notice_settings"):
        chosen = getattr(member, "notice_settings", None)
        if member.may(kind.permission) and (channels := channels_of(kind, member.role, chosen)):
            rows += _written(member, client, event, kind.template, facts, channels, chosen.phone if chosen else "")
    return _keep(rows)


def send_test(*, membership: Membership) -> int:
    """A test notice to this member by email, and by SMS where a phone is given; returns how many.

    Raises: TestedJustNow.
    """
    tests = Notice.objects.for_client(membership.client_id).filter(user=membership.user, event=TEST)
    if tests.filter(created_at__gt=database_now() - TEST_AGAIN_AFTER).exists():
        raise TestedJustNow
    phone = settings_of(membership).phone
    channels = [*CHANNELS] if phone else ["email"]
    return _keep(_written(membership, membership.client, TEST, "notices/test.txt", {}, channels, phone))


def _written(
    member: Membership,
    client: Client,
    event: str,
    template: str,
    facts: Mapping[str, Any],
    channels: Iterable[str],
    phone: str,
) -> list[Notice]:
    """The rows of one member, in that person's language."""
    now = database_now()
    with translation.override(getattr(member.user, "language", "") or settings.LANGUAGE_CODE):
        context = {**facts, "client": client, "brand": settings.BRAND_NAME, "settings_url": settings_address()}
        subject, _, text = render_to_string(template, context).strip().partition("\n")
    rows = []
    for channel in channels:
        row = Notice(client=client, user=member.user, event=event, channel=channel, created_at=now, next_at=now)
        row.subject = " ".join(subject.split())[:200]
        row.text = text.strip() + "\n" if channel == "email" else f"{settings.BRAND_NAME}: {row.subject}"
        row.address = member.user.email if channel == "email" else phone
        if not row.address:
            row.state, row.problem, row.next_at = NoticeState.SKIPPED, NO_PHONE, None
        rows.append(row)
    return rows


def settings_address() -> str:
    return f"{settings.PUBLIC_URL}/app/settings/notifications"


def _keep(rows: list[Notice]) -> int:
    if rows:
        with transaction.atomic():
            Notice.objects.bulk_create(rows)
            wake.notices()
    return len(rows)
