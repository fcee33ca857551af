"""From the bytes of an upload to its rows: what kind of file it is, its encoding, its separator, its header."""

import codecs
import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from contacts.errors import UnreadableFile
from contacts.importing.workbooks import Sheet, convert_workbook, looks_like_workbook, word_document
from crm.common.figures import figure

HEAD_BYTES = 64 << 10
MAX_COLUMNS = 500

# What a person may choose on the check page, by the codec's name.
ENCODINGS = {
    "utf-8": "UTF-8",
    "cp1252": gettext_lazy("Windows-1252 (Excel, Western Europe)"),
    "utf-16": gettext_lazy("UTF-16 (Excel “Unicode text”)"),
    "utf-16-le": gettext_lazy("UTF-16, little-endian"),
    "utf-16-be": gettext_lazy("UTF-16, big-endian"),
    "mac_roman": gettext_lazy("Mac Roman (older Excel for Mac)"),
    "cp1256": gettext_lazy("Windows-1256 (Arabic)"),
}
DELIMITERS = {
    ",": gettext_lazy("Comma ,"),
    ";": gettext_lazy("Semicolon ;"),
    "\t": gettext_lazy("Tab"),
    "|": gettext_lazy("Vertical bar |"),
}

Cells = list[str]
_SEP_LINE = re.compile(r'"?sep=(.)"?[;,\t]*\s*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Table:
    """How to read a stored upload. `delimiter` is one character, `encoding` a key of ENCODINGS."""

    path: Path
    encoding: str
    delimiter: str

    def rows(self, start: int = 1) -> Iterator[tuple[int, Cells | None]]:
        """(row number as in a spreadsheet, cells) from row `start` on; blank rows are counted but not given.

        A cell with line breaks is one row. None instead of cells: the row cannot be told from the next ones, because
        a quotation mark is opened and not closed.
        """
        codec = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        with self.path.open(encoding=codec, errors="replace", newline="") as lines:
            if not _SEP_LINE.fullmatch(lines.readline(64)):  # Excel reads "sep=;" and does not show it
                lines.seek(0)
            reader = csv.reader(lines, delimiter=self.delimiter)
            number = 0
            while True:
                number += 1
                try:
                    cells: Cells | None = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    cells = None
                if number >= start and (cells is None or any(map(str.strip, cells))):
                    yield number, cells

    def sample(self, count: int) -> list[tuple[int, Cells]]:
        """The first `count` readable rows."""
        return list(islice(((number, cells) for number, cells in self.rows() if cells is not None), count))


def prepare(path: Path, filename: str, *, max_bytes: int, max_rows: int) -> tuple[Table, Sheet | None]:
    """As `detect`, also for a workbook: the file at `path` is then replaced by its first sheet as CSV."""
    _check_size(path, max_bytes)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not looks_like_workbook(head):
        return detect(path, filename, max_bytes=max_bytes), None
    converted = path.with_suffix(".sheet")
    try:
        sheet = convert_workbook(path, converted, max_rows=max_rows + 1)
        converted.replace(path)
    finally:
        converted.unlink(missing_ok=True)
    return Table(path, "utf-8", ","), sheet


def _check_size(path: Path, max_bytes: int) -> None:
    size = path.stat().st_size
    if size > max_bytes:
        raise UnreadableFile(
            _("This file has %(size)s MB; the limit is %(most)s MB. Split it into several files.")
            % {"size": figure(-(-size >> 20)), "most": figure(max_bytes >> 20)},
            reason="too_large",
        )


def detect(path: Path, filename: str, *, max_bytes: int) -> Table:
    """How to read the file at `path`. Raises: UnreadableFile, with a sentence for the person who chose the file."""
    _check_size(path, max_bytes)
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    _refuse_other_kinds(path, head, filename)
    encoding = detect_encoding(path, head)
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    _refuse_other_texts(text, size)
    return Table(path, encoding, detect_delimiter(text))


def count_rows(table: Table, *, max_rows: int, titles: int) -> int:
    """Rows that are not blank, without the `titles` (0 or 1) first ones. Raises: UnreadableFile above `max_rows`."""
    total = 0
    for total, _row in enumerate(table.rows(), start=1):
        if total > max_rows + titles:
            raise UnreadableFile(
                _("This file has more than %(most)s rows, which is the limit. Split it into several files.")
                % {"most": figure(max_rows)},
                reason="too_many_rows",
            )
    return max(0, total - titles)


def detect_encoding(path: Path, head: bytes) -> str:
    """By the byte-order mark; else UTF-8 if the whole file is strictly that, but for a last letter cut off with
    the file; else Windows-1252, as Excel writes it."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if not head.startswith(codecs.BOM_UTF8):
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) > len(head) // 5:
            return "utf-16-le" if odd > even else "utf-16-be"
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    has_letters = False  # beyond ASCII, so that the file is known for UTF-8
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                has_letters |= not decoder.decode(block).isascii()
    except UnicodeDecodeError:
        return "cp1252"
    is_cut_off = bool(decoder.getstate()[0])
    return "cp1252" if is_cut_off and not has_letters else "utf-8"


def detect_delimiter(text: str) -> str:
    """The most frequent separator of the first line that is not blank, outside quotation marks; a comma if none is."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    if announced := _SEP_LINE.fullmatch(line):
        return announced[1]
    outside = Counter(re.sub(r'"[^"]*"?', "", line))
    return max(DELIMITERS, key=lambda delimiter: outside[delimiter])


_PICTURE = gettext_lazy("This is a picture, not a table.")
_COMPRESSED = gettext_lazy("This file is compressed. Unpack it and upload the file inside.")
_SIGNATURES = (
    (
        b"%PDF",
        "pdf",
        gettext_lazy(
            "This is a PDF document, not a table. If the list came from a spreadsheet: "
            "open it in your spreadsheet program, save it as XLSX or CSV, and upload that file."
        ),
    ),
    (b"\x89PNG", "image", _PICTURE),
    (b"\xff\xd8\xff", "image", _PICTURE),
    (b"GIF8", "image", _PICTURE),
    (b"BM", "image", _PICTURE),
    (b"RIFF", "image", gettext_lazy("This is a picture or a recording, not a table.")),
    (b"\x1f\x8b", "archive", _COMPRESSED),
    (b"7z\xbc\xaf", "archive", _COMPRESSED),
    (b"Rar!", "archive", _COMPRESSED),
    (b"{\\rtf", "document", gettext_lazy("This is a text document, not a table.")),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def _refuse_other_kinds(path: Path, head: bytes, filename: str) -> None:
    if not head.strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n;,"):
        raise UnreadableFile(_("This file is empty: there is nothing to import."), reason="empty")
    if head.startswith(b"PK\x03\x04"):
        raise _zip_refusal(path)
    if head.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in _beginning(path, 4 << 20):
            raise UnreadableFile(
                _(
                    "This Excel workbook is protected by a password. Remove the password, save it, "
                    "and upload that file."
                ),
                reason="protected",
            )
        raise UnreadableFile(
            _("This is an old Excel workbook (.xls). Open it, save it as .xlsx or CSV, and upload that file."),
            reason="xls",
        )
    for signature, reason, sentence in _SIGNATURES:
        # "BM" alone would refuse a list whose first column is called BMI: a bitmap has zeros in its header.
        if head.startswith(signature) and (signature != b"BM" or b"\x00\x00" in head[:16]):
            raise UnreadableFile(str(sentence), reason=reason)
    if (
        head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        or max(head[::2].count(0), head[1::2].count(0)) > len(head) // 5
    ):
        if _is_text_utf16(head):
            return
        raise _binary()
    # A damaged cell or two with a NUL is a matter of its row; a program or a database file is full of them.
    odd = sum(head.count(bytes([code])) for code in range(32) if code not in (9, 10, 11, 12, 13, 26))
    if odd > 8 and odd > len(head) // 100:
        raise _binary()


def _beginning(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _is_text_utf16(head: bytes) -> bool:
    """Whether two-byte text comes out as such: hardly any unassigned, private or control characters."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec = "utf-16"
    else:
        codec = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    text = head[: len(head) & ~1].decode(codec, errors="replace")[:4000]
    strange = sum(unicodedata.category(char) in ("Cn", "Co", "Cc") and char not in "\t\r\n" for char in text)
    return strange <= len(text) // 50


def _binary() -> UnreadableFile:
    return UnreadableFile(
        _("This file is not text: it cannot be read as a table. Upload an XLSX, CSV, TSV or TXT file."), reason="binary"
    )


def _zip_refusal(path: Path) -> UnreadableFile:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (BadZipFile, OSError, ValueError):
        names = []
    if "content.xml" in names:
        return UnreadableFile(
            _(
                "This is an OpenDocument file. Open it in your spreadsheet program, save it as XLSX or CSV, "
                "and upload that file."
            ),
            reason="ods",
        )
    if "word/document.xml" in names:
        return word_document()
    return UnreadableFile(_("This is a ZIP archive. Unpack it and upload the file inside."), reason="archive")


def _refuse_other_texts(text: str, size: int) -> None:
    start = text.lstrip("\ufeff \t\r\n")[:200].lower()
    if not start.strip(';,\t|" \r\n\x00'):
        raise UnreadableFile(_("This file is empty: there is nothing to import."), reason="empty")
    if start.startswith(("<!doctype", "<html", "<table", "<?xml", "<meta", "<style")):
        sentence = _(
            "This is a web page or XML file, even if its name says otherwise. Open it in your spreadsheet program, "
            "save it as XLSX or CSV, and upload that file."
        )
        raise UnreadableFile(sentence, reason="html")
    if start.startswith(('{"', "[{", "{\n", "{\r")):
        raise UnreadableFile(_("This is a JSON file. Upload a table: XLSX, CSV, TSV or TXT."), reason="json")
    if start.startswith("begin:vcard"):
        sentence = _("This is a phone's contact file (vCard). Export the contacts as CSV instead.")
        raise UnreadableFile(sentence, reason="vcard")
    if size > HEAD_BYTES and "\n" not in text and "\r" not in text:
        raise UnreadableFile(_("This file is one endless line: it cannot be read as a table."), reason="binary")
