"""Members of an organisation: invited, given a role, removed. One owner at least is always left."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_urlsafe

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts import verified_phones
from accounts.errors import InvitationOver, LastOwner, NotAllowed
from accounts.models import Client, Invitation, Membership, Role, User
from accounts.services.access import needs, require
from accounts.services.audit import record_audit
from crm.common.crypto import digest
from crm.common.errors import InvalidInput
from crm.common.phones import InvalidPhone, read_phone

INVITATION_DAYS = 7

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IssuedInvitation:
    """An invitation and its link, which is shown and sent but never kept. problem: why no SMS or mail left, or ""."""

    invitation: Invitation
    url: str
    problem: str = ""


@needs("team.write")
def invite_member(*, client: Client, by: Membership, address: str, role: str) -> IssuedInvitation:
    """Invite somebody by email address or phone number; a second invitation to the same address replaces the first.

    Raises: NotAllowed (only owners make owners), InvalidInput (address, role).
    """
    check_may_give(by, role)
    email, phone = _read_address(address, client)
    if email and Membership.objects.filter(client=client, user__email=email).exists():
        raise InvalidInput({"address": [_("{address} is a member already.").format(address=email)]})
    token = token_urlsafe(24)
    with transaction.atomic():
        Invitation.objects.for_client(client).filter(email=email, phone=phone, ended_at=None).update(
            ended_at=timezone.now()
        )
        invitation = Invitation.objects.create(
            client=client,
            email=email,
            phone=phone,
            role=role,
            token_hash=digest(token),
            invited_by=by.user,
            expires_at=timezone.now() + timedelta(days=INVITATION_DAYS),
        )
        record_audit(
            client=client, action="invitation.created", target=f"invitation:{invitation.pk}",
            after={"to": email or phone, "role": role},
        )  # fmt: skip
    url = f"{settings.PUBLIC_URL}/invite/{token}"
    return IssuedInvitation(invitation, url, _send(invitation, url))


def find_invitation(token: str) -> Invitation:
    """The open invitation of a link. Raises: InvitationOver, also for a link that never was."""
    invitation = (
        Invitation.objects.unscoped()
        .select_related("client", "invited_by")
        .filter(token_hash=digest(token), ended_at=None, expires_at__gt=timezone.now())
        .first()
    )
    if invitation is None:
        raise InvitationOver
    return invitation


@transaction.atomic
def accept_invitation(*, invitation: Invitation, user: User) -> Membership:
    """Make `user` a member by their link, once. Raises: InvitationOver.

    The link came to their mailbox or phone, so it confirms them as a typed code would.
    """
    taken = (
        Invitation.objects.for_client(invitation.client_id)
        .filter(pk=invitation.pk, ended_at=None, expires_at__gt=timezone.now())
        .update(ended_at=timezone.now(), accepted_by=user)
    )
    if not taken:
        raise InvitationOver
    User.objects.filter(pk=user.pk).update(is_confirmed=True)
    membership, made = Membership.objects.get_or_create(
        client_id=invitation.client_id, user=user, defaults={"role": invitation.role}
    )
    record_audit(
        client=invitation.client_id, action="member.joined", target=f"user:{user.pk}",
        after={"role": membership.role, "invitation": invitation.pk, "was_member": not made},
    )  # fmt: skip
    return membership


@needs("team.write", of="invitation")
@transaction.atomic
def revoke_invitation(*, invitation: Invitation) -> bool:
    """End an invitation that nobody used; False where it had ended."""
    ended = (
        Invitation.objects.for_client(invitation.client_id)
        .filter(pk=invitation.pk, ended_at=None)
        .update(ended_at=timezone.now())
    )
    if ended:
        record_audit(client=invitation.client_id, action="invitation.revoked", target=f"invitation:{invitation.pk}")
    return bool(ended)


@needs("team.write", of="member")
@transaction.atomic
def change_role(*, member: Membership, role: str, by: Membership) -> None:
    """Give a member another role. Raises: NotAllowed, LastOwner, InvalidInput."""
    check_may_give(by, role)
    _check_may_touch(by, member)
    if member.role == role:
        return
    before = member.role
    if before == Role.OWNER:
        _keep_an_owner(member)
    Membership.objects.filter(pk=member.pk).update(role=role)
    member.role = role
    record_audit(
        client=member.client_id, action="member.role_changed", target=f"user:{member.user_id}",
        before={"role": before}, after={"role": role},
    )  # fmt: skip


@transaction.atomic
def remove_member(*, member: Membership, by: Membership) -> None:
    """Take somebody out of the organisation; anybody may take themselves out. Raises: NotAllowed, LastOwner."""
    if member.pk != by.pk:
        require(member.client_id, "team.write")
        _check_may_touch(by, member)
    if member.role == Role.OWNER:
        _keep_an_owner(member)
    Membership.objects.filter(pk=member.pk).delete()
    record_audit(
        client=member.client_id, action="member.removed", target=f"user:{member.user_id}", before={"role": member.role}
    )


def check_may_give(by: Membership, role: str) -> None:
    """Raises: InvalidInput for no such role; NotAllowed where `by` may not hand it out."""
    if role not in Role.values:
        raise InvalidInput({"role": [_("Choose one of the roles.")]})
    if not by.may("team.write") or (role == Role.OWNER and by.role != Role.OWNER):
        raise NotAllowed(needed=Role.OWNER if role == Role.OWNER else Role.ADMIN)


def _check_may_touch(by: Membership, member: Membership) -> None:
    if by.client_id != member.client_id or not by.may("team.write"):
        raise NotAllowed(needed=Role.ADMIN)
    if member.role == Role.OWNER and by.role != Role.OWNER:
        raise NotAllowed(needed=Role.OWNER)


def _keep_an_owner(member: Membership) -> None:
    """Raises LastOwner. Two owners who leave at once meet at the client's row, which this locks by a write."""
    Client.objects.filter(pk=member.client_id).update(name=F("name"))
    others = Membership.objects.filter(client_id=member.client_id, role=Role.OWNER, user__is_active=True)
    if not others.exclude(pk=member.pk).exists():
        raise LastOwner


def _read_address(address: str, client: Client) -> tuple[str, str]:
    """(email, phone), one of them empty. Raises: InvalidInput."""
    address = address.strip()
    if "@" in address:
        try:
            validate_email(address)
        except ValidationError:
            raise InvalidInput({"address": [_("This is not an email address.")]}) from None
        return address.lower(), ""
    try:
        return "", read_phone(address, client.country).e164
    except InvalidPhone as refusal:
        raise InvalidInput({"address": [str(refusal)]}) from None


def _send(invitation: Invitation, url: str) -> str:
    """Send the link, after the commit; returns why it could not leave, or "". The page shows the link in any case."""
    words = {"client": invitation.client.name, "brand": settings.BRAND_NAME, "days": INVITATION_DAYS, "url": url}
    with override(invitation.client.language):
        if invitation.phone:
            text = _("{client} invites you to {brand}: {url} (good for {days} days)").format(**words)
            return verified_phones.text(phone=invitation.phone, text=text)
        words["by"] = str(invitation.invited_by or invitation.client)
        subject, _sep, body = render_to_string("emails/invitation.txt", words).partition("\n")
        try:
            send_mail(subject.strip(), body.strip() + "\n", None, [invitation.email])
        except OSError as error:  # smtplib's errors among them
            log.warning("the mail of invitation %s could not be sent: %s", invitation.pk, type(error).__name__)
            return _("The mail server did not take it.")
    return ""
