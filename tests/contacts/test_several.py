"""Filters, views, tags, the bin, merging, rules and bulk changes, as the pages do them."""

import pytest

from accounts.models import SavedView
from contacts import queries
from contacts.filters import ContactFilters
from contacts.models import BinnedContact, BulkChange, BulkState, Contact, Group, GroupMember, OptOut
from contacts.services import (
    add_to_group,
    create_contact,
    create_group,
    create_tag,
    ensure_tags,
    run_bulk,
    start_bulk,
    stop_bulk,
    undo_import,
)
from contacts.services import bulk as bulk_services
from contacts.services.import_undo import run_undo

from .conftest import browser_for, csv_text, load, member

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def people(acme):
    return [
        create_contact(client=acme, phone=f"07123456{n:02d}", name=f"Person {n:02d}", department="Sales" * (n < 5))
        for n in range(12)
    ]


def text(browser, url, **more) -> str:
    return browser.get(url, **more).content.decode()


def test_filters_are_chips_that_can_be_taken_away_one_by_one(amina, acme, people):
    tag = create_tag(client=acme, name="VIP")
    add_to_group(group=tag, contact_ids=[people[0].pk, people[9].pk])

    page = text(amina, f"/app/contacts?q=Person&tag={tag.pk}&department=Sales&status=active&country=KE&consent=no")

    assert "1 contact found." in page
    assert 'aria-label="Remove the filter Tag: VIP"' in page
    assert 'href="/app/contacts?q=Person&amp;department=Sales&amp;status=active&amp;country=KE&amp;consent=no"' in page
    assert "Person 00" in page
    assert "Person 09" not in page
    nothing = text(amina, "/app/contacts?group=abc&tag=99999999999999999999&status=x&country=ZZ")
    assert "1–12 of 12" in nothing


def test_a_view_is_kept_for_oneself_or_for_colleagues(amina, baraka, zuri, acme, people):
    kept = amina.post("/app/views/contacts", {"name": "Sales", "query": "?department=Sales&page=2"})
    assert kept.url == "/app/contacts?department=Sales"
    assert "Sales" in text(amina, "/app/contacts")
    assert "?department=Sales" not in text(baraka, "/app/contacts")
    amina.post("/app/views/contacts", {"name": "sales", "query": "department=Sales&status=active", "shared": "1"})
    for browser, sees in ((amina, True), (baraka, True), (zuri, False)):
        assert ("?department=Sales&amp;status=active" in text(browser, "/app/contacts")) is sees
    view = SavedView.objects.for_client(acme).get()
    assert baraka.post(f"/app/views/contacts/{view.pk}/delete").status_code == 404
    assert amina.post(f"/app/views/contacts/{view.pk}/delete").url == "/app/contacts"
    assert amina.post("/app/views/contacts", {"name": "x", "query": ""}).url == "/app/contacts?"
    assert amina.post("/app/views/nothing", {"name": "x", "query": "q=a"}).status_code == 404
    assert not SavedView.objects.for_client(acme).exists()
    amina.post("/app/views/messages", {"name": "Failed", "query": "status=failed"})
    assert "?status=failed" in text(amina, "/app/messages")


def test_all_that_match_are_changed_not_only_the_page(amina, acme, people):
    create_contact(client=acme, phone="0722000001", name="Somebody")
    asked = {"do": "add", "everyone": "1", "filters": "?q=Person", "new_tag": "VIP", "next": "/app/contacts?q=Person"}
    asks = amina.post("/app/contacts/selected", asked).content.decode()
    assert "Add 12 contacts to VIP?" in asks
    tag = Group.objects.for_client(acme).get(name="VIP")
    done = amina.post("/app/contacts/selected", asked | {"sure": "1", "new_tag": "", "group": tag.pk})
    page = text(amina, done.url)
    assert "12 contacts were added to VIP." in page
    assert "hx-trigger" not in page.split('id="bulk-progress"')[1].split("</div>")[0]
    assert GroupMember.objects.for_client(acme).filter(group=tag).count() == 12

    # An act that ends the match goes through all the same: each is looked at once.
    asked = {"do": "remove", "everyone": "1", "filters": f"?tag={tag.pk}", "group": tag.pk, "sure": "1"}
    assert "12 contacts left VIP." in text(amina, amina.post("/app/contacts/selected", asked).url)
    asked = {"do": "opt_out", "everyone": "1", "filters": "?department=Sales", "sure": "1", "note": "Called us"}
    assert "5 contacts get no more SMS." in text(amina, amina.post("/app/contacts/selected", asked).url)
    assert {each.proof for each in OptOut.objects.for_client(acme)} == {"Called us"}
    asked = {"do": "delete", "everyone": "1", "filters": "?status=active&q=Person", "sure": "1"}
    assert "7 contacts are in the bin" in text(amina, amina.post("/app/contacts/selected", asked).url)
    assert BinnedContact.objects.for_client(acme).count() == 7


def test_a_large_set_is_left_to_a_worker_and_shown_while_it_runs(amina, acme, monkeypatch):
    monkeypatch.setattr(bulk_services, "AT_ONCE", 3)
    monkeypatch.setattr(bulk_services, "CHUNK", 2)
    load(acme, csv_text([["Name", "Phone"], *([f"P{n}", f"07220000{n:02d}"] for n in range(7))]))
    group = create_group(client=acme, name="All")
    asked = {"do": "add", "everyone": "1", "filters": "?", "group": group.pk, "sure": "1"}
    url = amina.post("/app/contacts/selected", asked).url
    waiting = text(amina, url, **HTMX)
    assert 'hx-trigger="every 1s"' in waiting
    assert "0 of 7 contacts" in waiting
    create_contact(client=acme, phone="0733000001")  # came later: not meant

    assert run_bulk(bulk_id=BulkChange.objects.for_client(acme).get().pk)

    assert GroupMember.objects.for_client(acme).count() == 7
    assert "7 contacts were added to All." in text(amina, url)


def test_a_bulk_change_goes_on_where_a_dead_worker_stopped_and_stops_when_told(acme, monkeypatch):
    monkeypatch.setattr(bulk_services, "AT_ONCE", 0)
    monkeypatch.setattr(bulk_services, "CHUNK", 2)
    for n in range(6):
        create_contact(client=acme, phone=f"072200000{n}")
    group = create_group(client=acme, name="All")
    change = start_bulk(client=acme, by=None, act="add", filters=ContactFilters(), group=group)
    real, calls = bulk_services._change, []

    def dying(**given):
        calls.append(given["contact_ids"])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(**given)

    monkeypatch.setattr(bulk_services, "_change", dying)
    with pytest.raises(KeyboardInterrupt):
        run_bulk(bulk_id=change.pk)
    change.refresh_from_db()
    assert (change.state, change.done) == (BulkState.RUNNING, 2)
    assert not run_bulk(bulk_id=change.pk)  # its lease still holds
    BulkChange.objects.for_client(acme).update(lease_until="2020-01-01T00:00Z")
    assert run_bulk(bulk_id=change.pk)
    change.refresh_from_db()
    assert (change.state, change.done, change.changed) == (BulkState.DONE, 6, 6)

    again = start_bulk(client=acme, by=None, act="delete", filters=ContactFilters())
    stop_bulk(change=again)
    assert not run_bulk(bulk_id=again.pk)
    assert Contact.objects.for_client(acme).count() == 6


def test_the_bin_restores_and_empties(amina, baraka, zuri, acme, people):
    amina.post("/app/contacts/selected", {"do": "delete", "contact": [p.pk for p in people[:3]], "sure": "1"})
    page = text(amina, "/app/contacts/bin?q=Person+0")
    assert page.count('name="binned"') == 3
    assert 'name="binned"' not in text(baraka, "/app/contacts/bin")
    ids = list(BinnedContact.objects.for_client(acme).values_list("pk", flat=True))
    zuri.post("/app/contacts/bin/selected", {"do": "restore", "binned": ids})
    amina.post("/app/contacts/bin/selected", {"do": "restore", "binned": ids[:1]})
    assert Contact.objects.for_client(acme).count() == 10
    asks = amina.post("/app/contacts/bin/selected", {"do": "empty", "everyone": "1", "q": ""}).content.decode()
    assert "Delete 2 contacts for good?" in asks
    assert baraka.post("/app/contacts/bin/selected", {"do": "empty", "everyone": "1", "sure": "1"}).status_code == 403
    amina.post("/app/contacts/bin/selected", {"do": "empty", "everyone": "1", "sure": "1"})
    assert "The bin is empty" in text(amina, "/app/contacts/bin")


def test_merging_shows_the_result_first(amina, acme):
    keep = create_contact(client=acme, phone="0712345678", name="Amina", attributes={"Town": "Thika"})
    other = create_contact(client=acme, phone="0722000001", name="Amina Otieno", attributes={"Town": "Meru"})
    there = amina.post("/app/contacts/selected", {"do": "merge", "contact": [keep.pk, other.pk]}).url
    assert there == f"/app/contacts/{keep.pk}/merge?with={other.pk}"
    assert "Amina Otieno" in text(amina, f"/app/contacts/{keep.pk}/merge")
    page = text(amina, there)
    assert 'name="take_attributes.Town"' in page
    chosen = {"with": other.pk, "take_name": "other", "take_phone": "own", "take_attributes.Town": "other"}
    result = amina.post(f"/app/contacts/{keep.pk}/merge", chosen).content.decode()
    assert "One contact will remain" in result
    assert Contact.objects.for_client(acme).count() == 2
    amina.post(f"/app/contacts/{keep.pk}/merge", chosen | {"sure": "1"})
    merged = Contact.objects.for_client(acme).get()
    assert (merged.name, merged.phone, merged.attributes) == ("Amina Otieno", "+254712345678", {"Town": "Meru"})


def test_one_value_is_edited_in_its_place_with_and_without_javascript(amina, baraka, acme):
    contact = create_contact(client=acme, phone="0712345678", name="Amina")
    url = f"/app/contacts/{contact.pk}"
    plain = text(amina, url)
    assert "likely Safaricom" in plain
    assert f'href="{url}?edit=name"' in plain
    part = text(amina, url + "?edit=name", **HTMX)
    assert 'name="set" value="name"' in part
    assert "<html" not in part
    assert 'name="set"' in text(amina, url + "?edit=name")
    assert 'name="set"' not in text(baraka, url + "?edit=name")
    amina.post(url, {"set": "name", "value": "Amina Otieno"})
    refused = amina.post(url, {"set": "phone", "value": "12"})
    assert refused.status_code == 422
    assert 'value="12"' in refused.content.decode()
    contact.refresh_from_db()
    assert (contact.name, contact.phone) == ("Amina Otieno", "+254712345678")
    amina.post(url, {"tag_add": "VIP"})
    assert 'name="tag_remove" value="VIP"' in text(amina, url)
    amina.post(url, {"tag_remove": "VIP"})
    assert not GroupMember.objects.for_client(acme).exists()
    assert baraka.post(url, {"tag_add": "X"}).status_code == 403


def test_a_rule_is_written_counted_and_kept(amina, acme, people):
    posted = {"name": "Sales", "match": "all", "rows": "3", "what_0": "department|is", "value_0": "sales", "what_1": ""}
    more = amina.post("/app/contacts/groups/rule", posted | {"more": "1"}).content.decode()
    assert 'name="what_5"' in more
    counted = amina.post("/app/contacts/groups/rule", posted | {"look": "1"}).content.decode()
    assert "5 contacts meet it now." in counted
    assert not Group.objects.for_client(acme).exists()
    bad = amina.post("/app/contacts/groups/rule", posted | {"what_1": "tag|in", "value_1": "Nobody", "save": "1"})
    assert bad.status_code == 422
    assert "there is no tag “Nobody”" in bad.content.decode()
    amina.post("/app/contacts/groups/rule", posted | {"save": "1"})
    group = Group.objects.for_client(acme).get()
    listed = text(amina, "/app/contacts/groups")
    assert "Department is sales" in listed
    assert "1–5 of 5" in text(amina, f"/app/contacts?group={group.pk}")
    assert 'value="sales"' in text(amina, f"/app/contacts/groups/{group.pk}/rule")
    assert "By rule: Sales" in text(amina, f"/app/contacts/{people[0].pk}")
    assert "Sales: 5 contacts" in text(amina, f"/app/campaigns/new?group={group.pk}")


def test_the_list_costs_the_same_however_many_contacts(acme, people, django_assert_max_num_queries):
    browser = browser_for(member(acme, "dalila@acme.test", "owner"))
    browser.get("/app/contacts")
    with django_assert_max_num_queries(18):
        browser.get("/app/contacts?q=Person")


def test_a_file_gives_tags_which_undoing_takes_away_again(amina, acme):
    known = create_contact(client=acme, phone="0712345678", name="Ann")
    tags = ensure_tags(client=acme, names=["2026", "Members"])
    batch = load(acme, "Name,Phone\nAnn,0712345678\nBen,0722345678\n", tags=tags)
    assert GroupMember.objects.for_client(acme).count() == 4
    there = amina.post(f"/app/contacts/import/{batch.pk}/audience").url
    group = Group.objects.for_client(acme).get(kind="rule")
    assert there == f"/app/campaigns/new?group={group.pk}"
    assert queries.audience_size(acme.pk, [group.pk]) == 2
    assert amina.post(f"/app/contacts/import/{batch.pk}/audience").url == there

    undo_import(contact_import=batch)
    run_undo(import_id=batch.pk)
    assert not GroupMember.objects.for_client(acme).exists()
    assert Contact.objects.for_client(acme).get() == known
