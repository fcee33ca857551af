"""The pages, as a browser without JavaScript sees them, and as htmx does."""

import csv
import io

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from contacts import queries
from contacts.models import Contact, ContactImport, Group, GroupMember
from contacts.services import add_to_group, create_contact, create_group, record_opt_out, run_import
from contacts.services.import_runs import stop_import
from contacts.views import page_parts

from .conftest import load, started

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


def send_file(browser, content, name="people.csv", **more):
    content = content.encode() if isinstance(content, str) else content
    return browser.post("/app/contacts/import", {"file": SimpleUploadedFile(name, content)}, **more)


def test_upload_check_start_result(amina, acme):
    response = send_file(amina, "Name,Phone,City\nAnn,0712345678,Thika\n=cmd(),12,Meru\nAnn,0712345678,\n")
    batch = ContactImport.objects.for_client(acme).get()
    assert response.url == f"/app/contacts/import/{batch.pk}/check"

    page = amina.get(response.url).content.decode()
    assert "All 3 rows were read." in page
    assert "+254 712 345 678" in page
    assert "Import 1 contact" in page
    assert not Contact.objects.for_client(acme).exists()

    choices = {"column_0": "name", "column_1": "phone", "column_2": "ignore", "encoding": "utf-8", "delimiter": ",",
               "has_header": "on", "duplicates": "fill", "new_group": "Thika people", "start": "1"}  # fmt: skip
    response = amina.post(response.url, choices)
    assert response.url == f"/app/contacts/import/{batch.pk}"
    waiting = amina.get(response.url, **HTMX).content.decode()
    assert "Waiting to start" in waiting
    assert 'hx-trigger="every 1s"' in waiting
    assert "<html" not in waiting

    assert run_import(import_id=batch.pk)
    done = amina.get(response.url).content.decode()
    group = Group.objects.for_client(acme).get()
    assert "hx-trigger" not in done.split('id="import-progress"')[1].split("</main>")[0]
    assert f'href="/app/campaigns/new?group={group.pk}"' in done
    assert "Row 3" in done
    assert "Too short: after +254 a mobile number has 9 digits" in done
    assert "The same number as in row 2" in amina.get(response.url + "?show=duplicates").content.decode()
    assert Contact.objects.for_client(acme).get().attributes == {}
    assert GroupMember.objects.filter(client=acme, group=group).count() == 1

    rejected = amina.get(f"/app/contacts/import/{batch.pk}/rejected.csv")
    rows = list(csv.reader(io.StringIO(rejected.getvalue().decode("utf-8-sig"))))
    assert rows[0] == ["Name", "Phone", "City", "Reason"]
    assert rows[1][:3] == ["'=cmd()", "12", "Meru"]
    assert len(rows) == 2


def test_an_unreadable_file_is_refused_in_words(amina, acme):
    response = send_file(amina, b"%PDF-1.4", "list.pdf")

    assert response.status_code == 422
    assert "This is a PDF document" in response.content.decode()
    assert not ContactImport.objects.for_client(acme).exists()
    assert send_file(amina, b"").status_code == 422
    assert amina.post("/app/contacts/import", {}).status_code == 422


def test_changing_how_a_file_is_read_shows_it_again_before_anything_starts(amina, acme):
    batch = started(acme, "Name|Phone\nAnn|0712345678\n")
    url = f"/app/contacts/import/{batch.pk}/check"
    asked = {"encoding": "cp1252", "delimiter": "|", "has_header": "on", "duplicates": "skip",
             "column_0": "name", "column_1": "phone", "start": "1"}  # fmt: skip

    assert amina.post(url, asked).url == url
    batch.refresh_from_db()
    assert (batch.state, batch.encoding, batch.duplicates) == ("uploaded", "cp1252", "skip")
    refused = amina.post(url, asked | {"column_0": "phone"})
    assert refused.status_code == 422
    assert "Two columns cannot both be “Phone”" in refused.content.decode()
    assert amina.post(url, asked).url == f"/app/contacts/import/{batch.pk}"
    assert amina.get(url).url == f"/app/contacts/import/{batch.pk}"


def test_a_file_without_a_known_phone_column_asks_for_it(amina, acme):
    batch = started(acme, "Who,Town\nAnn,Meru\nBen,Thika\n")

    page = amina.get(f"/app/contacts/import/{batch.pk}/check").content.decode()

    assert "Which column holds the phone number?" in page
    assert "Nothing to import yet" in page


def test_stop_and_discard(amina, acme):
    batch = started(acme, "Phone\n0712345678\n")
    amina.post(f"/app/contacts/import/{batch.pk}/discard")
    assert not ContactImport.objects.for_client(acme).exists()
    waiting = started(acme, "Phone\n0712345678\n")
    ContactImport.objects.filter(client=acme, pk=waiting.pk).update(state="ready")
    amina.post(f"/app/contacts/import/{waiting.pk}/stop")
    waiting.refresh_from_db()
    assert waiting.state == "stopped"
    assert "It was stopped" in amina.get(f"/app/contacts/import/{waiting.pk}").content.decode()


def test_add_edit_and_delete_a_contact(amina, acme):
    group = create_group(client=acme, name="Parents")
    made = amina.post("/app/contacts/new", {"name": "Ann", "phone": "0712 345 678"})
    ann = Contact.objects.for_client(acme).get()
    assert made.url == f"/app/contacts/{ann.pk}"
    again = amina.post("/app/contacts/new", {"name": "Ann", "phone": "0712345678"})
    assert again.status_code == 422
    assert "A contact with this number is in your book already." in again.content.decode()

    refused = amina.post(made.url, {"name": "Anna", "phone": "x", "save": "1"})
    assert refused.status_code == 422
    assert "There is a letter in this number" in refused.content.decode()
    amina.post(made.url, {"name": "Anna", "phone": "0712345679", "save": "1"})
    amina.post(made.url, {"group": [group.pk], "groups": "1"})
    ann.refresh_from_db()
    assert (ann.name, ann.phone, ann.memberships.filter(client=acme).count()) == ("Anna", "+254712345679", 1)
    assert "Delete this contact?" in amina.get(f"/app/contacts/{ann.pk}/delete").content.decode()
    amina.post(f"/app/contacts/{ann.pk}/delete")
    assert not Contact.objects.for_client(acme).exists()


def test_list_search_filter_and_select(amina, acme):
    group = create_group(client=acme, name="Parents")
    people = [create_contact(client=acme, phone=f"07123456{n:02d}", name=f"Person {n:02d}") for n in range(60)]
    record_opt_out(client_id=acme.pk, channel="sms", address=people[59].phone, source="stop")

    first = amina.get("/app/contacts").content.decode()
    assert "1–50 of 60" in first
    assert "Opted out" in first
    found = amina.get("/app/contacts?q=Person+07", **HTMX)
    assert "<html" not in found.content.decode()
    assert "Person 07" in found.content.decode()
    assert "Person 08" not in found.content.decode()
    assert found["Vary"].startswith("HX-Request") or "HX-Request" in found["Vary"]
    assert found["Cache-Control"] == "no-store"

    ids = [p.pk for p in people[:3]]
    response = amina.post(
        "/app/contacts/selected", {"do": "add", "group": group.pk, "contact": ids, "next": "/app/contacts?page=2"}
    )
    assert response.url == "/app/contacts?page=2"
    narrowed = amina.get(f"/app/contacts?group={group.pk}").content.decode()
    assert "1–3 of 3" in narrowed
    amina.post("/app/contacts/selected", {"do": "remove", "group": group.pk, "contact": ids[:1]})
    assert group.members.filter(client=acme).count() == 2
    asks = amina.post("/app/contacts/selected", {"do": "delete", "contact": ids})
    assert "Move 3 contacts to the bin?" in asks.content.decode()
    assert Contact.objects.for_client(acme).count() == 60
    amina.post("/app/contacts/selected", {"do": "delete", "sure": "1", "contact": ids})
    assert Contact.objects.for_client(acme).count() == 57
    assert amina.post("/app/contacts/selected", {"do": "delete", "next": "https://evil.test/"}).url == "/app/contacts"


@pytest.mark.parametrize(
    ("sort", "names"),
    [("", ["", "amina", "Zuri", "Baraka"]), ("oldest", ["Baraka", "Zuri", "amina", ""]),
     ("name", ["amina", "Baraka", "Zuri", ""]), ("upside-down", ["", "amina", "Zuri", "Baraka"])],
)  # fmt: skip
def test_the_list_is_sorted_and_pages_keep_it(amina, acme, sort, names):
    for number, name in enumerate(("Baraka", "Zuri", "amina", "")):
        create_contact(client=acme, name=name, phone=f"071234567{number}")
    page = amina.get("/app/contacts", {"sort": sort})
    assert [contact.name for contact in page.context["page"].object_list] == names
    assert page.context["chips"] == []
    assert (f"sort={sort}" in page.context["filters"].query()) == (sort in ("oldest", "name"))


def test_groups_and_opt_outs(amina, acme):
    amina.post("/app/contacts/groups", {"name": "Parents"})
    assert amina.post("/app/contacts/groups", {"name": "parents"}).status_code == 422
    group = Group.objects.for_client(acme).get()
    amina.post(f"/app/contacts/groups/{group.pk}", {"name": "Guardians"})
    assert "Guardians" in amina.get("/app/contacts/groups").content.decode()
    amina.post(f"/app/contacts/groups/{group.pk}/delete")
    assert not Group.objects.for_client(acme).exists()

    amina.post("/app/contacts/opt-outs", {"numbers": "0712345678"})
    page = amina.get("/app/contacts/opt-outs?q=0712345678").content.decode()
    assert "+254 712 345 678" in page
    assert "Entered by hand" in page
    assert amina.post("/app/contacts/opt-outs", {"numbers": "zzz"}).status_code == 422


def test_a_viewer_reads_and_changes_nothing(baraka, acme):
    contact = create_contact(client=acme, phone="0712345678", name="Ann")
    group = create_group(client=acme, name="Parents")
    batch = load(acme, "Phone\n0712345670\n12\n")

    for path in (
        "",
        "/groups",
        "/opt-outs",
        "/imports",
        f"/{contact.pk}",
        f"/import/{batch.pk}",
        f"/import/{batch.pk}/rejected.csv",
    ):
        assert baraka.get(f"/app/contacts{path}").status_code == 200, path
    for path in ("/new", f"/{contact.pk}", f"/{contact.pk}/delete", "/selected", "/groups", f"/groups/{group.pk}",
                 f"/groups/{group.pk}/delete", "/opt-outs", "/import", f"/import/{batch.pk}/stop",
                 f"/import/{batch.pk}/discard", f"/import/{batch.pk}/check"):  # fmt: skip
        assert baraka.post(f"/app/contacts{path}", {"name": "x", "phone": "0712345679"}).status_code == 403, path
    assert Contact.objects.for_client(acme).count() == 2


def test_a_stranger_gets_404_and_finds_nothing(zuri, acme):
    contact = create_contact(client=acme, phone="0712345678", name="Ann")
    group = create_group(client=acme, name="Parents")
    add_to_group(group=group, contact_ids=[contact.pk])
    batch = load(acme, "Phone\n12\n0712345679\n")
    unstarted = started(acme, "Phone\n0712345678\n")

    for path in (f"/{contact.pk}", f"/{contact.pk}/delete", f"/groups/{group.pk}", f"/groups/{group.pk}/delete",
                 f"/import/{batch.pk}", f"/import/{batch.pk}/rejected.csv",
                 f"/import/{unstarted.pk}/check"):  # fmt: skip
        assert zuri.get(f"/app/contacts{path}").status_code == 404, path
    for path in (f"/{contact.pk}", f"/{contact.pk}/delete", f"/groups/{group.pk}", f"/groups/{group.pk}/delete",
                 f"/import/{unstarted.pk}/check", f"/import/{unstarted.pk}/discard",
                 f"/import/{batch.pk}/stop"):  # fmt: skip
        assert zuri.post(f"/app/contacts{path}", {"name": "x"}).status_code == 404, path
    zuri.post("/app/contacts/selected", {"do": "delete", "sure": "1", "contact": [contact.pk]})
    assert Contact.objects.for_client(acme).count() == 2
    for query in ("", f"?group={group.pk}", f"?import={batch.pk}", "?q=Ann"):
        fragment = zuri.get(f"/app/contacts{query}", **HTMX).content.decode()
        assert f'/app/contacts/{contact.pk}"' not in fragment
        assert "Parents" not in fragment


@pytest.mark.parametrize(
    "query",
    ["?page=" + "9" * 20, "?page=-1", "?group=x", "?import=" + "9" * 23, "?q=%00", "?q=%2B", "?q=" + "9" * 500],
)
def test_odd_queries_are_harmless(amina, query):
    assert amina.get(f"/app/contacts{query}").status_code == 200
    assert amina.get(f"/app/contacts/opt-outs{query}").status_code == 200


def test_queries_of_the_list_do_not_grow_with_rows(amina, acme, django_assert_max_num_queries):
    def statements(path):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert amina.get(path).status_code == 200
        return len(captured)

    create_contact(client=acme, phone="0712345600")
    create_group(client=acme, name="G0")
    few = [statements(path) for path in ("/app/contacts", "/app/contacts/groups", "/app/contacts/imports")]
    for n in range(1, 30):
        contact = create_contact(client=acme, phone=f"07123456{n:02d}")
        add_to_group(group=create_group(client=acme, name=f"G{n}"), contact_ids=[contact.pk])
    for _ in range(4):
        load(acme, "Phone\n0712345678\n")
    many = [statements(path) for path in ("/app/contacts", "/app/contacts/groups", "/app/contacts/imports")]
    assert many[:2] == few[:2]
    assert many[2] <= few[2] + 1


def test_every_page_without_data_has_a_next_step(amina):
    assert "Nobody is in your book yet" in amina.get(reverse("contacts:list")).content.decode()
    assert "There are no groups yet" in amina.get(reverse("contacts:groups")).content.decode()
    assert "Nobody has opted out" in amina.get(reverse("contacts:opt_outs")).content.decode()
    assert "Nothing was imported yet" in amina.get(reverse("contacts:imports")).content.decode()
    upload = amina.get(reverse("contacts:import")).content.decode()
    assert "at most 50 MB and 1,000,000 rows" in upload
    template = amina.get(reverse("contacts:import_template", args=["en"]))
    assert template.content == b"\xef\xbb\xbfName,Phone,Email,Department\r\n"


def test_a_running_import_cannot_be_stopped_by_a_viewer_page(baraka, acme):
    batch = started(acme, "Phone\n0712345678\n")
    ContactImport.objects.filter(client=acme, pk=batch.pk).update(state="ready")
    assert "/stop" not in baraka.get(f"/app/contacts/import/{batch.pk}").content.decode()
    batch.refresh_from_db()
    stop_import(contact_import=batch)


def test_a_large_list_has_the_same_pages_from_either_end_and_is_counted_once_in_a_while(
    acme, monkeypatch, django_assert_num_queries
):
    for n in range(7):
        create_contact(client=acme, name=f"Person {n}", phone=f"071234567{n}")
    monkeypatch.setattr(page_parts, "LARGE", 4)
    monkeypatch.setattr(page_parts, "cache", LocMemCache("counts", {}))

    def pages() -> list[list[str]]:
        paginator = page_parts.BookPaginator(queries.contacts_for(acme), 2)
        return [[contact.name[-1] for contact in paginator.page(number)] for number in paginator.page_range]

    assert pages() == [["6", "5"], ["4", "3"], ["2", "1"], ["0"]]
    with django_assert_num_queries(4):
        assert pages()[3] == ["0"]
