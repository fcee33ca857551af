"""A part of a name, number, address or department finds the contact, whether or not the index has it yet."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from accounts.services import privacy
from contacts import queries, search
from contacts.models import Contact
from contacts.services import create_contact, delete_contacts, update_contact

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _every_book_is_large(monkeypatch):
    monkeypatch.setattr(search, "SMALL_BOOK", 0)


@pytest.fixture
def book(acme, zuri_ltd):
    create_contact(client=acme, name="Amina Otieno", phone="0712345678", email="amina@acme.test", department="Sales")
    create_contact(client=acme, name="Émile N’Guessan 100%", phone="+2250712345678")
    create_contact(client=acme, name='محمد "Mo" 😀', phone="0733000001")
    create_contact(client=zuri_ltd, name="Amina of Zuri", phone="0712345678")


def settle(client):
    """An hour goes by and the sweep has been there."""
    Contact.objects.filter(client=client).update(updated_at=timezone.now() - timedelta(hours=1))
    search.index_contacts()


def found(client, text) -> str:
    return "".join(sorted(contact.name[0] for contact in queries.contacts_for(client, search=text)))


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("text", "initials"),
    [
        ("mina", "A"), ("OTIENO", "A"), ("acme.te", "A"), ("ales", "A"), ("0712345678", "A"), ("345 678", "AÉ"),
        ("+254 712", "A"), ("guess", "É"), ("100%", "É"), ("100_", ""), ("0%' OR 1=1", ""), ('"Mo"', "م"), ("محم", "م"),
        ("😀", "م"), ("mi", "AÉ"), ("nobody", ""), ("Zuri", ""),
    ],
)  # fmt: skip
def test_a_part_is_found(acme, zuri_ltd, book, indexed, text, initials):
    if indexed:
        settle(acme)
        settle(zuri_ltd)
    assert found(acme, text) == initials


def test_what_changed_since_is_found_under_its_new_name_and_no_more_under_the_old(acme, book):
    settle(acme)
    amina = Contact.objects.for_client(acme).get(name__startswith="Amina")
    update_contact(contact=amina, name="Halima Otieno")
    assert (found(acme, "halima"), found(acme, "amina o")) == ("H", "")
    settle(acme)
    assert (found(acme, "halima"), found(acme, "amina o")) == ("H", "")
    amina.delete()
    assert found(acme, "halima") == ""


def test_the_index_answers_without_reading_the_book(acme, book, django_assert_num_queries):
    if not search.has_index():
        pytest.skip("this database has no index of pieces")
    settle(acme)
    with django_assert_num_queries(7):  # 3: is the book small, is the text common; the index, its mark, news, contacts
        assert len(queries.contacts_for(acme, search="tieno")) == 1


def test_where_nearly_everybody_matches_nobody_is_counted(amina, acme, monkeypatch):
    if not search.has_index():
        pytest.skip("this database has no index of pieces")
    monkeypatch.setattr(search, "MOST_FOUND", 5)
    for n in range(8):
        create_contact(client=acme, name=f"Person {n}", phone=f"071234567{n}")
    settle(acme)
    page = amina.get("/app/contacts?q=person").content.decode()
    assert "more than 5 contacts found." in page
    assert page.count('name="contact"') == 5


def test_who_is_deleted_leaves_the_index_within_the_hour(acme, book):
    if not search.has_index():
        pytest.skip("this database has no index of pieces")
    settle(acme)
    Contact.objects.for_client(acme).filter(name__startswith="Amina").delete()
    cache.delete("contacts.search.forgotten")
    assert search.forget_deleted() == 1
    assert search.forget_deleted() == 0


@pytest.mark.parametrize("in_bin", [False, True])
def test_who_is_erased_leaves_the_index_in_that_moment(acme, book, in_bin):
    settle(acme)
    amina = Contact.objects.for_client(acme).get(name="Amina Otieno")
    if in_bin:
        delete_contacts(client=acme, contact_ids=[amina.pk])
    texts = "SELECT text FROM contacts_search"
    with connection.cursor() as cursor:
        cursor.execute(texts)
        assert "amina otieno" in str(cursor.fetchall())

        person = privacy.read_address(acme, "0712345678")
        request = privacy.request_erasure(client=acme, person=person, by=None, reason="Asked by letter")
        privacy.run_erasure(request_id=request.pk)

        cursor.execute(texts)
        left = str(cursor.fetchall())
    assert "otieno" not in left
    assert "+225" in left


def test_who_was_being_indexed_while_erased_leaves_the_index_at_the_next_sweep(acme, book):
    """The sweep has read a page of the book when the erasure commits, and writes what it read afterwards."""
    if not search.has_index():
        pytest.skip("this database has no index of pieces")
    amina = Contact.objects.for_client(acme).get(name="Amina Otieno")
    person = privacy.read_address(acme, "0712345678")
    request = privacy.request_erasure(client=acme, person=person, by=None, reason="Asked by letter")
    key = "contact_id" if search.on_postgres() else "rowid"
    settle(acme)
    privacy.run_erasure(request_id=request.pk)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO contacts_search ({key}, text) VALUES (%s, %s)", [amina.pk, "amina otieno +254712345678"]
        )
    assert found(acme, "otieno") == ""
    cache.delete("contacts.search.forgotten")
    assert search.forget_deleted() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM contacts_search WHERE text LIKE %s", ["%otieno%"])
        assert cursor.fetchall() == []


def test_on_postgres_the_pieces_of_the_erased_are_found_by_no_index_scan(acme, book):
    """The trigram index itself answers, not a reading of the table."""
    if not search.on_postgres() or not search.has_index():
        pytest.skip("for PostgreSQL with pg_trgm")
    settle(acme)
    looked = "SELECT contact_id FROM contacts_search WHERE text LIKE %s"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + looked, ["%otieno%"])
        assert "contacts_search_trgm" in str(cursor.fetchall())
        cursor.execute(looked, ["%otieno%"])
        assert len(cursor.fetchall()) == 1
        person = privacy.read_address(acme, "0712345678")
        request = privacy.request_erasure(client=acme, person=person, by=None, reason="Asked by letter")
        privacy.run_erasure(request_id=request.pk)
        for text in ("%otieno%", "%+254712345678%", "%amina@acme%"):
            cursor.execute(looked, [text])
            assert cursor.fetchall() == []
