"""Files of every sort, from the bytes to the rows in the book."""

import pytest

from contacts import queries
from contacts.models import Contact, Group, GroupMember
from contacts.queries import check_import
from contacts.services import configure_import, create_contact, create_group, run_undo, undo_import
from crm.common.errors import InvalidInput

from .conftest import counts, csv_text, load, started

pytestmark = pytest.mark.django_db

HEADER = ["Name", "Phone", "Email", "Department"]


def book(client) -> dict:
    return {c.phone or c.email: c for c in Contact.objects.for_client(client)}


def test_two_thousand_rows_with_bad_numbers_and_duplicates(acme):
    rows = [HEADER]
    for n in range(1, 2001):
        phone = f"07{n:08d}" if n % 100 else "12345"
        rows.append([f"Person {n}", "0700000001" if n % 250 == 1 else phone, "", "Sales"])
    group = create_group(client=acme, name="Everyone")

    batch = load(acme, csv_text(rows), group=group)

    bad = 20
    doubled = 7  # rows 251, 501 … 1751 repeat the number of the first
    assert counts(batch) == (2000, 2000 - bad - doubled, 0, 0, doubled, bad)
    assert batch.state == "done"
    assert Contact.objects.for_client(acme).count() == 1973
    assert GroupMember.objects.filter(client=acme, group=group).count() == 1973
    rejects = {r.row: r for r in batch.rejects.filter(client=acme)}
    assert len(rejects) == 27
    assert rejects[101].reason == "too_short"
    assert rejects[101].value == "12345"
    assert rejects[101].cells == ["Person 100", "12345", "", "Sales"]
    assert rejects[252].reason == "duplicate"
    assert rejects[252].sentence == "The same number as in row 2, which was taken."


def test_french_excel_file_maps_itself(acme):
    acme.country = "SN"
    acme.save()
    text = "Nom et prénom;N° de téléphone;Courriel;Service;Ville\r\nAïssatou Diallo;77 123 45 67;;Santé;Thiès\r\n"
    batch = load(acme, text.encode("cp1252"))

    assert (batch.encoding, batch.delimiter, batch.has_header) == ("cp1252", ";", True)
    contact = book(acme)["+221771234567"]
    assert (contact.name, contact.department, contact.attributes) == ("Aïssatou Diallo", "Santé", {"Ville": "Thiès"})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"])
def test_encodings_are_found(acme, encoding):
    text = "Name\tPhone\nZoë Ōta\t0712345678\n"
    batch = load(acme, text.encode(encoding))

    assert batch.delimiter == "\t"
    assert book(acme)["+254712345678"].name == "Zoë Ōta"


@pytest.mark.parametrize(
    ("last", "cut"), [("Aïcha", 4), ('"Aïcha,07123', 0)], ids=["within a letter", "within quotation marks"]
)
def test_a_file_that_was_written_by_half_keeps_its_letters_and_names_the_torn_row(acme, last, cut):
    text = f"Name,Phone\nÉlodie,0712345678\nZoé,0712345679\n{last}"
    batch = load(acme, text.encode()[: -cut or None])

    assert batch.encoding == "utf-8"
    assert {contact.name for contact in book(acme).values()} == {"Élodie", "Zoé"}
    assert [reject.row for reject in batch.rejects.filter(client=acme)] == [4]


def test_one_accent_at_the_very_end_is_still_windows_1252(acme):
    assert started(acme, "Phone,Name\n0712345678,José".encode("cp1252")).encoding == "cp1252"


def test_names_in_any_script_and_emoji_survive(acme):
    batch = load(acme, "name,phone\nمحمد علي,0712345678\nAmina 🎉,0712345679\nשרה,0712345680\n")

    assert batch.imported == 3
    assert [c.name for c in book(acme).values()] == ["שרה", "Amina 🎉", "محمد علي"]


def test_quotes_and_line_breaks_keep_row_numbers_of_the_spreadsheet(acme):
    batch = load(acme, 'Name,Phone,Note\n"Doe, ""JD"" John",0712345678,"two\nlines"\n\nBad,123,\n')

    assert book(acme)["+254712345678"].name == 'Doe, "JD" John'
    assert book(acme)["+254712345678"].attributes == {"Note": "two lines"}
    assert [r.row for r in batch.rejects.filter(client=acme)] == [4]  # the blank row 3 counts, the line break does not
    assert counts(batch) == (2, 1, 0, 0, 0, 1)


def test_uneven_rows(acme):
    batch = load(acme, "Name,Phone,City\nShort,0712345678\nLong,0712345679,Thika,,\nTorn,0712345680,a,b\n")

    assert set(book(acme)) == {"+254712345678", "+254712345679"}
    reject = batch.rejects.get(client=acme)
    assert (reject.row, reject.reason) == (4, "too_many_cells")
    assert reject.sentence.startswith("This row has 4 cells, the table has 3 columns")


def test_equal_titles_lose_no_column(acme):
    load(acme, "Phone,Phone,City,City,Name,Name\n0712345678,0202345678,Thika,Meru,Ann,Annie\n")

    contact = book(acme)["+254712345678"]
    assert contact.name == "Ann"
    assert contact.attributes == {"Phone 2": "0202345678", "City": "Thika", "City 2": "Meru", "Name 2": "Annie"}


def test_a_table_without_titles(acme):
    batch = load(acme, "Ann Otieno;0712345678;ann@example.com\nBen;0712345679;\n")

    assert (batch.has_header, batch.rows_total) == (False, 2)
    contact = book(acme)["+254712345678"]
    assert (contact.name, contact.email) == ("Ann Otieno", "ann@example.com")


def test_one_column_of_numbers(acme):
    assert load(acme, "0712345678\n0712345679\n", "numbers.txt").imported == 2


def test_first_and_last_names_make_the_name_and_stay_fields(acme):
    load(acme, "Prénom,Nom,Téléphone\nAwa,Ndiaye,0712345678\n")

    contact = book(acme)["+254712345678"]
    assert contact.name == "Awa Ndiaye"
    assert contact.attributes == {"first_name": "Awa", "last_name": "Ndiaye"}


def test_spreadsheet_damage_has_its_own_sentences(acme):
    batch = load(
        acme,
        "Name,Phone\nA,2.54713E+11\nB,#REF!\nC,254712345678.0\nD,'0712345679\n#NAME?,0712345670\nE\x00F,0712345671\n",
    )

    rejects = {r.row: (r.reason, r.sentence) for r in batch.rejects.filter(client=acme)}
    assert rejects[2] == ("excel", "Excel shortened this number: format the column as text")
    assert rejects[3][0] == rejects[6][0] == "formula"
    assert rejects[7][0] == "nul"
    assert set(book(acme)) == {"+254712345678", "+254712345679"}


def test_a_quotation_mark_that_never_closes_is_named(acme):
    lines = "".join(f"P{n},07{n:08d}\n" for n in range(9000))
    batch = load(acme, f'Name,Phone\nFine,0712345678\n"Open,0799999999\n{lines}')

    reject = batch.rejects.filter(client=acme).first()
    assert (reject.row, reject.reason) == (3, "open_quote")
    assert "+254712345678" in book(acme)
    assert batch.rows_total == batch.rows_done


def test_email_alone_is_enough_and_loading_twice_doubles_nobody(acme):
    text = "Name,Email\nAnn,Ann@Example.com\nBad,not-an-address\nNone,\nAgain,ann@example.com\n"
    first = load(acme, text)
    second = load(acme, text)

    assert counts(first) == (4, 1, 0, 0, 1, 2)
    assert counts(second) == (4, 0, 0, 1, 1, 2)
    assert list(book(acme)) == ["ann@example.com"]


@pytest.mark.parametrize(
    ("policy", "expected", "numbers"),
    [
        ("fill", ("Ann", "ann@example.com", {"City": "Thika", "Age": "9"}), (1, 0, 1, 0, 0, 0)),
        ("overwrite", ("Anna", "ann@example.com", {"City": "Meru", "Age": "9"}), (1, 0, 1, 0, 0, 0)),
        ("skip", ("Ann", "", {"City": "Thika"}), (1, 0, 0, 1, 0, 0)),
    ],
)
def test_what_a_row_does_to_a_contact_that_exists(acme, policy, expected, numbers):
    create_contact(client=acme, phone="0712345678", name="Ann", department="Ops", attributes={"City": "Thika"})

    batch = load(
        acme, "Name,Phone,Email,Department,City,Age\nAnna,254712345678,ann@example.com,,Meru,9\n", duplicates=policy
    )

    contact = book(acme)["+254712345678"]
    assert (contact.name, contact.email, contact.attributes) == expected
    assert contact.department == "Ops"  # a blank cell erases nothing
    assert counts(batch) == numbers


def test_the_check_says_what_the_run_then_does(acme):
    create_contact(client=acme, phone="0712345678", name="Ann")
    create_contact(client=acme, phone="0712345670")
    text = "Name,Phone\nAnna,0712345678\nBen,0712345670\nCy,0712345671\nCy again,0712345671\nBad,99\n"
    batch = started(acme, text)

    check = check_import(batch)

    assert (check.new, check.updated, check.unchanged, check.duplicates, check.rejected) == (1, 1, 1, 1, 1)
    assert [entry.name for entry in check.sample[:3]] == ["Ann", "Ben", "Cy"]
    assert check.problems["too_short"].examples == [(6, "99")]
    assert Contact.objects.for_client(acme).count() == 2
    ran = load(acme, text)
    assert counts(ran) == (5, check.new, check.updated, check.unchanged, check.duplicates, check.rejected)


def test_titles_chosen_once_are_remembered(acme):
    text = "Who,Where to,Town\nAnn,0712345678,Meru\n"
    load(acme, text, columns=["name", "phone", "ignore"])

    again = started(acme, text)

    assert [match["field"] for match in again.mapping] == ["name", "phone", "ignore"]
    assert {match["how"] for match in again.mapping} == {"before"}


def test_a_table_without_phone_or_email_is_not_run(acme):
    batch = started(acme, "Name,Town\nAnn,Meru\nBen,Thika\n")

    with pytest.raises(InvalidInput, match="which column holds the phone number"):
        configure_import(contact_import=batch, columns=["name", "attribute"])


def test_another_encoding_and_separator_can_be_chosen(acme):
    batch = started(acme, "Name|Phone\nRené,0712345678\n".encode("mac_roman"))

    configure_import(contact_import=batch, encoding="mac_roman", delimiter="|")

    assert batch.headers == ["Name", "Phone"]
    assert check_import(batch).sample[0].cells == ["René,0712345678"]


def test_two_tenants_with_the_same_numbers_do_not_meet(acme, zuri_ltd):
    rows = "Name,Phone\nAnn,0712345678\n"
    ours, theirs = load(acme, rows), load(zuri_ltd, rows.replace("Ann", "Zed"))

    assert (ours.imported, theirs.imported) == (1, 1)
    assert [c.name for c in Contact.objects.for_client(acme)] == ["Ann"]
    assert [c.name for c in Contact.objects.for_client(zuri_ltd)] == ["Zed"]
    with pytest.raises(InvalidInput):
        load(acme, rows, group=create_group(client=zuri_ltd, name="Theirs"))
    assert Group.objects.for_client(zuri_ltd).get().members.filter(client=zuri_ltd).count() == 0


def test_the_contacts_of_a_file_are_those_it_made_or_met_and_undoing_keeps_what_a_later_one_met(acme):
    first = load(acme, "Name,Phone\nAnn,0712345678\nBen,0712345679\n")
    second = load(acme, "Name,Phone\nAnn,0712345678\nCem,0712345670\n")

    def names(batch) -> list[str]:
        return [contact.name for contact in queries.contacts_for(acme, contact_import=batch.pk)]

    assert (names(first), names(second)) == (["Ben", "Ann"], ["Cem", "Ann"])
    assert counts(second) == (2, 1, 0, 1, 0, 0)
    undo_import(contact_import=first)
    assert run_undo(import_id=first.pk)
    assert [contact.name for contact in queries.contacts_for(acme)] == ["Cem", "Ann"]
    first.refresh_from_db()
    assert (first.removed, first.kept) == (1, 1)
