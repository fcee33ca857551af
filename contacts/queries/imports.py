"""Reads of imports, under way and over."""

from collections.abc import Collection

from django.db.models import QuerySet

from accounts.models import Client
from contacts.importing import checking
from contacts.importing.reading import Table
from contacts.importing.rows import RowReader
from contacts.models import Contact, ContactImport, ImportReject, ImportState


def imports_for(client: Client) -> QuerySet[ContactImport]:
    """The client's imports, newest first, with the person and the group."""
    return ContactImport.objects.for_client(client).select_related("by", "group", "consent").order_by("-pk")


def rejects_of(batch: ContactImport, *, limit: int) -> list[ImportReject]:
    """The first rows that were refused for their contents, in the order of the file."""
    rejects = ImportReject.objects.for_client(batch.client_id).filter(contact_import=batch).exclude(reason="duplicate")
    return list(rejects.defer("cells").order_by("row")[:limit])


def import_under_way(client: Client) -> ContactImport | None:
    """The import of the client that a worker runs or is about to."""
    states = [ImportState.READY, ImportState.RUNNING, ImportState.UNDOING]
    return ContactImport.objects.for_client(client).filter(state__in=states).order_by("pk").first()


def kept_by_undo(batch: ContactImport) -> QuerySet[Contact]:
    """Contacts that an undone import had created and that stay: they were messaged, or a later file touched them."""
    return Contact.objects.for_client(batch.client_id).filter(created_import=batch).order_by("pk")


def check_import(batch: ContactImport) -> checking.Check:
    """What the unstarted import would do: nothing is written. Looks at the first checking.CHECK_ROWS rows."""
    return checking.check_file(
        client_id=batch.client_id,
        table=Table(batch.path, batch.encoding, batch.delimiter),
        reader=RowReader(batch.mapping, batch.client.country, batch.edits),
        start=batch.next_row,
        policy=batch.duplicates,
    )


def cells_of(batch: ContactImport, rows: Collection[int]) -> dict[int, dict[int, str]]:
    """Row number → column index → text of these rows of an unstarted import, as the check shows them: with corrections
    made before. Reads the file no further than the last of them, and nothing but the file."""
    last, found = max(rows, default=0), {}
    for number, cells in Table(batch.path, batch.encoding, batch.delimiter).rows():
        if number > last:
            break
        if number in rows and cells is not None:
            edit = batch.edits.get(str(number), {})
            padded = cells + [""] * (len(batch.headers) - len(cells))
            texts = (edit.get(str(index), cell) for index, cell in enumerate(padded))
            found[number] = {index: text.replace("\x00", "\ufffd") for index, text in enumerate(texts)}
    return found


def column_samples(batch: ContactImport, count: int = 3) -> list[list[str]]:
    """For each column of an unstarted import its first values that are not blank, at most 60 characters each."""
    table = Table(batch.path, batch.encoding, batch.delimiter)
    below = [cells for number, cells in table.sample(50) if number >= batch.next_row]
    columns = []
    for index in range(len(batch.headers)):
        values = (cells[index].strip() for cells in below if index < len(cells))
        columns.append([value[:60] for value in values if value][:count])
    return columns
