"""Asking for a sender ID, and staff's answer network by network (UX.md §14)."""

from collections.abc import Sequence
from datetime import timedelta
from statistics import median
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, ProtectedError, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from accounts.services.audit import record_audit
from accounts.services.notices import notify
from crm.common.errors import InvalidInput, NotFound, WrongState
from crm.common.networks import networks_of
from messaging.models import (
    Channel,
    CountryRules,
    DocumentKind,
    MessageClass,
    NetworkState,
    SenderDocument,
    SenderId,
    SenderNetwork,
    SenderState,
)
from messaging.services.sender_names import name_problem
from messaging.services.sender_papers import remove_later
from messaging.services.senders import prefer_sender

_OPEN: Final = (SenderState.DRAFT, SenderState.REJECTED)  # what its client may still change
_ASKED: Final = (NetworkState.CHECKING, NetworkState.NETWORK)
LONGEST_SAMPLES: Final = 2000
FEWEST_FOR_A_MEDIAN: Final = 3


def get_sender(*, client: Client, sender_id: int) -> SenderId:
    """Raises: NotFound, for another client's as for none."""
    sender = SenderId.objects.for_client(client).filter(pk=sender_id).first() if sender_id < 2**63 else None
    if sender is None:
        raise NotFound()
    return sender


def networks_asked(sender: SenderId) -> QuerySet[SenderNetwork]:
    """How far a sender ID is with each of its networks."""
    return SenderNetwork.objects.for_client(sender.client_id).filter(sender=sender)


def papers_of(sender: SenderId) -> QuerySet[SenderDocument]:
    """The papers that were handed in for it."""
    return SenderDocument.objects.for_client(sender.client_id).filter(sender=sender)


@needs("senders.write")
@transaction.atomic
def save_request(
    *,
    client: Client,
    by: User | None,
    name: str,
    message_class: str,
    networks: Sequence[str],
    sender_id: int | None = None,
) -> SenderId:
    """Step 1: begin a request, or change one that is a draft or was rejected.

    Raises: InvalidInput (name, message_class, networks), NotFound, WrongState.
    """
    name = name.strip()
    errors: dict[str, list[str]] = {}
    if problem := name_problem(client, name):
        errors["name"] = [problem]
    if message_class not in MessageClass.values:
        errors["message_class"] = [_("Say what it is for.")]
    known = networks_of(client.country)
    if not networks or set(networks) - set(known):
        errors["networks"] = [_("Choose at least one network.")]
    sender = get_sender(client=client, sender_id=sender_id) if sender_id else SenderId(client=client)
    if sender.pk and sender.state not in _OPEN:
        raise WrongState(_("This request is being looked at and cannot be changed."))
    same = SenderId.objects.for_client(client).filter(name__iexact=name).exclude(pk=sender.pk)
    if not errors and same.exists():
        errors["name"] = [_("You have this sender ID already, or asked for it.")]
    if errors:
        raise InvalidInput(errors)
    sender.channel, sender.name, sender.message_class = Channel.SMS, name, message_class
    sender.state = sender.state if sender.pk else SenderState.DRAFT
    sender.requested_by = by
    try:
        with transaction.atomic():
            sender.save()
    except IntegrityError:
        raise InvalidInput({"name": [_("You have this sender ID already, or asked for it.")]}) from None
    rows = SenderNetwork.objects.for_client(client).filter(sender=sender)
    rows.exclude(network__in=networks).delete()
    present = set(rows.values_list("network", flat=True))
    SenderNetwork.objects.bulk_create(
        SenderNetwork(client=client, sender=sender, network=network)
        for network in known
        if network in networks and network not in present
    )
    return sender


def papers_needed(sender: SenderId) -> list[DocumentKind]:
    """Which papers the client's country asks for."""
    return [DocumentKind(kind) for kind in CountryRules.of(sender.client.country).documents if kind in DocumentKind]


def papers_missing(sender: SenderId) -> list[DocumentKind]:
    """Which of them are not there yet."""
    have = set(SenderDocument.objects.for_client(sender.client_id).filter(sender=sender).values_list("kind", flat=True))
    return [kind for kind in papers_needed(sender) if kind not in have]


@needs("senders.write")
@transaction.atomic
def submit_request(*, client: Client, by: User | None, sender_id: int, samples: str) -> SenderId:
    """Step 3: hand the request in with texts that will be sent. Raises: NotFound, WrongState, InvalidInput."""
    sender = get_sender(client=client, sender_id=sender_id)
    samples = samples.replace("\x00", "").replace("\r\n", "\n").strip()
    errors: dict[str, list[str]] = {}
    if len(samples) < 20:
        errors["samples"] = [_("Write at least one message as people will read it.")]
    elif len(samples) > LONGEST_SAMPLES:
        errors["samples"] = [_("At most %(most)s characters.") % {"most": f"{LONGEST_SAMPLES:,}"}]
    if missing := papers_missing(sender):
        words = ", ".join(str(kind.label) for kind in missing)
        errors["papers"] = [_("Missing: %(papers)s.") % {"papers": words}]
    if problem := name_problem(client, sender.name):
        errors["samples"] = [problem]
    if errors:
        raise InvalidInput(errors)
    mine = SenderId.objects.for_client(client).filter(pk=sender.pk, state__in=_OPEN)
    if not mine.update(
        state=SenderState.PENDING, samples=samples, submitted_at=Now(), requested_by=by, reason="", fix=""
    ):
        raise WrongState(_("This request was handed in already."))
    SenderNetwork.objects.for_client(client).filter(sender=sender).exclude(state=NetworkState.APPROVED).update(
        state=NetworkState.CHECKING, submitted_at=Now(), decided_at=None, reason="", fix=""
    )
    facts = {"class": sender.message_class, "networks": list(networks_asked(sender).values_list("network", flat=True))}
    record_audit(client=client, action="sender.requested", target=f"sender:{sender.name}", after=facts)
    return get_sender(client=client, sender_id=sender_id)


@needs("senders.write")
@transaction.atomic
def withdraw_request(*, client: Client, sender_id: int) -> None:
    """Take a request back with its papers; one that was ever approved stays. Raises: NotFound, WrongState."""
    sender = get_sender(client=client, sender_id=sender_id)
    if sender.state == SenderState.APPROVED or sender.approved_at:
        raise WrongState(_("This sender ID was in use and stays on record."))
    for paper in SenderDocument.objects.for_client(client).filter(sender=sender):
        remove_later(paper)
    try:
        sender.delete()
    except ProtectedError:
        raise WrongState(_("This sender ID was in use and stays on record.")) from None
    record_audit(client=client, action="sender.withdrawn", target=f"sender:{sender.name}")


@needs("senders.write")
@transaction.atomic
def choose_default(*, client: Client, sender_id: int) -> SenderId:
    """Use this approved one where nothing else is said. Raises: NotFound, WrongState."""
    sender = get_sender(client=client, sender_id=sender_id)
    if sender.state != SenderState.APPROVED:
        raise WrongState(_("Only an approved sender ID can be the default."))
    prefer_sender(sender)
    record_audit(client=client, action="sender.default", target=f"sender:{sender.name}")
    return sender


# --- staff ------------------------------------------------------------------------------------------------------------


def _asked(sender: SenderId, networks: Sequence[str]) -> list[str]:
    """Which of these networks still wait for an answer; every one that does where none is named. Raises: WrongState."""
    rows = SenderNetwork.objects.for_client(sender.client_id).filter(sender=sender, state__in=_ASKED)
    waiting = [name for name in rows.values_list("network", flat=True) if not networks or name in networks]
    if not waiting:
        raise WrongState(_("None of these networks waits for an answer."))
    return waiting


@transaction.atomic
def pass_on(*, sender: SenderId, networks: Sequence[str] = ()) -> None:
    """The papers are in order; the networks have them now. Raises: WrongState."""
    names = _asked(sender, networks)
    SenderNetwork.objects.for_client(sender.client_id).filter(sender=sender, network__in=names).update(
        state=NetworkState.NETWORK
    )
    _audit(sender, "sender.passed_on", {"networks": names})


@transaction.atomic
def approve_request(*, sender: SenderId, networks: Sequence[str] = ()) -> None:
    """These networks carry it: it can be used as soon as one does. Raises: WrongState."""
    names = _asked(sender, networks)
    _decide(sender, names, NetworkState.APPROVED, "", "")
    _settle(sender, "", "")
    _audit(sender, "sender.approved", {"networks": names})


@transaction.atomic
def reject_request(*, sender: SenderId, reason: str, fix: str = "", networks: Sequence[str] = ()) -> None:
    """These networks do not. reason and fix are shown to the client. Raises: WrongState, InvalidInput (reason)."""
    reason, fix = " ".join(reason.split())[:300], " ".join(fix.split())[:300]
    if len(reason) < 5:
        raise InvalidInput({"reason": [_("Say why: the client reads it.")]})
    names = _asked(sender, networks)
    _decide(sender, names, NetworkState.REJECTED, reason, fix)
    _settle(sender, reason, fix)
    _audit(sender, "sender.rejected", {"networks": names, "reason": reason, "fix": fix})


def _decide(sender: SenderId, names: Sequence[str], state: str, reason: str, fix: str) -> None:
    SenderNetwork.objects.for_client(sender.client_id).filter(sender=sender, network__in=names).update(
        state=state, decided_at=Now(), reason=reason, fix=fix
    )


def _settle(sender: SenderId, reason: str, fix: str) -> None:
    """Usable once one network carries it; rejected once every network said no. Members are told of either, once."""
    states = set(
        SenderNetwork.objects.for_client(sender.client_id).filter(sender=sender).values_list("state", flat=True)
    )
    mine = SenderId.objects.for_client(sender.client_id).filter(pk=sender.pk, state=SenderState.PENDING)
    facts = {"name": sender.name, "address": f"{settings.PUBLIC_URL}/app/settings/senders/{sender.pk}"}
    if NetworkState.APPROVED in states:
        if mine.update(state=SenderState.APPROVED, approved_at=Now(), reason="", fix=""):
            usual = SenderId.objects.for_client(sender.client_id).filter(channel=sender.channel, is_default=True)
            if not usual.exists() and sender.message_class != MessageClass.PROMOTION:
                prefer_sender(sender)
            notify(client=sender.client, event="sender.approved", facts=facts)
    elif not states & set(_ASKED) and mine.update(state=SenderState.REJECTED, reason=reason, fix=fix):
        notify(client=sender.client, event="sender.rejected", facts=facts | {"reason": reason})


def _audit(sender: SenderId, action: str, after: dict) -> None:
    record_audit(client=sender.client_id, action=action, target=f"sender:{sender.name}", after=after)


def usual_wait(network: str) -> timedelta | None:
    """How long the last fifty approvals of a network took, half of them at most; None where there were too few."""
    rows = SenderNetwork.objects.unscoped().filter(
        network=network, state=NetworkState.APPROVED, submitted_at__isnull=False, decided_at__gt=F("submitted_at")
    )
    pairs = rows.order_by("-decided_at").values_list("submitted_at", "decided_at")[:50]
    spans = [(end - begin).total_seconds() for begin, end in pairs if begin and end]
    return timedelta(seconds=median(spans)) if len(spans) >= FEWEST_FOR_A_MEDIAN else None
