"""What is not a table gets its own sentence, and nothing of it is kept."""

import io
import zipfile

import pytest

from contacts.errors import UnreadableFile
from contacts.models import ContactImport

from .conftest import started, stored_files

pytestmark = pytest.mark.django_db


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "<xml/>")
    return buffer.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600
CASES = {
    "empty": (b"", "empty", "there is nothing to import"),
    "only blanks": (b"\r\n \r\n;;;\r\n", "empty", "there is nothing to import"),
    "only a mark": (b"\xef\xbb\xbf", "empty", "there is nothing to import"),
    "only a header": (b"Name,Phone,Email\r\n", "only_header", "only a title row"),
    "broken xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "damaged", "not saved completely"),
    "xls": (OLE, "xls", "old Excel workbook"),
    "protected xlsx": (OLE + "EncryptedPackage".encode("utf-16-le"), "protected", "password"),
    "ods": (zipped("content.xml", "mimetype"), "ods", "OpenDocument"),
    "docx": (zipped("word/document.xml"), "docx", "Word document"),
    "zip": (zipped("people.csv"), "archive", "ZIP archive"),
    "broken zip": (b"PK\x03\x04garbage", "archive", "ZIP archive"),
    "gzip": (b"\x1f\x8b\x08" + bytes(range(200)), "archive", "compressed"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "pdf", "PDF document"),
    "png": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image", "picture"),
    "jpeg": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image", "picture"),
    "gif": (b"GIF89a\x01\x00\x01\x00", "image", "picture"),
    "html named xls": (b"<html><table><tr><td>Name</td></tr></table>", "html", "web page"),
    "json": (b'[{"name": "Ann", "phone": "0712345678"}]', "json", "JSON"),
    "vcard": (b"BEGIN:VCARD\nVERSION:3.0\nFN:Ann\nEND:VCARD\n", "vcard", "vCard"),
    "binary": (bytes(range(256)) * 40, "binary", "not text"),
    "zeros": (b"\x00" * 5000 + b"x", "binary", "not text"),
    "one endless line": (b"a" * 70_000, "binary", "one endless line"),
    "too many columns": (b",".join(b"c%d" % n for n in range(600)) + b"\n1,2\n", "too_many_columns", "600 columns"),
}


@pytest.mark.parametrize("case", CASES)
def test_not_a_table(acme, settings, case):
    content, reason, words = CASES[case]

    with pytest.raises(UnreadableFile) as refusal:
        started(acme, content, f"{case}.csv")

    assert refusal.value.facts["reason"] == reason
    assert words in str(refusal.value)
    assert refusal.value.errors == {"file": [str(refusal.value)]}
    assert stored_files(settings.MEDIA_ROOT) == []
    assert not ContactImport.objects.for_client(acme).exists()


def test_too_large(acme, settings):
    settings.MAX_IMPORT_BYTES = 1 << 20
    with pytest.raises(UnreadableFile, match=r"the limit is 1 MB") as refusal:
        started(acme, b"0712345678\n" * 100_000)

    assert refusal.value.facts["reason"] == "too_large"
    assert stored_files(settings.MEDIA_ROOT) == []


def test_too_many_rows(acme, settings):
    settings.MAX_IMPORT_ROWS = 100
    assert started(acme, "Name,Phone\n" + "A,0712345678\n" * 100).rows_total == 100
    with pytest.raises(UnreadableFile, match="more than 100 rows"):
        started(acme, "Name,Phone\n" + "A,0712345678\n" * 101)
    with pytest.raises(UnreadableFile, match="more than 100 rows"):
        started(acme, "0712345678\n" * 101)
