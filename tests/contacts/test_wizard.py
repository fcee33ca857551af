"""The import wizard beyond plain CSV: workbooks, pasted lists, typed fields, corrections, consent, review, undo."""

import io
import random
import zipfile

import pytest
import xlsxwriter
from django.core.files.base import ContentFile
from django.utils import timezone
from django.utils.translation import get_language

from accounts.models import User
from contacts import queries
from contacts.errors import UnreadableFile
from contacts.importing import workbooks
from contacts.importing.screening import ConsecutiveNumbers
from contacts.importing.values import BadValueError, read_value
from contacts.models import Contact, ContactField, ContactImport, GroupMember, ImportChange
from contacts.services import (
    begin_import,
    configure_import,
    create_contact,
    create_group,
    refuse_import,
    release_import,
    retake_rejects,
    run_import,
    run_undo,
    start_import,
    undo_import,
    update_contact,
)
from crm.common.errors import InvalidInput, WrongState
from messaging.models import Message

from .conftest import counts, csv_text, load, started, stored_files

pytestmark = pytest.mark.django_db


def workbook(*sheets: list[list], hidden: str = "", start: int = 0) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        for number, rows in enumerate(sheets):
            sheet = book.add_worksheet(f"Sheet {number + 1}")
            if sheet.name == hidden:
                sheet.hide()
            for index, row in enumerate(rows):
                sheet.write_row(start + index, 0, row)
        if hidden:
            book.get_worksheet_by_name("Sheet 2").activate()
            book.get_worksheet_by_name("Sheet 2").set_first_sheet()
    return buffer.getvalue()


def book(client) -> dict:
    return {c.phone or c.email: c for c in Contact.objects.for_client(client)}


# ---- workbooks ----


def test_a_workbook_is_read_like_a_csv_file(acme):
    content = workbook(
        [["Jina", "Namba ya simu", "Idara", "Deni"], ["Aïssatou 🎉", 254712345678, "Afya", 1500.5],
         ["محمد", "0712345679", "", 20], [], ["Bad", 12, "", ""]],
        [["Other"], ["x"]],
    )  # fmt: skip
    batch = load(acme, content, "wateja.xlsx")

    assert counts(batch) == (3, 2, 0, 0, 0, 1)
    assert (batch.sheet, batch.other_sheets) == ("Sheet 1", 1)
    ann = book(acme)["+254712345678"]
    assert (ann.name, ann.department, ann.attributes) == ("Aïssatou 🎉", "Afya", {"Deni": "1500.5"})
    assert book(acme)["+254712345679"].attributes == {"Deni": "20"}
    assert [r.row for r in batch.rejects.filter(client=acme)] == [5]  # as in the spreadsheet, the empty row 4 counted


def test_rows_above_the_table_and_hidden_sheets(acme):
    content = workbook([["secret"], ["x"]], [["Name", "Phone"], ["Ann", "12"]], hidden="Sheet 1", start=3)
    batch = started(acme, content, "a.xlsx")

    assert batch.sheet == "Sheet 2"
    assert queries.check_import(batch).refused[0].row == 5


def test_dates_and_whole_numbers_of_a_workbook_come_as_people_see_them(acme):
    from datetime import date, datetime

    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, "default_date_format": "dd/mm/yy"}) as book_:
        sheet = book_.add_worksheet()
        sheet.write_row(0, 0, ["Phone", "Born", "Seen", "Paid"])
        sheet.write_row(1, 0, ["0712345678"])
        sheet.write_datetime(1, 1, date(1990, 3, 4))
        sheet.write_datetime(1, 2, datetime(2026, 3, 4, 9, 30))  # noqa: DTZ001 - spreadsheets know no zones
        sheet.write_boolean(1, 3, True)
    load(acme, buffer.getvalue(), "a.xlsx")

    assert book(acme)["+254712345678"].attributes == {"Born": "1990-03-04", "Seen": "2026-03-04 09:30", "Paid": "TRUE"}


def huge_dimension() -> bytes:
    """A sheet with two cells at opposite corners: 17 thousand million cells for who allocates the rectangle."""
    small = workbook([["Phone"], ["0712345678"]])
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(small)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
                data = data.replace(b"</sheetData>", far)
            new.writestr(name, data)
    return buffer.getvalue()


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as entry:
            for _ in range(50):
                entry.write(b" " * (1 << 20))
    return buffer.getvalue()


WORKBOOKS = {
    "half-written": (lambda: workbook([["Phone"]] + [["0712345678"]] * 2000)[:-900], "damaged", "not saved completely"),
    "opposite corners": (huge_dimension, "unpacks_too_large", "unpacks to more"),
    "unpacks without end": (zip_bomb, "unpacks_too_large", "unpacks to more"),
    "empty workbook": (lambda: workbook([[]]), "empty", "nothing to import"),
    "only titles": (lambda: workbook([["Name", "Phone"]]), "only_header", "only a title row"),
}  # fmt: skip


@pytest.mark.parametrize("case", WORKBOOKS)
def test_broken_and_hostile_workbooks_have_their_sentences(acme, settings, monkeypatch, case):
    make, reason, words = WORKBOOKS[case]
    monkeypatch.setattr(workbooks, "MAX_UNPACKED", 20 << 20)
    with pytest.raises(UnreadableFile) as refusal:
        started(acme, make(), "list.xlsx")

    assert refusal.value.facts["reason"] == reason
    assert words in str(refusal.value)
    assert stored_files(settings.MEDIA_ROOT) == []


def test_a_workbook_with_too_many_rows(acme, settings):
    settings.MAX_IMPORT_ROWS = 5
    with pytest.raises(UnreadableFile, match="more than"):
        started(acme, workbook([["Phone"]] + [[f"071234567{n}"] for n in range(8)]), "a.xlsx")


# ---- files from real life ----


def test_a_google_contacts_export(acme):
    header = ["First Name", "Middle Name", "Last Name", "Phonetic First Name", "Organization Name", "Notes", "Labels",
              "E-mail 1 - Label", "E-mail 1 - Value", "Phone 1 - Label", "Phone 1 - Value"]  # fmt: skip
    rows = [header, ["Wanjiku", "", "Mwangi", "", "Duka", "", "", "* Home", "w@x.test", "Mobile", "+254 712 345 678"],
            ["No", "Number", "", "", "", "", "", "", "", "", ""]]  # fmt: skip
    batch = load(acme, csv_text(rows))

    contact = book(acme)["+254712345678"]
    assert (contact.name, contact.email) == ("Wanjiku Mwangi", "w@x.test")
    assert contact.attributes["Organization Name"] == "Duka"
    assert counts(batch) == (2, 1, 0, 0, 0, 1)


def test_a_phone_book_export_in_swahili_with_tabs_and_utf16(acme):
    text = (
        "Jina kamili\tNambari ya simu\tBarua pepe\nMama Zawadi 🌸\t0712 345 678\t\nJuma\t(0733) 123-456\tjuma@x.test\n"
    )
    batch = load(acme, text.encode("utf-16"), "anwani.txt")

    assert set(book(acme)) == {"+254712345678", "+254733123456"}
    assert [m["field"] for m in batch.mapping] == ["name", "phone", "email"]


def test_300_columns_keep_the_first_hundred_fields_and_say_so(acme):
    header = ["Phone", *(f"Field {n}" for n in range(299))]
    batch = started(acme, csv_text([header, ["0712345678", *(f"v{n}" for n in range(299))]]))

    kinds = [match["field"] for match in batch.mapping]
    assert (kinds.count("attribute"), kinds.count("ignore")) == (100, 199)
    assert {m["how"] for m in batch.mapping if m["field"] == "ignore"} == {"many"}
    with pytest.raises(InvalidInput, match="at most 100 fields"):
        configure_import(contact_import=batch, columns=["phone"] + ["attribute"] * 299)
    begin_import(contact_import=batch, background=False)
    assert run_import(import_id=batch.pk)
    assert len(book(acme)["+254712345678"].attributes) == 100


def test_acceptance_4_french_excel_and_every_spelling_of_a_number(acme):
    text = (
        "Nom;Téléphone\r\nÉlodie;712345678\r\nB;0712 345 678\r\nC;00254712345678\r\nD;2,54713E+11\r\nE;2.54713E+11\r\n"
    )
    batch = started(acme, text.encode("cp1252"))
    check = queries.check_import(batch)

    assert (check.new, check.duplicates, check.rejected, check.repaired) == (1, 2, 2, 1)
    assert check.problems["excel"].sentence == "Excel shortened this number: format the column as text"
    assert check.sample[0].name == "Élodie"
    assert check.sample[0].phone == "+254712345678"


def test_old_ivorian_numbers_and_unknown_ranges_are_warned_about(acme):
    acme.country = "CI"
    acme.save()
    check = queries.check_import(started(acme, "Nom,Numéro\nA,08 08 14 88\nB,0708081489\nC,+255123456789\n"))

    assert (check.new, check.ivorian, check.unassigned, check.repaired) == (3, 1, 1, 0)
    assert check.sample[0].phone == "+2250708081488"


# ---- pasted ----


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("0712345678, 0733 123 456;+254712345679\n", {"+254712345678", "+254733123456", "+254712345679"}),
        ("Name\tPhone\nAnn\t0712345678\n", {"+254712345678"}),
        ("0712345678", {"+254712345678"}),
    ],
)
def test_a_pasted_list_leads_to_the_check(amina, acme, text, phones):
    answer = amina.post("/app/contacts/import", {"text": text})
    batch = ContactImport.objects.for_client(acme).get()
    assert answer.url == f"/app/contacts/import/{batch.pk}/check"
    begin_import(contact_import=batch, background=False)
    assert run_import(import_id=batch.pk)
    assert set(book(acme)) == phones


@pytest.mark.parametrize(("language", "line"), [("en", "Name,Phone"), ("fr", "Nom;Téléphone"), ("sw", "Jina,Simu")])
def test_template_files_are_recognised_when_they_come_back(amina, acme, language, line):
    template = amina.get(f"/app/contacts/import/template-{language}.csv").content.decode("utf-8-sig")
    assert template.startswith(line)
    separator = ";" if language == "fr" else ","
    batch = started(acme, template + separator.join(["Ann", "0712345678", "a@x.test", "Sales"]) + "\r\n")
    assert [m["field"] for m in batch.mapping] == ["name", "phone", "email", "department"]
    assert amina.get("/app/contacts/import/template-xx.csv").status_code == 404


# ---- typed fields ----


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", "1 500,50", "1500.5"), ("number", "1,500", "1500"), ("number", "-0.0", "0"),
        ("number", "1.234,5", "1234.5"), ("number", "007", "7"), ("date", "5/11/2026", "2026-11-05"),
        ("date", "2026-11-20", "2026-11-20"),
        ("date", "20.11.2026", "2026-11-20"), ("choice", "gOLD", "Gold"), ("text", "x", "x"),
    ],
)  # fmt: skip
def test_values_have_one_spelling(kind, text, value):
    assert read_value(kind, text, ["Gold", "Silver"]) == value


@pytest.mark.parametrize(("kind", "text"), [("number", "abc"), ("number", "1e5"), ("number", "9" * 30),
                                            ("date", "13/14/2026"),
                                            ("date", "5/11/26"), ("choice", "Bronze"), ("number", "١٢")])  # fmt: skip
def test_what_is_not_of_its_kind_is_refused(kind, text):
    with pytest.raises(BadValueError):
        read_value(kind, text, ["Gold"])


def test_new_fields_get_a_kind_and_later_files_use_it(acme):
    batch = started(acme, 'Phone,Debt,Due\n0712345678,"1,500",5/11/2026\n0712345679,lots,n/a\n')
    configure_import(contact_import=batch, columns=["phone", "attribute_number", "attribute_date"])
    begin_import(contact_import=batch, background=False)
    assert run_import(import_id=batch.pk)

    assert book(acme)["+254712345678"].attributes == {"Debt": "1500", "Due": "2026-11-05"}
    reject = batch.rejects.get(client=acme)
    assert (reject.row, reject.field, reject.sentence) == (3, "Debt", "This is not a number.")
    fields = ContactField.objects.for_client(acme)
    assert {f.key: f.kind for f in fields} == {"Debt": "number", "Due": "date"}
    again = started(acme, "Phone,DEBT,Town\n0712345679,7,Meru\n")
    assert again.mapping[1] == {"field": "attribute", "key": "Debt", "how": "own", "kind": "number", "choices": []}


# ---- corrections ----


def test_rejected_rows_are_corrected_on_the_check_page(amina, acme):
    batch = started(acme, "Name,Phone,City\nAnn,12,Meru\nBen,0712345679,Thika\nCy,34,\n")
    url = f"/app/contacts/import/{batch.pk}/check"
    page = amina.get(url).content.decode()
    assert 'name="cell_2_1" value="12"' in page
    settings = {"column_0": "name", "column_1": "phone", "column_2": "attribute", "encoding": "utf-8",
                "delimiter": ",", "has_header": "on", "duplicates": "fill", "cell_2_0": "Anna",
                "cell_2_1": "0712345678",
                "cell_4_0": "Cy", "cell_4_1": "34", "start": "1"}  # fmt: skip

    assert amina.post(url, settings).url == url  # what was typed is shown before anything starts
    batch.refresh_from_db()
    assert batch.edits == {"2": {"0": "Anna", "1": "0712345678"}}  # the row left as it was is not kept
    assert "1 row was corrected here." in amina.get(url).content.decode()
    settings = {k: v for k, v in settings.items() if not k.startswith("cell_2")}
    assert amina.post(url, settings).url == f"/app/contacts/import/{batch.pk}"
    assert run_import(import_id=batch.pk)
    anna = book(acme)["+254712345678"]
    assert (anna.name, anna.attributes) == ("Anna", {"City": "Meru"})
    assert [r.row for r in batch.rejects.filter(client=acme)] == [4]


def test_rejected_rows_are_corrected_after_the_run(amina, acme):
    group = create_group(client=acme, name="All")
    batch = load(acme, "Name,Simu,City\nAnn,12,Meru\nBen,13,\n", columns=["name", "phone", "attribute"], group=group)
    assert counts(batch) == (2, 0, 0, 0, 0, 2)

    answer = amina.post(f"/app/contacts/import/{batch.pk}/correct", {"cell_2_1": "0712345678", "cell_3_1": "13"})
    new = ContactImport.objects.for_client(acme).first()
    assert answer.url == f"/app/contacts/import/{new.pk}"
    assert run_import(import_id=new.pk)

    new.refresh_from_db()
    assert (counts(new), new.filename, new.group_id) == ((1, 1, 0, 0, 0, 0), "people (corrected).csv", group.pk)
    assert (book(acme)["+254712345678"].name, book(acme)["+254712345678"].attributes) == ("Ann", {"City": "Meru"})
    refused = amina.post(f"/app/contacts/import/{batch.pk}/correct", {"cell_2_1": "12"})
    assert refused.status_code == 422
    with pytest.raises(InvalidInput):
        retake_rejects(contact_import=batch, corrections={99: {0: "x"}}, by=None)


# ---- consent ----


def test_consent_is_recorded_with_the_file_and_never_taken_away(acme):
    create_contact(client=acme, phone="0712345678", name="Ann")
    words = {"consent_source": "form", "consent_statement": "Ticked on the form of March 2026"}
    first = load(acme, "Phone\n0712345678\n0712345679\n", **words)
    load(acme, "Phone\n0712345678\n0712345679\n", consent_source="verbal")
    load(acme, "Phone,Name\n0712345679,Ben\n", duplicates="overwrite")

    for contact in book(acme).values():
        assert (contact.consent.source, contact.consent.statement) == ("form", "Ticked on the form of March 2026")
    assert counts(first) == (2, 1, 1, 0, 0, 0)
    with pytest.raises(InvalidInput, match="how they agreed"):
        configure_import(contact_import=started(acme, "Phone\n0712345678\n"), consent_source="", consent_statement="x")


# ---- review of numbers that follow one another ----


def test_longest_run_is_found_in_any_order():
    numbers = list(range(254_711_999_900, 254_712_000_150))  # across the border of a bucket
    random.Random(7).shuffle(numbers)
    runs = ConsecutiveNumbers()
    for number in [*numbers, *numbers[:50], 254_799_999_999]:
        runs.add(f"+{number}")
    runs.add(None)
    assert runs.longest() == 250


def test_250_numbers_in_a_row_wait_for_staff(acme, settings, amina):
    settings.IMPORT_HOLD_CONSECUTIVE = 250
    text = csv_text([["Phone"], *([f"07{n:08d}"] for n in range(5000, 5250))])
    batch = started(acme, text)
    assert "The import will wait" in amina.get(f"/app/contacts/import/{batch.pk}/check").content.decode()
    begin_import(contact_import=batch, background=False)

    assert not run_import(import_id=batch.pk)
    batch.refresh_from_db()
    assert (batch.state, batch.lease_token) == ("held", "")
    assert batch.hold_reason == "250 of the numbers follow one another without a gap, as invented lists do."
    assert batch.hold_reason in amina.get(f"/app/contacts/import/{batch.pk}").content.decode()
    assert not Contact.objects.for_client(acme).exists()
    assert not run_import(import_id=batch.pk)

    release_import(contact_import=batch)
    assert run_import(import_id=batch.pk)
    assert Contact.objects.for_client(acme).count() == 250
    with pytest.raises(WrongState):
        release_import(contact_import=batch)


def test_held_imports_are_refused_or_cancelled_and_others_are_not_held(acme, settings, amina):
    settings.IMPORT_HOLD_CONSECUTIVE = 250
    text = csv_text([["Phone"], *([f"07{n:08d}"] for n in range(5000, 5250))])
    refused, cancelled = started(acme, text), started(acme, text)
    for batch in (refused, cancelled):
        begin_import(contact_import=batch, background=False)
        run_import(import_id=batch.pk)
    refuse_import(contact_import=refused)
    amina.post(f"/app/contacts/import/{cancelled.pk}/stop")
    states = ContactImport.objects.for_client(acme).values_list("state", flat=True)
    assert set(states) == {"stopped"}
    assert "did not take it" in amina.get(f"/app/contacts/import/{refused.pk}").content.decode()

    almost = load(acme, csv_text([["Phone"], *([f"07{n:08d}"] for n in range(5000, 5249))]))
    assert almost.state == "done"
    acme.simulation = True
    acme.save()
    assert load(acme, text).state == "done"


def test_staff_release_held_imports_in_the_back_office(acme, settings, admin_client):
    settings.IMPORT_HOLD_CONSECUTIVE = 250
    batch = started(acme, csv_text([["Phone"], *([f"07{n:08d}"] for n in range(5000, 5250))]))
    begin_import(contact_import=batch, background=False)
    run_import(import_id=batch.pk)

    admin_client.post("/staff/contacts/contactimport/", {"action": "release", "_selected_action": [batch.pk]})

    batch.refresh_from_db()
    assert batch.state == "ready"


# ---- undo ----


def undone(batch: ContactImport) -> ContactImport:
    undo_import(contact_import=batch)
    assert run_undo(import_id=batch.pk)
    batch.refresh_from_db()
    return batch


def test_acceptance_5_undo_restores_the_count_and_the_values(acme, amina, monkeypatch):
    monkeypatch.setattr("contacts.services.import_undo.CHUNK", 2)
    old = create_contact(client=acme, phone="0712345678", name="Ann", attributes={"City": "Meru"})
    same = create_contact(client=acme, phone="0712345677", name="Same")
    group = create_group(client=acme, name="All")
    text = "Name,Phone,Email,City,Age\nAnna,0712345678,a@x.test,Thika,9\nSame,0712345677,,,\n" + "".join(
        f"New {n},073300000{n},,,\n" for n in range(5)
    )
    batch = load(acme, text, duplicates="overwrite", group=group, consent_source="form")
    assert Contact.objects.for_client(acme).count() == 7
    Message.objects.create(
        client=acme, recipient="+254733000003", sender="ACME", text="x", status="delivered", created_at=timezone.now()
    )

    batch = undone(batch)

    assert (batch.state, batch.removed, batch.restored, batch.kept) == ("undone", 4, 2, 1)
    assert set(book(acme)) == {"+254712345678", "+254712345677", "+254733000003"}
    old.refresh_from_db()
    assert (old.name, old.email, old.attributes, old.consent) == ("Ann", "", {"City": "Meru"}, None)
    same.refresh_from_db()
    assert same.consent is None
    members = GroupMember.objects.filter(client=acme, group=group)
    assert [m.contact.phone for m in members] == ["+254733000003"]
    assert not ImportChange.objects.for_client(acme).exists()
    page = amina.get(f"/app/contacts/import/{batch.pk}").content.decode()
    assert "Contacts that stayed" in page
    assert "New 3" in page
    with pytest.raises(WrongState):
        undo_import(contact_import=batch)


def test_what_was_changed_again_since_is_not_restored(acme):
    ann = create_contact(client=acme, phone="0712345678", name="Ann")
    batch = load(acme, "Name,Phone,Email\nAnna,0712345678,a@x.test\nNew,0733000000,\n", duplicates="overwrite")
    update_contact(contact=Contact.objects.for_client(acme).get(pk=ann.pk), name="Annabel")
    load(acme, "Name,Phone\nNewer,0733000000\n", duplicates="overwrite")  # another file has the person too

    batch = undone(batch)

    ann.refresh_from_db()
    assert (ann.name, ann.email) == ("Annabel", "")
    assert (batch.removed, batch.restored, batch.kept) == (0, 1, 1)
    assert book(acme)["+254733000000"].name == "Newer"


def test_undo_goes_on_where_a_killed_worker_stopped(acme, monkeypatch):
    from contacts.services import import_undo

    monkeypatch.setattr(import_undo, "CHUNK", 10)
    batch = load(acme, csv_text([["Phone"], *([f"07{n:08d}"] for n in range(35))]))
    undo_import(contact_import=batch)
    advance, calls = import_undo._advance, []

    def killed(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        advance(*args, **kwargs)

    monkeypatch.setattr(import_undo, "_advance", killed)
    with pytest.raises(KeyboardInterrupt):
        run_undo(import_id=batch.pk)
    monkeypatch.setattr(import_undo, "_advance", advance)
    assert not run_undo(import_id=batch.pk)  # the dead worker's lease still holds
    ContactImport.objects.filter(client=acme, pk=batch.pk).update(lease_until="2020-01-01T00:00:00Z")
    woken = []
    monkeypatch.setattr("contacts.wake.undo_import", woken.append)
    import_undo.sweep_undo(import_undo.database_now())
    assert woken == [batch.pk]

    assert run_undo(import_id=batch.pk)
    batch.refresh_from_db()
    assert (batch.removed, batch.kept, Contact.objects.for_client(acme).count()) == (35, 0, 0)


def test_undo_is_offered_for_seven_days_and_former_values_are_then_forgotten(acme, amina):
    create_contact(client=acme, phone="0712345678")
    batch = load(acme, "Name,Phone\nAnn,0712345678\n")
    assert batch.can_undo
    assert "Undo import" in amina.get(f"/app/contacts/import/{batch.pk}").content.decode()
    assert "1 contact that it changed" in amina.get(f"/app/contacts/import/{batch.pk}/undo").content.decode()
    ContactImport.objects.filter(client=acme, pk=batch.pk).update(finished_at="2020-01-01T00:00:00Z")
    batch.refresh_from_db()

    assert not batch.can_undo
    assert amina.post(f"/app/contacts/import/{batch.pk}/undo").url == f"/app/contacts/import/{batch.pk}"
    assert ContactImport.objects.for_client(acme).get().state == "done"
    from contacts.tasks import sweep

    assert ImportChange.objects.for_client(acme).count() == 1
    sweep()
    assert not ImportChange.objects.for_client(acme).exists()


def test_the_chip_follows_an_import_from_any_page(amina, acme):
    assert 'id="import-chip" hidden' in amina.get("/app/contacts/groups").content.decode()
    batch = started(acme, "Phone\n0712345678\n0712345679\n")
    begin_import(contact_import=batch, background=False)

    page = amina.get("/app/contacts/groups").content.decode()
    assert f'id="import-chip" href="/app/contacts/import/{batch.pk}"' in page
    assert "0 %" in amina.get("/app/contacts/import/chip").content.decode()
    run_import(import_id=batch.pk)
    assert "hidden" in amina.get("/app/contacts/import/chip").content.decode()


def test_upload_needs_a_file_or_a_text(acme):
    upload = ContentFile(b"", name="x.csv")
    with pytest.raises(UnreadableFile):
        start_import(client=acme, by=None, upload=upload)


def test_a_worker_says_what_is_wrong_in_the_language_of_who_uploaded_the_file(acme, amina, monkeypatch):
    user = User.objects.get(email="amina@acme.test")
    user.language = "fr"
    user.save()
    monkeypatch.setattr("contacts.importing.rows._", lambda text: f"[{get_language()}] {text}")
    text = "Name,Phone,Email\nA,0712345678,none at\n"
    for by in (user, None):
        batch = start_import(client=acme, by=by, upload=ContentFile(text.encode(), name="a.csv"))
        begin_import(contact_import=batch, background=False)
        assert run_import(import_id=batch.pk)
        reject = batch.rejects.get(client=acme)
        assert reject.sentence == f"[{'fr' if by else 'en'}] This is not an email address."
