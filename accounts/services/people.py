"""What people are and choose for themselves, in whichever organisation they act."""

import hmac
import time
from collections.abc import Iterable
from secrets import randbelow

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Membership, User
from crm.common.errors import InvalidInput

CODE_DIGITS = 6
CODE_SECONDS = 15 * 60
CODE_ATTEMPTS = 5
INVITATION_KEY = "invitation"  # of the session: the link by which somebody came, who may then register


def new_code() -> str:
    """Six digits that nobody can guess within the attempts allowed."""
    return f"{randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def phone_code(phone: str, code: str) -> dict[str, str | int]:
    """What a session keeps of a code that was sent to `phone`; `code_fits` reads it."""
    return {"phone": phone, "code": code, "until": int(time.time()) + CODE_SECONDS, "left": CODE_ATTEMPTS}


def code_fits(state: dict, typed: str) -> bool:
    """Whether `typed` is the code of `state`; each wrong one takes an attempt off it, and a late one all of them."""
    if time.time() > state["until"]:
        state["left"] = 0
        return False
    state["left"] -= 1
    return hmac.compare_digest(state["code"], "".join(typed.split()))


def choose_language(*, user: User, language: str) -> None:
    """Speak `language`, one of settings.LANGUAGES, to this person from now on: on pages and in mails."""
    if user.language != language:
        user.language = language
        user.save(update_fields=["language"])


def choose_theme(*, user: User, theme: str) -> None:
    """Show this person the colours of `theme` (accounts.models.Theme) on every device; "" for the device's own."""
    if user.theme != theme:
        user.theme = theme
        user.save(update_fields=["theme"])


def change_profile(*, user: User, name: str, language: str, theme: str, density: str, single_keys: bool) -> None:
    """Keep what a person chose for themselves. Raises: InvalidInput."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 120:
        raise InvalidInput({"name": [_("Give your name in at most 120 characters.")]})
    user.name, user.language, user.theme, user.density, user.single_keys = name, language, theme, density, single_keys
    user.full_clean(exclude=["password", "email"])
    user.save(update_fields=["name", "language", "theme", "density", "single_keys"])


@transaction.atomic
def set_phone(*, user: User, phone: str, verified: bool) -> None:
    """Keep a person's own number, E.164. verified: they typed a code that was sent to it, which also confirms them.

    A number that somebody else verified before moves to whoever holds the phone now.
    """
    if verified:
        User.objects.filter(phone=phone).exclude(pk=user.pk).update(phone="", phone_verified_at=None)
    user.phone = phone
    user.phone_verified_at = timezone.now() if verified else None
    user.is_confirmed = user.is_confirmed or verified
    user.save(update_fields=["phone", "phone_verified_at", "is_confirmed"])


def confirm_by_email(*, user: User, email: str) -> None:
    """The person typed a code from this mailbox, which is the one they sign in by from now on."""
    User.objects.filter(pk=user.pk).update(is_confirmed=True, email=email.lower())


def end_other_sessions(*, user: User) -> None:
    """Sign this person out everywhere; the door keeps the present session by writing its hash anew (A1)."""
    User.objects.filter(pk=user.pk).update(security_changed_at=Now())
    user.refresh_from_db(fields=["security_changed_at"])


def skip_steps(*, membership: Membership, steps: Iterable[str]) -> None:
    """Have Home offer these first steps to this member no more. Free to repeat."""
    kept = sorted({*membership.skipped_steps, *steps})
    Membership.objects.filter(pk=membership.pk).update(skipped_steps=kept)
