"""XLSX workbooks become CSV files before anything else sees them: one way of reading for all that follows."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from django.utils.translation import gettext as _

from contacts.errors import UnreadableFile
from crm.common.figures import figure

# What a workbook may unpack to, and what the process that opens it may use. 200,000 rows of four columns took 95 MB.
MAX_UNPACKED = 600 << 20
MAX_MEMORY_MEGABYTES = 768
_PATIENCE_SECONDS = 150


@dataclass(frozen=True, slots=True)
class Sheet:
    """The sheet that was read, and how many others with contents were not."""

    name: str
    others: int


def looks_like_workbook(head: bytes) -> bool:
    """Whether a ZIP archive begins as XLSX files do, even if its end, where the table of contents is, never arrived."""
    return head.startswith(b"PK\x03\x04") and any(
        name in head for name in (b"[Content_Types].xml", b"xl/", b"_rels/.rels", b"docProps/")
    )


def convert_workbook(path: Path, target: Path, *, max_rows: int) -> Sheet:
    """Write the first sheet of the workbook at `path` to `target` as CSV in UTF-8. Raises: UnreadableFile."""
    try:
        with ZipFile(path) as archive:
            entries = archive.infolist()
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        raise _damaged() from None
    names = {entry.filename for entry in entries}
    if "word/document.xml" in names:
        raise word_document()
    if "xl/workbook.bin" in names:
        raise UnreadableFile(_("This is a binary workbook (.xlsb). Save it as .xlsx or CSV."), reason="xlsb")
    if "xl/workbook.xml" not in names:
        raise _damaged()
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise _too_large()
    command = [sys.executable, "-I", str(Path(__file__).with_name("workbook_rows.py")), str(path), str(target)]
    try:
        done = subprocess.run(  # noqa: S603 - our own file, by our own interpreter
            [*command, str(MAX_MEMORY_MEGABYTES), str(max_rows)],
            capture_output=True, timeout=_PATIENCE_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _too_large() from None
    if done.returncode != 0:  # it ran out of memory or time: the workbook unpacks to more than it says
        raise _too_large()
    answer = json.loads(done.stdout)
    if error := answer.get("error"):
        raise _refusal(error, max_rows)
    return Sheet(answer["sheet"][:100], answer["others"])


def _refusal(error: str, max_rows: int) -> UnreadableFile:
    if error == "too_large":
        return _too_large()
    if error == "too_many_rows":
        return UnreadableFile(
            _("The sheet has more than %(most)s rows, which is the limit. Split it into several files.")
            % {"most": figure(max_rows)},
            reason="too_many_rows",
        )
    if error == "empty":
        return UnreadableFile(_("This workbook is empty: there is nothing to import."), reason="empty")
    return _damaged()


def word_document() -> UnreadableFile:
    return UnreadableFile(
        _("This is a Word document. Copy its table into a spreadsheet and save that as XLSX or CSV."), reason="docx"
    )


def _damaged() -> UnreadableFile:
    return UnreadableFile(
        _("This Excel workbook is damaged or was not saved completely. Open it, save it again, and upload that file."),
        reason="damaged",
    )


def _too_large() -> UnreadableFile:
    return UnreadableFile(
        _(
            "This workbook unpacks to more than can be opened here. Delete empty rows, columns and other sheets, "
            "or save the sheet as CSV."
        ),
        reason="unpacks_too_large",
    )
