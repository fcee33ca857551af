"""WhatsApp Cloud API: Meta's Graph, one recipient a request.

Spec: Meta's documentation of messages, statuses, errors and webhooks, and the pywa SDK, read November 2026. What is
peculiar:
- free text goes only to people who wrote within 24 hours; to the others an approved template. A late text is refused by
  webhook (131047), not in the answer;
- our reference comes back in every status (`biz_opaque_callback_data`), so a lost answer is settled by its status;
- `read` implies delivered; statuses may come in any order;
- the wa_id of an answer may differ from the number that was written to, so a message is known by its wamid alone.

What it posts is read by whatsapp_callbacks.py, its templates are whatsapp_templates.py.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

from messaging.providers import whatsapp_callbacks as incoming
from messaging.providers.base import (
    Adapter,
    Callback,
    CallbackAnswer,
    Capabilities,
    CredentialField,
    Credentials,
    HttpRequest,
    HttpResponse,
    Notice,
    Outbound,
    Outcome,
    clip,
    outcomes_by_status,
    same_for_all,
)
from messaging.providers.reading import digits, field, inner, number_in, object_of, rows_of, text_of
from messaging.providers.whatsapp_errors import failure_for

log = logging.getLogger(__name__)

DEFAULT_VERSION: Final = "v23.0"
MEDIA: Final = frozenset({"image", "video", "audio", "document", "sticker"})
CAPTIONED: Final = frozenset({"image", "video", "document"})


class WhatsApp(Adapter):
    """One WhatsApp number of a business: text, templates, media, read receipts."""

    name = "whatsapp"
    label = "WhatsApp Cloud API"
    channels = ("whatsapp",)
    can = Capabilities(batch_size=1, one_text_many=False, reports="pushed", lookup=False, idempotent=False)
    default_base_url = "https://graph.facebook.com"
    callback_kinds = ("events",)
    callback_methods = ("GET", "POST")
    callback_bytes = 3 << 20
    credential_fields = (
        CredentialField("phone_number_id", "Phone number ID", secret=False, required=True),
        CredentialField("business_account_id", "WhatsApp Business account ID", secret=False, required=True),
        CredentialField("access_token", "System user token", secret=True, required=True),
        CredentialField("app_secret", "App secret", secret=True, required=True, help="Webhooks are signed with it."),
        CredentialField(
            "verify_token", "Verify token", secret=True, required=True, help="Any word; enter the same at Meta."
        ),
        CredentialField("version", "API version", secret=False, required=False, default=DEFAULT_VERSION),
    )

    def request_for(self, batch: Sequence[Outbound], credentials: Credentials, base_url: str) -> HttpRequest:
        self.check_batch(batch)
        message = batch[0]
        wire = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": digits(message.to)}
        wire |= _content(message) | {"biz_opaque_callback_data": message.reference}
        return post(f"{number_path(credentials, base_url)}/messages", wire, credentials)

    def outcomes_of(self, batch: Sequence[Outbound], response: HttpResponse) -> list[Outcome]:
        answer, raw = object_of(response), clip(text_of(response.body))
        if response.status == 200:
            rows = rows_of(answer.get("messages"))
            wamid = field(rows[0], "id") if len(rows) == 1 else ""
            if not wamid or len(wamid) > 100:
                words = "The answer could not be read."
                return same_for_all(batch, "ambiguous", "no_clear_answer", words, raw)
            return [Outcome(message.id, "accepted", provider_message_id=wamid, raw=raw) for message in batch]
        error = inner(answer, "error")
        code = number_in(error, "code")
        if response.status >= 500 or code < 0 or response.status == 408:
            return outcomes_by_status(batch, response)
        kind, error_code = failure_for(code, response.status)
        return same_for_all(batch, kind, error_code, incoming.words_of(error), raw)

    def read_receipt_request(self, wamid: str, credentials: Credentials, base_url: str) -> HttpRequest:
        """The request that shows the person two blue ticks on what they wrote."""
        wire = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
        return post(f"{number_path(credentials, base_url)}/messages", wire, credentials)

    def media_request(self, media_id: str, credentials: Credentials, base_url: str) -> HttpRequest:
        """The request that asks where an inbound file lies; `media_of` reads its answer."""
        return get(f"{graph(credentials, base_url)}/{quote(media_id, safe='')}", credentials)

    def media_of(self, response: HttpResponse) -> tuple[str, str]:
        """(address, MIME type) of a file: the address wants our token and lives five minutes. ("", "") for none."""
        answer = object_of(response) if response.status == 200 else {}
        return field(answer, "url"), field(answer, "mime_type")

    def file_request(self, url: str, credentials: Credentials) -> HttpRequest:
        """The request for the file itself. Only for an address that `media_of` gave: it carries our token."""
        return HttpRequest("GET", url, (_bearer(credentials),), b"")

    def verify_callback(self, callback: Callback, credentials: Credentials, url: str) -> bool:
        if callback.method == "GET":
            return incoming.is_handshake(callback, credentials.text("verify_token"))
        return incoming.is_signed(callback, credentials.text("app_secret"))

    def answer_callback(self, callback: Callback, credentials: Credentials) -> CallbackAnswer:
        if callback.method == "GET":
            return CallbackAnswer(200, incoming.challenge_of(callback), stored=False)
        return CallbackAnswer()

    def parse_callback(self, callback: Callback) -> list[Notice]:
        if callback.kind not in self.callback_kinds:
            return super().parse_callback(callback)
        return incoming.read(callback)


def _content(message: Outbound) -> dict[str, Any]:
    """The part of the wire that depends on what is sent; see messaging.models.Message about `content`."""
    content = message.content or {}
    if name := content.get("template"):
        template: dict[str, Any] = {"name": str(name), "language": {"code": str(content.get("language") or "en")}}
        if components := _components(content):
            template["components"] = components
        return {"type": "template", "template": template}
    media = content.get("media")
    if isinstance(media, Mapping) and media.get("kind") in MEDIA:
        kind = str(media["kind"])
        file: dict[str, Any] = {"id": str(media["id"])} if media.get("id") else {"link": str(media.get("url", ""))}
        caption = media.get("caption") or message.text
        if caption and kind in CAPTIONED:
            file["caption"] = str(caption)
        if kind == "document" and media.get("filename"):
            file["filename"] = str(media["filename"])
        return {"type": kind, kind: file} | _context(content)
    return {"type": "text", "text": {"preview_url": False, "body": message.text}} | _context(content)


def _components(content: Mapping[str, Any]) -> list[Any]:
    """`components` as the vendor has them where given whole; else the body's parameters, in order or by name."""
    given = content.get("components")
    if isinstance(given, list):
        return given
    parameters = content.get("parameters")
    if isinstance(parameters, Mapping):
        rows = [{"type": "text", "parameter_name": str(name), "text": str(text)} for name, text in parameters.items()]
    else:
        rows = [{"type": "text", "text": str(text)} for text in parameters or ()]
    return [{"type": "body", "parameters": rows}] if rows else []


def _context(content: Mapping[str, Any]) -> dict[str, Any]:
    """The message of the person that this one answers, shown above it."""
    return {"context": {"message_id": str(content["reply_to"])}} if content.get("reply_to") else {}


def graph(credentials: Credentials, base_url: str) -> str:
    return f"{base_url.rstrip('/')}/{quote(credentials.text('version', DEFAULT_VERSION), safe='')}"


def number_path(credentials: Credentials, base_url: str) -> str:
    return f"{graph(credentials, base_url)}/{quote(credentials.required('phone_number_id'), safe='')}"


def get(url: str, credentials: Credentials) -> HttpRequest:
    return HttpRequest("GET", url, (_bearer(credentials), ("Accept", "application/json")), b"")


def delete(url: str, credentials: Credentials) -> HttpRequest:
    return HttpRequest("DELETE", url, (_bearer(credentials), ("Accept", "application/json")), b"")


def post(url: str, wire: Mapping[str, Any], credentials: Credentials) -> HttpRequest:
    headers = (_bearer(credentials), ("Accept", "application/json"), ("Content-Type", "application/json"))
    for wanted in ("business_account_id", "app_secret", "verify_token"):
        credentials.required(wanted)  # without these we would send and never hear what became of it
    return HttpRequest("POST", url, headers, orjson.dumps(wire))


def _bearer(credentials: Credentials) -> tuple[str, str]:
    return ("Authorization", f"Bearer {credentials.required('access_token')}")
