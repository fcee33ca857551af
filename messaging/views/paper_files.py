"""Giving out the papers of sender IDs: to their client and to staff, by the same rules."""

from django.http import FileResponse, Http404

from messaging.models import SenderDocument
from messaging.services import sender_papers


def paper_file(found: SenderDocument | None) -> FileResponse:
    """Photos are shown, PDFs saved; neither may run or load anything."""
    if found is None or not sender_papers.path_of(found).is_file():
        raise Http404
    ending = sender_papers.ENDINGS[found.content_type]
    answer = FileResponse(
        sender_papers.path_of(found).open("rb"),
        as_attachment=ending == "pdf",
        filename=f"{found.kind}-{found.pk}.{ending}",
        content_type=found.content_type,
    )
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer
