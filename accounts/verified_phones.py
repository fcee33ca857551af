"""Texts to people's own phones: codes and links. The app that sends answers the signals; this one knows no carrier."""

import logging

from accounts.signals import asking_system_sender, system_sms

log = logging.getLogger(__name__)


def can_text() -> bool:
    """Whether the installation has a sender of its own, so that a code can go by SMS."""
    return any(answer for _, answer in asking_system_sender.send(None))


def text(*, phone: str, text: str) -> str:
    """Send one SMS of the installation's own; returns "" once it is accepted, else why not, in a sentence."""
    answers = [answer or "" for _, answer in system_sms.send(None, phone=phone, text=text)]
    problem = answers[0] if answers else "nothing here can send an SMS"
    if problem:
        log.warning("an SMS of the installation was not accepted: %s", problem)
    return problem
