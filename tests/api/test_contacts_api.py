"""The native API of contacts, groups and imports."""

import json
from io import BytesIO

import pytest
import xlsxwriter
from django.core.files.uploadedfile import SimpleUploadedFile

from contacts import services
from contacts.models import Contact, Group
from tests.api.caller import fields_of, refusal

pytestmark = pytest.mark.django_db

JOHN = {"name": "John Doe", "phone": "0712345678", "email": "John@Example.com", "department": "Sales"}


def change(caller, method, path, body=None):
    return caller.browser.generic(
        method, caller.url(path), json.dumps(body or {}), content_type="application/json",
        headers={"X-API-KEY": caller.key},
    )  # fmt: skip


def upload(caller, text, name="book.csv", **fields):
    data = {"file": SimpleUploadedFile(name, text if isinstance(text, bytes) else text.encode()), **fields}
    return caller.browser.post(caller.url("contacts/bulk-import"), data, headers={"X-API-KEY": caller.key})


def test_a_contact_is_added_read_changed_replaced_and_deleted(acme):
    body = acme.post("contacts", JOHN | {"attributes": {"Town": "Kisumu"}}).json()
    assert body["status"] == "success"
    assert body["id"] == body["data"]["id"]
    data = body["data"]
    created_at = data.pop("created_at")
    assert created_at.endswith("Z")
    assert data == {
        "id": body["id"], "name": "John Doe", "phone": "254712345678", "email": "john@example.com",
        "department": "Sales", "groups": [], "tags": [], "attributes": {"Town": "Kisumu"},
        "opted_out": False, "created": True,
    }  # fmt: skip
    path = f"contacts/{body['id']}"
    changed = change(acme, "PATCH", path, {"department": "Support"}).json()["data"]
    assert (changed["department"], changed["name"]) == ("Support", "John Doe")
    replaced = change(acme, "PUT", path, {"phone": "254712345678", "name": "J. Doe"}).json()["data"]
    assert (replaced["name"], replaced["department"], replaced["email"], replaced["attributes"]) == (
        "J. Doe",
        "",
        "",
        {},
    )
    assert acme.get(path).json()["data"] == replaced
    assert change(acme, "DELETE", path).json()["data"] == {"id": body["id"]}
    refusal(acme.get(path), 404, "NOT_FOUND")


def test_a_number_that_exists_is_409_with_its_id_or_changed_by_upsert(acme):
    first = acme.post("contacts", JOHN).json()["id"]
    again = json.loads(acme.post("contacts", {"phone": "+254 712 345 678", "name": "Other"}).content)
    assert (again["error_code"], again["contact_id"]) == ("CONFLICT", first)
    upserted = acme.post("contacts?upsert=true", {"phone": "254712345678", "name": "Jane"}).json()["data"]
    assert (upserted["id"], upserted["name"], upserted["department"], upserted["created"]) == (
        first,
        "Jane",
        "Sales",
        False,
    )
    assert Contact.objects.for_client(acme.client).count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "phone"), ({"phone": "12"}, "phone"), ({"phone": None}, "phone"), (JOHN | {"email": "x"}, "email"),
        (JOHN | {"name": "x" * 201}, "name"), (JOHN | {"attributes": []}, "attributes"),
        (JOHN | {"groups": [999]}, "groups"), (JOHN | {"groups": [10**30]}, "groups.0"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_contact_is_refused_and_nothing_is_kept(acme, body, field):
    assert field in fields_of(refusal(acme.post("contacts", body), 400, "INVALID_REQUEST"))
    assert not Contact.objects.for_client(acme.client).exists()


def test_the_list_is_searched_filtered_and_paged(acme):
    ids = [acme.post("contacts", {"phone": f"25471234500{n}", "name": f"Person {n}"}).json()["id"] for n in range(5)]
    group = acme.post("contacts/groups", {"name": "Staff"}).json()["id"]
    assert acme.post(f"contacts/groups/{group}/contacts", {"contacts": ids[:2]}).json()["changed"] == 2
    services.record_opt_out(client_id=acme.client.pk, channel="sms", address="+254712345001", source="api")

    def found(**asked):
        return [row["id"] for row in acme.get("contacts", asked).json()["data"]]

    assert found() == ids[::-1]
    assert found(search="person 3") == [ids[3]]
    assert found(search="0712345004") == [ids[4]]
    assert found(group=group) == [ids[1], ids[0]]
    assert found(status="opted_out") == [ids[1]]
    assert found(status="active") == [ids[4], ids[3], ids[2], ids[0]]
    page = acme.get("contacts", {"per_page": 2, "page": 3}).json()
    assert [row["id"] for row in page["data"]] == [ids[0]]
    assert page["data"][0]["groups"] == ["Staff"]
    assert page["meta"] == {"current_page": 3, "total": 5, "per_page": 2, "last_page": 3}
    assert fields_of(refusal(acme.get("contacts", {"status": "x"}), 400, "INVALID_REQUEST")) == ["status"]


def test_tags_are_given_by_name_shown_and_searched(acme):
    given = acme.post("contacts", JOHN | {"tags": ["VIP", "vip", "2026"]}).json()
    assert given["tags"] == ["2026", "VIP"]
    acme.post("contacts", {"phone": "254722000001"})
    assert [row["id"] for row in acme.get("contacts?tag=Vip").json()["data"]] == [given["id"]]
    assert acme.get("contacts?tag=nobody").json()["data"] == []
    refused = acme.post("contacts", {"phone": "254722000002", "tags": [" "]})
    assert refused.status_code == 400
    assert "tags" in str(refused.json()["errors"])


def test_groups_are_made_renamed_filled_emptied_and_deleted(acme):
    person = acme.post("contacts", JOHN).json()["id"]
    group = acme.post("contacts/groups", {"name": "Staff"}).json()["id"]
    taken = json.loads(acme.post("contacts/groups", {"name": "STAFF"}).content)
    assert (taken["error_code"], taken["group_id"]) == ("CONFLICT", group)
    assert change(acme, "PATCH", f"contacts/groups/{group}", {"name": "Team"}).json()["data"]["name"] == "Team"
    members = f"contacts/groups/{group}/contacts"
    assert acme.post(members, {"contacts": [person, 999]}).json()["data"] == {"id": group, "changed": 1, "contacts": 1}
    assert change(acme, "DELETE", members, {"contacts": [person]}).json()["data"]["contacts"] == 0
    assert [row["contacts"] for row in acme.get("contacts/groups").json()["data"]] == [0]
    assert change(acme, "DELETE", f"contacts/groups/{group}").status_code == 200
    refusal(acme.get(f"contacts/groups/{group}"), 404, "NOT_FOUND")
    assert acme.get(f"contacts/{person}").status_code == 200


def test_T1_another_clients_contacts_groups_and_imports_look_unknown(acme, stranger):
    person = stranger.post("contacts", JOHN).json()["id"]
    group = stranger.post("contacts/groups", {"name": "Staff"}).json()["id"]
    batch = upload(stranger, "Name,Phone\nA,0712000001\n").json()["import_id"]
    for path in (f"contacts/{person}", f"contacts/groups/{group}", f"contacts/imports/{batch}"):
        unknown = acme.get(path.rpartition("/")[0] + "/999999")
        assert acme.get(path).content == refusal_body(unknown)
    refusal(change(acme, "DELETE", f"contacts/{person}"), 404, "NOT_FOUND")
    assert fields_of(refusal(acme.post("contacts", JOHN | {"groups": [group]}), 400, "INVALID_REQUEST")) == ["groups"]
    assert stranger.get(f"contacts/{person}").status_code == 200


def refusal_body(response):
    refusal(response, 404, "NOT_FOUND")
    return response.content


def test_a_small_file_is_imported_before_the_answer(acme):
    text = (
        "Department;Phone;Name;Email;Town\nSales;0712000001;Amina;a@x.test;Kisumu\n;abc;Juma;;\n;0712000001;Again;;\n"
    )
    body = upload(acme, text, group="Pupils").json()
    assert body["status"] == "success"
    result = {name: body[name] for name in ("total", "imported", "updated", "skipped", "failed")}
    assert result == {"total": 3, "imported": 1, "updated": 0, "skipped": 1, "failed": 1}
    assert [(row["row"], row["field"], row["value"]) for row in body["errors"]] == [(3, "phone", "abc")]
    amina = acme.get("contacts").json()["data"][0]
    assert (amina["name"], amina["attributes"], amina["groups"]) == ("Amina", {"Town": "Kisumu"}, ["Pupils"])
    assert acme.get(f"contacts/imports/{body['import_id']}").json() == body


def test_a_workbook_is_imported_like_a_csv_file(acme):
    buffer = BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Name", "Phone"])
        sheet.write_row(1, 0, ["Amina", "0712000001"])
    body = upload(acme, buffer.getvalue(), name="book.xlsx").json()
    assert (body["status"], body["total"], body["imported"]) == ("success", 1, 1)
    assert acme.get("contacts").json()["data"][0]["phone"] == "254712000001"


def test_what_a_row_does_to_a_contact_that_exists(acme):
    acme.post("contacts", JOHN)
    kept = upload(acme, "Name,Phone\nJane,0712345678\n", duplicates="skip").json()
    assert (kept["updated"], kept["skipped"]) == (0, 1)
    changed = upload(acme, "Name,Phone\nJane,0712345678\n", duplicates="update").json()
    assert (changed["updated"], changed["skipped"]) == (1, 0)
    assert acme.get("contacts").json()["data"][0]["name"] == "Jane"


@pytest.mark.parametrize(
    ("text", "options", "field"),
    [("", {}, "file"), (b"PK\x03\x04zip", {}, "file"), ("Name,Town\nA,B\n", {}, "mapping"),
     ("Phone\n0712000001\n", {"group": "999999"}, "group"), ("Phone\n0712000001\n", {"duplicates": "x"}, "duplicates")],
)  # fmt: skip
def test_a_file_that_cannot_be_imported_is_refused_and_not_kept(acme, text, options, field):
    assert field in fields_of(refusal(upload(acme, text, **options), 400, "INVALID_REQUEST"))
    assert not Contact.objects.for_client(acme.client).exists()
    assert not Group.objects.for_client(acme.client).exists()


def test_a_file_over_the_limit_is_413(acme, settings):
    settings.MAX_IMPORT_ROWS = 2
    refusal(upload(acme, "Phone\n0712000001\n0712000002\n0712000003\n"), 413, "PAYLOAD_TOO_LARGE")
    settings.MAX_IMPORT_BYTES = 10
    refusal(upload(acme, "Phone\n0712000001\n"), 413, "PAYLOAD_TOO_LARGE")


def test_a_larger_file_is_left_to_a_worker(acme, monkeypatch):
    monkeypatch.setattr("contacts.api.IMPORTED_AT_ONCE", 1)
    body = upload(acme, "Phone\n0712000001\n0712000002\n").json()
    assert (body["status"], body["total"], body["imported"]) == ("processing", 2, 0)
    services.run_import(import_id=body["import_id"])
    assert acme.get(f"contacts/imports/{body['import_id']}").json()["imported"] == 2


def test_I1_an_import_is_repeated_by_its_key_and_not_run_twice(acme):
    def once(text="Phone\n0712000001\n"):
        return acme.browser.post(
            acme.url("contacts/bulk-import"),
            {"file": SimpleUploadedFile("a.csv", text.encode())},
            headers={"X-API-KEY": acme.key, "Idempotency-Key": "import-1"},
        )

    first, second = once(), once()
    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true"
    assert first.json()["imported"] == 1
    refusal(once("Phone\n0712000002\n"), 422, "IDEMPOTENCY_KEY_REUSED")
