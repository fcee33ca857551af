"""Native API of messaging: send, ask for a state, read the history (contracts/dialects/native.md)."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import find_credential
from accounts.models import Client
from accounts.services.admission import Found
from accounts.services.idempotency import Answer, Once
from crm.common import replica
from crm.common.acting import key_acts
from crm.common.api import params
from crm.common.api.describe import DAYS, PAGES, Param, describe
from crm.common.api.envelope import listing, success
from crm.common.api.pages import rows_of_page
from crm.common.api.renderers import render_json
from crm.common.api.views import ApiView, fingerprint, repeat
from crm.common.channels import Channel
from crm.common.errors import InvalidInput, NotFound
from crm.common.money import json_money
from crm.common.phones import InvalidPhone, read_phone
from crm.common.spans import newest_first
from messaging import queries, statistics
from messaging.api import waiting
from messaging.models import Message
from messaging.serializers import (
    AcceptedShape,
    HistoryShape,
    MessageRequest,
    SmsRequest,
    SmsShape,
    StatisticsShape,
    StatusShape,
    show_accepted,
    show_event,
    show_message,
)
from messaging.services.accept import Accepted, Draft, Refused, accept_messages
from messaging.services.beside import accept_beside_others
from messaging.services.mails import MailDraft, accept_mails
from messaging.services.whatsapp import WhatsAppDraft, accept_whatsapp

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=$|[,;])", re.IGNORECASE)
_STATUSES = {"all": 1, "queued": 1, "sent": 1, "delivered": 1, "failed": 1, "scheduled": 1, "cancelled": 1, "read": 1}


class SendMessageView(ApiView):
    """One message on one channel."""

    required_scope = "messages:send"
    answers_once_itself = True
    error_fields: ClassVar[dict[str, str]] = {
        "channel_not_available": "channel",
        "country_closed": "recipient",
        "empty_text": "body",
        "invalid_address": "recipient",
        "invalid_mail": "subject",
        "invalid_phone": "recipient",
        "invalid_schedule": "schedule_at",
        "invalid_text": "body",
        "no_price": "recipient",
        "no_route": "recipient",
        "opted_out": "recipient",
        "sender_missing": "sender",
        "sender_not_approved": "sender",
        "text_too_long": "body",
        "trial_number": "recipient",
        "window_closed": "body",
    }

    @describe(
        "Send a message",
        "One message to one recipient. Answered once it is stored, paid for and queued. With `Prefer: wait=10` the "
        "answer is held until it has left, at most 10 seconds.",
        takes=MessageRequest,
        answers=AcceptedShape,
        refuses={402: "The wallet cannot pay for it: nothing is sent."},
        example={
            "channel": "sms",
            "recipient": "254712345678",
            "sender": "HOSPITAL",
            "body": "Your results are ready.",
        },
        example_answer={
            "id": 123,
            "message_id": "MSG-000123",
            "provider_message_id": None,
            "channel": "sms",
            "recipient": "254712345678",
            "sender": "HOSPITAL",
            "status": "queued",
            "units": 1,
            "cost": 1,
            "encoding": "GSM-7",
            "segments": 1,
            "reference": None,
        },
        message="Message queued for sending",
    )
    def post(self, request: Request, client_id: int) -> HttpResponse:
        if self.key_of_text:
            return self._send_text(request, self.key_of_text, self.asked)
        return self.answer_once(lambda _: self._send(request, self.asked), request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Of a text that is to leave at once, nobody asks yet whose it is: `_send_text` has it found out together with
        those of others. So the body is read first; what is wrong with it is told to those who may call at all."""
        self.key_of_text = ""
        self.judge = partial(super().initial, request, *args, **kwargs)
        if request.method == "POST":
            try:
                self.asked = self.read(MessageRequest)
            except Exception:
                self.judge()
                raise
            if self.asked["channel"] == Channel.SMS and self.asked.get("schedule_at") is None:
                self.key_of_text = find_credential(request)
        if not self.key_of_text:
            self.judge()

    def _send_text(self, request: Request, api_key: str, asked: dict[str, Any]) -> HttpResponse:
        """By far the most calls: a text that is to leave at once, accepted with those of other callers."""

        def admit(found: Found) -> Once | None:
            request._request.found = found
            self.judge()
            if self.idempotency_key is None:
                return None
            return Once.of(endpoint=request.path, key=self.idempotency_key, body_hash=fingerprint(request))

        reference = asked.get("reference") or ""
        result = accept_beside_others(
            api_key=api_key,
            rate_kind=self.rate_kind,
            draft=Draft(asked["recipient"], asked["body"], reference, sender=asked.get("sender")),
            admit=admit,
            answer=lambda accepted: Answer(200, render_json(_told(accepted, asked)).decode()),
        )
        key_acts(request.auth)  # in this thread too
        if isinstance(result, Answer):
            return repeat(result.status, result.body)
        return Response(_told(result, asked))

    def _send(self, request: Request, asked: dict[str, Any]) -> Response:
        reference = asked.get("reference") or ""
        if asked["channel"] == Channel.EMAIL:
            result = accept_mails(
                client=request.auth.client,
                sender=asked.get("sender"),
                drafts=[_mail_of(asked, reference)],
                schedule_at=asked.get("schedule_at"),
                api_key_id=request.auth.pk,
            )[0]
        elif asked["channel"] == Channel.WHATSAPP:
            result = accept_whatsapp(
                client=request.auth.client,
                sender=asked.get("sender"),
                draft=_whatsapp_of(asked, reference),
                schedule_at=asked.get("schedule_at"),
                api_key_id=request.auth.pk,
            )
        else:
            result = accept_messages(
                client=request.auth.client,
                channel=asked["channel"],
                sender=asked.get("sender"),
                drafts=[Draft(recipient=asked["recipient"], text=asked["body"], reference=reference)],
                schedule_at=asked.get("schedule_at"),
                api_key_id=request.auth.pk,
            )[0]
        if isinstance(result, Refused):
            raise result.error
        return Response(_told(result, asked))

    def finalize_response(self, request: Request, response: HttpResponse, *args: Any, **kwargs: Any) -> HttpResponse:
        """`Prefer: wait=N`: after the commit, so that no transaction is open while we wait."""
        preferred = _WAIT.search(request.headers.get("Prefer", ""))
        if preferred and isinstance(response, Response) and response.status_code == 200:
            data = response.data["data"]
            seconds = min(int(preferred[1]), waiting.LONGEST_WAIT)
            if data["status"] == "queued":
                fresh, applied = _wait_for(request.auth.client, data["id"], seconds)
                data |= {"status": fresh["status"], "provider_message_id": fresh["provider_message_id"]}
                response.data["provider_message_id"] = fresh["provider_message_id"]
                if applied:  # RFC 7240 leaves a preference to the server
                    response["Preference-Applied"] = f"wait={seconds}"
        return super().finalize_response(request, response, *args, **kwargs)


def _told(accepted: Accepted, asked: dict[str, Any]) -> dict[str, Any]:
    data = show_accepted(accepted, channel=asked["channel"], reference=asked.get("reference") or "")
    told = "Message scheduled" if data["status"] == "scheduled" else "Message queued for sending"
    return success(data, message=told)


def _mail_of(asked: dict[str, Any], reference: str) -> MailDraft:
    return MailDraft(
        recipient=asked["recipient"],
        subject=asked["subject"],
        text=asked.get("body") or "",
        html=asked.get("html") or "",
        preheader=asked.get("preheader") or "",
        reply_to=asked.get("reply_to") or "",
        headers=asked.get("headers") or {},
        reference=reference,
        unsubscribe=asked["unsubscribe"],
    )


def _whatsapp_of(asked: dict[str, Any], reference: str) -> WhatsAppDraft:
    return WhatsAppDraft(
        recipient=asked["recipient"],
        text=asked.get("body") or "",
        template=asked.get("template") or "",
        language=asked.get("language") or "en",
        variables=asked.get("variables") or {},
        media=asked.get("media") or {},
        reference=reference,
    )


def _wait_for(client: Client, pk: int, seconds: int) -> tuple[dict[str, Any], bool]:
    """The message once it has left `queued`, or as it stands when `seconds` are over; and whether the call waited."""
    return waiting.ask_until(
        lambda shown: shown["status"] != "queued",
        lambda: show_message(Message.objects.for_client(client).get(pk=pk)),
        seconds,
    )


class SendSmsView(ApiView):
    """One text to up to 1000 numbers, charged together for those accepted."""

    required_scope = "messages:send"
    error_fields: ClassVar[dict[str, str]] = {
        "empty_text": "message",
        "invalid_text": "message",
        "sender_missing": "sender_id",
        "sender_not_approved": "sender_id",
        "text_too_long": "message",
    }

    @describe(
        "Send an SMS to many",
        "One text to up to 1000 numbers. The accepted ones are paid for together or not at all; a number that cannot "
        "be sent to is named in `results` and costs nothing. If none can be sent to: 400.",
        takes=SmsRequest,
        answers=SmsShape,
        refuses={402: "The wallet cannot pay for all of it: nothing is sent."},
        example={
            "recipients": ["254712345678", "254723456789"],
            "message": "We close at noon today.",
            "sender_id": "HOSPITAL",
        },
        example_answer={
            "sent": 2,
            "failed": 0,
            "total_cost": 2,
            "results": [
                {"recipient": "254712345678", "status": "queued", "message_id": "MSG-000124"},
                {"recipient": "254723456789", "status": "queued", "message_id": "MSG-000125"},
            ],
        },
    )
    def post(self, request: Request, client_id: int) -> Response:
        asked = self.read(SmsRequest)
        results = accept_messages(
            client=request.auth.client,
            channel=Channel.SMS,
            sender=asked["sender_id"],
            drafts=[Draft(recipient=recipient, text=asked["message"]) for recipient in asked["recipients"]],
            api_key_id=request.auth.pk,
        )
        accepted = [result for result in results if isinstance(result, Accepted)]
        if not accepted:
            raise _none_accepted(results)
        rows = [_row(given, result) for given, result in zip(asked["recipients"], results, strict=True)]
        return Response(
            success(
                {
                    "sent": len(accepted),
                    "failed": len(rows) - len(accepted),
                    "total_cost": json_money(sum(result.cost_micros for result in accepted)),
                    "results": rows,
                }
            )
        )


def _row(given: str, result: Accepted | Refused) -> dict[str, Any]:
    if isinstance(result, Accepted):
        return {"recipient": given, "status": queries.api_status(result.status), "message_id": result.message_id}
    return {"recipient": given, "status": "failed", "message_id": None, "error": str(result.error)}


def _none_accepted(results: list[Accepted | Refused]) -> InvalidInput:
    errors = {
        f"recipients.{position}": [str(result.error)]
        for position, result in enumerate(results)
        if isinstance(result, Refused)
    }
    first = next(iter(errors.values()))[0]
    return InvalidInput(errors, f"None of the recipients can be sent to. The first: {first}")


class SmsStatusView(ApiView):
    """Where a message is. The top-level `status` is the message's own, as documented."""

    required_scope = "messages:read"

    @describe(
        "Read a message",
        "Where it is and what happened to it. `message_id` is ours (`MSG-000123`), its number, or the network's id. "
        "The top-level `status` is the message's.",
        answers=StatusShape,
        flat=True,
        refuses={404: "There is no such message."},
    )
    def get(self, request: Request, client_id: int, message_id: str) -> Response:
        message = queries.find_message(request.auth.client, message_id)
        if message is None:
            raise NotFound("There is no such message.")
        data = show_message(message) | {"events": [show_event(event) for event in queries.events_for(message)]}
        return Response(success(data, status=data["status"]))


class SmsHistoryView(ApiView):
    """The client's messages, newest first: by page, or by `cursor` where the pages go deep."""

    required_scope = "messages:read"

    @describe(
        "List messages",
        "Newest first. For deep reading follow `meta.next_cursor` instead of counting pages: it neither skips nor "
        "repeats while new messages arrive.",
        answers=HistoryShape,
        paged=True,
        query=(
            *PAGES,
            Param("status", "Only those; `delivered` includes read ones.", choices=tuple(_STATUSES), default="all"),
            *DAYS,
            Param("recipient", "A phone number, or the beginning of one."),
            Param("sender", "Exactly this sender ID."),
            Param("campaign", "Id of a campaign.", "integer"),
            Param("reference", "Your own id."),
            Param("channel", "Only this channel.", choices=tuple(Channel.values)),
            Param("cursor", "`next_cursor` of the page before; then `meta` has no totals."),
        ),
    )
    def get(self, request: Request, client_id: int) -> Response:
        asked = request.query_params
        page = params.read_page(asked)
        filters = _read_filters(request.auth.client, asked)
        found = queries.messages_for(request.auth.client, **filters)
        if cursor := params.read_word(asked, "cursor"):
            place = _read_cursor(cursor)
            rows = replica.read(lambda: newest_first(found, page.size, before=place))
            meta: dict[str, Any] = {"per_page": page.size}
        else:
            total, rows = _read_page(request.auth.client, found, filters, page)
            meta = page.meta(total)
        meta["next_cursor"] = str(rows[-1].pk) if len(rows) == page.size else None
        return Response(listing([show_message(row) | {"message": row.text} for row in rows], meta))


@replica.from_replica
def _read_page(
    client: Client, found: QuerySet[Message], filters: Mapping[str, Any], page: params.Page
) -> tuple[int, list[Message]]:
    """How many there are in all, and those of the page."""
    total = _count(client, found, filters)
    return total, list(rows_of_page(found, page, total))


def _read_filters(client: Client, asked: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of queries.messages_for. Raises: InvalidInput, for any parameter that cannot be read."""
    campaign = params.read_count(asked, "campaign", default=0)
    return {
        "status": params.read_choice(asked, "status", _STATUSES, default="all"),
        "recipient": _read_recipient(client, params.read_word(asked, "recipient")),
        "sender": params.read_word(asked, "sender"),
        "campaign_id": min(campaign, queries.LARGEST_ID) or None,
        "reference": params.read_word(asked, "reference"),
        "channel": params.read_choice(asked, "channel", {"": 1} | dict(Channel.choices), default=""),
        "since": params.read_moment(asked, "from_date", client.time_zone),
        "before": params.read_moment(asked, "to_date", client.time_zone, ends=True),
    }


_TALLIED = ("status", "channel", "since", "before")
_LASTING = ("sender", "campaign_id")


def _count(client: Client, found: QuerySet[Message], filters: Mapping[str, Any]) -> int:
    narrowed = any(value for name, value in filters.items() if name not in _TALLIED + _LASTING)
    tallied = {name: filters[name] for name in _TALLIED}
    lasting = {name: filters[name] for name in _LASTING if filters[name]}
    return statistics.count_messages(client, found, **tallied, lasting=lasting, narrowed=narrowed)


class SmsStatisticsView(ApiView):
    """How the client's messages fared: in all, today, and this month, by its own calendar."""

    required_scope = "messages:read"

    @describe(
        "Read statistics",
        "How your messages fared, by the day and month in which they were accepted.",
        answers=StatisticsShape,
    )
    def get(self, request: Request, client_id: int) -> Response:
        found = statistics.statistics_of(request.auth.client, timezone.now())
        total = found.pop("total")
        data: dict[str, Any] = {f"total_{name}": value for name, value in _show_fared(total).items()}
        return Response(success(data | {name: _show_fared(fared) for name, fared in found.items()}))


def _show_fared(fared: statistics.Fared) -> dict[str, Any]:
    return {
        "sent": fared.sent,
        "delivered": fared.delivered,
        "failed": fared.failed,
        "cost": json_money(fared.cost_micros),
    }


def _read_recipient(client: Client, text: str) -> str:
    """A whole number in any spelling as E.164, else the beginning of one. An unescaped plus arrives as a space."""
    if not text:
        return ""
    try:
        return read_phone(text, client.country).e164
    except InvalidPhone:
        beginning = text.lstrip("+")
        if not (beginning.isascii() and beginning.isdigit()):
            raise InvalidInput({"recipient": ["Give a phone number, or the beginning of one."]}) from None
        return f"+{beginning}"


def _read_cursor(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise InvalidInput({"cursor": ["Give the next_cursor of the page before."]})
    return min(int(text), queries.LARGEST_ID)
