"""What can be exported of messages: the history as the page finds it, and the results of one campaign."""

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.exporting import Job, Kind, Rows, in_batches, register
from crm.common.money import from_micros
from messaging import queries
from messaging.forms import HistoryForm, read_id
from messaging.models import Message, MessageStatus
from messaging.providers.failures import failure_of

_FREE = (MessageStatus.FAILED, MessageStatus.CANCELLED)


def register_kinds() -> None:
    register(
        Kind("messages", gettext_lazy("Messages"), "messages.read", lambda job: _history(job).count(), _history_rows)
    )
    register(
        Kind(
            "campaign",
            gettext_lazy("Campaign results"),
            "messages.read",
            lambda job: _of_campaign(job).count(),
            _campaign_rows,
        )
    )


def _history(job: Job) -> QuerySet[Message]:
    form = HistoryForm(job.query, client=job.client)
    return form.matching() if form.is_valid() else queries.messages_for(job.client).none()


def _of_campaign(job: Job) -> QuerySet[Message]:
    return queries.messages_for(job.client, campaign_id=read_id(job.query.get("campaign", "")) or 0)


def _history_rows(job: Job) -> Rows:
    """Costs are what is charged now: nothing of what failed or was cancelled."""
    yield (
        _("Message"), _("Number"), _("Name"), _("Time"), _("Channel"), _("Sender"), _("Text"), _("Status"),
        _("Reason"), _("Units"), _("Cost"), _("Currency"), _("Sent"), _("Delivered"), _("Campaign"),
        _("Your reference"), _("Simulated"),
    )  # fmt: skip
    for batch in in_batches(_history(job)):
        names = {} if job.masked else queries.names_of(job.client, batch)
        for message in batch:
            yield (
                message.message_id, job.address(message.recipient), names.get(message.recipient, ""),
                job.moment(message.created_at), message.get_channel_display(), message.sender, message.text,
                queries.page_status(message.status), _reason(message), message.units, _cost(message),
                job.client.currency, job.moment(message.sent_at), job.moment(message.delivered_at),
                message.campaign_id, message.reference, _simulated(message),
            )  # fmt: skip


def _campaign_rows(job: Job) -> Rows:
    yield (
        _("Number"), _("Status"), _("Reason"), _("Units"), _("Cost"), _("Currency"), _("Sent"), _("Delivered"),
        _("Simulated"), _("Message"),
    )  # fmt: skip
    for batch in in_batches(_of_campaign(job)):
        for message in batch:
            yield (
                job.address(message.recipient), queries.page_status(message.status), _reason(message), message.units,
                _cost(message), job.client.currency, job.moment(message.sent_at), job.moment(message.delivered_at),
                _simulated(message), message.message_id,
            )  # fmt: skip


def _reason(message: Message) -> str:
    return str(failure_of(message.error_code).words) if message.status == MessageStatus.FAILED else ""


def _cost(message: Message) -> object:
    return from_micros(0 if message.status in _FREE else message.cost_micros)


def _simulated(message: Message) -> str:
    return _("yes") if message.simulated else _("no")
