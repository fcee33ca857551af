"""Papers that prove who asks for a sender ID: checked by their bytes, kept outside every URL, given out by a door.

A file is what its first and last bytes say, whatever its name or the browser claim. A PDF that runs something when it
is opened is refused: a member of staff opens it.
"""

import hashlib
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Client, User
from accounts.services.access import needs
from accounts.services.audit import record_audit
from crm.common.errors import InvalidInput, NotFound, WrongState
from crm.common.text_units import clean_text
from messaging.models import DocumentKind, SenderDocument, SenderId, SenderState

MOST_BYTES: Final = 5 << 20
MOST_PIXELS: Final = 60_000_000
ENDINGS: Final = {"application/pdf": "pdf", "image/jpeg": "jpg", "image/png": "png"}
_ACTIVE: Final = (b"/JavaScript", b"/JS", b"/Launch", b"/EmbeddedFile", b"/OpenAction", b"/RichMedia", b"/XFA")


def content_type_of(body: bytes) -> str:
    """What the bytes are. Raises: InvalidInput (file), with a sentence for a person."""
    if not body:
        raise InvalidInput({"file": [_("This file is empty.")]})
    if len(body) > MOST_BYTES:
        raise InvalidInput({"file": [_("The file is larger than %(most)s MB.") % {"most": MOST_BYTES >> 20}]})
    if body.startswith(b"%PDF-"):
        return _check_pdf(body)
    if body.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        return _check_photo(body)
    raise InvalidInput({"file": [_("Give a photo (JPEG or PNG) or a PDF.")]})


def _check_pdf(body: bytes) -> str:
    if b"%%EOF" not in body[-2048:]:
        raise InvalidInput({"file": [_("This PDF is not complete. Save or scan it again.")]})
    if any(word in body for word in _ACTIVE):
        raise InvalidInput(
            {"file": [_("This PDF contains programs or other files. Print it to a new PDF, or take a photo.")]}
        )
    return "application/pdf"


def _check_photo(body: bytes) -> str:
    from PIL import Image  # large, and few processes are ever shown a photo

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(body), formats=["JPEG", "PNG"]) as image:
                wide, high, kind = *image.size, image.format
                if wide * high > MOST_PIXELS:
                    raise InvalidInput({"file": [_("This photo is too large. Take it with fewer pixels.")]})
                image.verify()
    except InvalidInput:
        raise
    except Exception:  # every malformed picture breaks the decoder in its own way
        raise InvalidInput({"file": [_("This photo cannot be read. Take it again.")]}) from None
    return "image/jpeg" if kind == "JPEG" else "image/png"


@needs("senders.write")
def attach_paper(*, client: Client, by: User | None, sender_id: int, kind: str, upload: Any) -> SenderDocument:
    """Keep a file (`name`, `size`, `read()`) as the paper of this kind, in the place of an earlier one.

    Raises: NotFound, WrongState (the request is being checked or was approved), InvalidInput (file, kind).
    """
    sender = SenderId.objects.for_client(client).filter(pk=sender_id).first()
    if sender is None:
        raise NotFound()
    if sender.state not in (SenderState.DRAFT, SenderState.REJECTED):
        raise WrongState(_("This request is being looked at: its papers stay as they are."))
    if kind not in DocumentKind.values:
        raise InvalidInput({"kind": [_("Say what kind of paper this is.")]})
    body = upload.read(MOST_BYTES + 1)
    content_type = content_type_of(body)
    stored_as = f"senders/{client.pk}/{uuid4().hex}.{ENDINGS[content_type]}"
    path = Path(settings.MEDIA_ROOT) / stored_as
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    try:
        with transaction.atomic():
            old = SenderDocument.objects.for_client(client).filter(sender=sender, kind=kind).first()
            paper, _made = SenderDocument.objects.update_or_create(
                client=client,
                sender=sender,
                kind=kind,
                defaults={
                    "stored_as": stored_as,
                    "filename": clean_text(Path(upload.name or "").name)[-120:] or "paper",
                    "content_type": content_type,
                    "size": len(body),
                    "sha256": hashlib.sha256(body).hexdigest(),
                    "uploaded_by": by,
                },
            )
            if old:
                remove_later(old)
            record_audit(
                client=client,
                action="sender.paper_added",
                target=f"sender:{sender.name}",
                after={"kind": kind, "size": len(body), "sha256": paper.sha256},
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return paper


def remove_later(paper: SenderDocument) -> None:
    """Delete the file of a row that goes, once the transaction is through."""
    path = path_of(paper)
    transaction.on_commit(lambda: path.unlink(missing_ok=True))


def path_of(paper: SenderDocument) -> Path:
    return Path(settings.MEDIA_ROOT) / paper.stored_as
