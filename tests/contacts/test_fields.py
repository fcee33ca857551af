"""Fields of the client's own: defined once, obeyed by forms, services and files."""

import pytest

from contacts.models import Contact, ContactField
from contacts.services import change_field, create_contact, create_field, delete_field, update_contact
from crm.common.errors import InvalidInput, WrongState

from .conftest import load

pytestmark = pytest.mark.django_db


def test_a_field_has_a_name_fit_for_texts_and_once(acme, zuri_ltd):
    create_field(client=acme, key=" Fee  due ", kind="number")
    create_field(client=zuri_ltd, key="Fee due")
    for key in ("fee DUE", "", "9 lives", "a{b}", "Phone", "first_name"):
        with pytest.raises(InvalidInput):
            create_field(client=acme, key=key)
    for kind, choices in (("colour", []), ("choice", []), ("choice", [" "]), ("choice", ["x" * 101])):
        with pytest.raises(InvalidInput):
            create_field(client=acme, key="Level", kind=kind, choices=choices)
    assert [(f.key, f.kind) for f in ContactField.objects.for_client(acme)] == [("Fee due", "number")]


def test_services_and_files_obey_the_kind(acme):
    create_field(client=acme, key="Fee", kind="number")
    level = create_field(client=acme, key="Level", kind="choice", choices=["Gold", "gold", "Silver"])
    contact = create_contact(client=acme, phone="0712345678", attributes={"FEE": "1,500", "level": "GOLD", "Else": "x"})
    assert contact.attributes == {"Fee": "1500", "Level": "Gold", "Else": "x"}
    with pytest.raises(InvalidInput, match="Fee: This is not a number"):
        update_contact(contact=contact, attributes={"Fee": "lots"})
    batch = load(acme, "Phone,Level\n0733000001,silver\n0733000002,Bronze\n")
    assert (batch.imported, batch.failed) == (1, 1)
    assert Contact.objects.for_client(acme).get(phone="+254733000001").attributes == {"Level": "Silver"}
    assert batch.rejects.get(client=acme).sentence == "This is none of: Gold, Silver."
    with pytest.raises(WrongState):
        delete_field(field=level)
    change_field(field=level, kind="text")
    assert level.choices == []


def test_the_pages(amina, baraka, zuri, acme):
    assert "There are no fields yet" in amina.get("/app/contacts/fields").content.decode()
    assert amina.post("/app/contacts/fields", {"key": "Level", "kind": "choice", "choices": ""}).status_code == 422
    amina.post("/app/contacts/fields", {"key": "Level", "kind": "choice", "choices": "Gold\nSilver\n"})
    amina.post("/app/contacts/fields", {"key": "Fee", "kind": "number"})
    fee, level = ContactField.objects.for_client(acme)
    made = amina.post("/app/contacts/new", {"phone": "0712345678", f"own_{level.pk}": "Gold", f"own_{fee.pk}": "12,5"})
    contact = Contact.objects.for_client(acme).get()
    assert contact.attributes == {"Level": "Gold", "Fee": "12.5"}
    bad = amina.post(made.url, {"phone": "0712345678", f"own_{fee.pk}": "abc", "save": "1"})
    assert bad.status_code == 422
    assert "This is not a number." in bad.content.decode()
    assert 'value="abc"' in bad.content.decode()
    amina.post(made.url, {"phone": "0712345678", f"own_{fee.pk}": "", f"own_{level.pk}": "Silver", "save": "1"})
    contact.refresh_from_db()
    assert contact.attributes == {"Level": "Silver"}

    assert baraka.get("/app/contacts/fields").status_code == 200
    assert baraka.post("/app/contacts/fields", {"key": "X", "kind": "text"}).status_code == 403
    assert zuri.get(f"/app/contacts/fields/{fee.pk}").status_code == 404
    url = f"/app/contacts/fields/{level.pk}"
    assert "empty them first" in amina.post(url, {"delete": "1"}, follow=True).content.decode()
    amina.post(url, {"kind": "choice", "choices": "Silver\nBronze", "save": "1"})
    level.refresh_from_db()
    assert level.choices == ["Silver", "Bronze"]
    amina.post(f"/app/contacts/fields/{fee.pk}", {"delete": "1"})
    assert list(ContactField.objects.for_client(acme)) == [level]
