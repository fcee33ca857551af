"""From trial to real sending: the steps a client takes, its request, and staff's answer."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Client, User
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import InvalidInput, WrongState
from messaging.models import GoLiveRequest, Message, SenderId, SenderState
from messaging.services.notices import system_sender
from messaging.services.rules import rules_of
from messaging.services.trial import go_live
from wallet.models import LedgerEntry


@dataclass(frozen=True, slots=True)
class Step:
    """One step to going live. page: name of the URL where it is taken."""

    name: str | Promise
    page: str
    done: bool


def steps_of(client: Client) -> list[Step]:
    """The four steps, with what is done."""
    paid = LedgerEntry.objects.for_client(client).filter(reference__startswith="topup:")
    return [
        Step(_("Send yourself a message"), "send", Message.objects.for_client(client).exists()),
        Step(
            _("Say who you are: postal address and tax number"),
            "organisation",
            bool(client.address.strip() and client.tax_id.strip()),
        ),
        Step(_("Ask for a sender ID of your own"), "senders", has_own_sender(client)),
        Step(_("Top up the wallet"), "wallet:topup", paid.exists()),
    ]


def has_own_sender(client: Client) -> bool:
    """Whether it asked for a sender ID besides the one that every trial shares, and was not refused."""
    own = SenderId.objects.for_client(client).exclude(name=system_sender())
    return own.exclude(state__in=[SenderState.DRAFT, SenderState.REJECTED]).exists()


def request_of(client: Client) -> GoLiveRequest | None:
    return GoLiveRequest.objects.for_client(client).first()


@needs("senders.write")
@transaction.atomic
def ask_to_go_live(*, client: Client, by: User | None, purpose: str) -> GoLiveRequest:
    """Ask staff to open the account. Raises: InvalidInput (purpose, steps), WrongState (open, or asked already)."""
    purpose = " ".join(purpose.replace("\x00", "").split())[:500]
    errors: dict[str, list[str]] = {}
    if len(purpose) < 20:
        errors["purpose"] = [str(_("Say in a sentence what you will send, and to whom."))]
    left = [str(step.name) for step in steps_of(client)[1:3] if not step.done]
    if left:
        errors["steps"] = [str(_("First: %(steps)s.")) % {"steps": "; ".join(left)}]
    if errors:
        raise InvalidInput(errors)
    if not rules_of(client).trial:
        raise WrongState(str(_("Your account is open already.")))
    asked = request_of(client)
    if asked and asked.state == GoLiveRequest.State.WAITING:
        raise WrongState(str(_("You asked already; it is being looked at.")))
    row, _made = GoLiveRequest.objects.update_or_create(
        client=client,
        defaults={
            "state": GoLiveRequest.State.WAITING,
            "purpose": purpose,
            "note": "",
            "asked_by": by,
            "asked_at": Now(),
            "decided_at": None,
        },
    )
    record_audit(client=client, action="go_live.requested", after={"purpose": purpose})
    return row


@transaction.atomic
def open_account(*, client: Client) -> None:
    """End the trial, whether or not the client asked. Raises: WrongState (it is not in trial)."""
    if not rules_of(client).trial:
        raise WrongState(str(_("This account is not in trial.")))
    GoLiveRequest.objects.for_client(client).update(state=GoLiveRequest.State.APPROVED, decided_at=Now(), note="")
    go_live(client=client)
    record_audit(client=client, action="go_live.approved")


@transaction.atomic
def return_request(*, client: Client, note: str) -> None:
    """Give the request back; the client reads the note. Raises: InvalidInput (note), WrongState."""
    note = " ".join(note.split())[:300]
    if len(note) < 5:
        raise InvalidInput({"reason": [str(_("Say what is missing: the client reads it."))]})
    waiting = GoLiveRequest.objects.for_client(client).filter(state=GoLiveRequest.State.WAITING)
    if not waiting.update(state=GoLiveRequest.State.RETURNED, note=note, decided_at=Now()):
        raise WrongState(str(_("This request does not wait any more.")))
    record_audit(client=client, action="go_live.returned", after={"note": note})
