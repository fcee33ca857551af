"""Opting out: by word, by link, by hand, by list; taking it back; and that every way of sending obeys."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser

from contacts import queries
from contacts.models import OptOut, OptOutChange, OptOutLink
from contacts.opt_out_links import make_token, read_token
from contacts.services import (
    add_to_group,
    create_contact,
    create_group,
    opt_out_urls,
    record_listed_opt_outs,
    record_opt_out,
    record_opt_outs,
    remove_opt_out,
    take_reply,
)
from crm.common.errors import InvalidInput
from crm.common.opt_out_words import START, STOP, opt_out_word
from messaging.services.accept import Draft, accept_messages
from tests.messaging.core import world

from .conftest import load
from .test_wizard import workbook

pytestmark = pytest.mark.django_db
ANN = "+254712345678"


# ---- the words ----


@pytest.mark.parametrize(
    "text",
    ["STOP", "stop.", " Stop!! ", "ARRÊT", "arrêtez svp", "Désabonner", "ACHA", "Acha tafadhali", "Jiondoe",
     "please stop",
     "“STOP”", "🛑 stop 🛑", "Stop all", "s’il vous plaît arrêter", "SITAKI"],
)  # fmt: skip
def test_stop_words(text):
    assert opt_out_word(text) == "stop"


@pytest.mark.parametrize("text", ["START", "anza", "Reprendre", "réabonner", "unstop", "Rudisha tafadhali"])
def test_start_words(text):
    assert opt_out_word(text) == "start"


@pytest.mark.parametrize(
    "text", ["", "  ", "I cannot stop by today", "STOP sending me the wrong bill", "yes", "don't stop", "1", "x" * 1000,
             "stop start", "Asante", "merci"],
)  # fmt: skip
def test_other_replies_are_for_people(text):
    assert opt_out_word(text) == ""


def test_no_word_means_both():
    assert not STOP & START


# ---- recording ----


def test_stop_and_start_with_proof_and_history(acme, zuri_ltd):
    reply = {"client_id": acme.pk, "channel": "sms", "address": ANN, "sender": "SHOP"}
    assert take_reply(**reply, text="Stop!") == "stop"
    assert take_reply(**reply, text="stop") == "stop"
    opt_out = OptOut.objects.for_client(acme).get()
    assert (opt_out.sender, opt_out.source, opt_out.proof) == ("SHOP", "stop", "Stop!")
    assert queries.opted_out_among("sms", [(acme.pk, ANN, "SHOP")])
    assert not queries.opted_out_among("sms", [(acme.pk, ANN, "OTHER"), (zuri_ltd.pk, ANN, "SHOP")])
    assert take_reply(**reply, text="hello") == ""

    record_opt_out(client_id=acme.pk, channel="sms", address=ANN, source="staff")
    assert take_reply(**reply, text="ANZA") == "start"

    assert not OptOut.objects.for_client(acme).exists()
    history = OptOutChange.objects.for_client(acme).order_by("pk").values_list("is_out", "sender", "source", "note")
    assert list(history[:2]) == [(True, "SHOP", "stop", "Stop!"), (True, "", "staff", "")]
    assert sorted(history[2:]) == [(False, "", "stop", "ANZA"), (False, "SHOP", "stop", "ANZA")]


def test_many_at_once_in_a_constant_number_of_statements(acme, django_assert_max_num_queries):
    record_opt_out(client_id=acme.pk, channel="sms", address="+254700000001", source="stop")
    phones = [f"+2547{n:08d}" for n in range(1500)] * 2
    with django_assert_max_num_queries(12):
        assert record_opt_outs(client_id=acme.pk, channel="sms", addresses=phones, source="upload") == 1499
    assert OptOut.objects.for_client(acme).count() == OptOutChange.objects.for_client(acme).count() == 1500


def test_a_list_of_numbers_is_read_as_people_write_it(acme):
    listed = record_listed_opt_outs(client=acme, texts=["0712 345 678", "", "abc", "254712345679"], proof="old system")

    assert (listed.news, listed.known) == (2, 0)
    assert listed.unreadable == [("abc", "There is a letter in this number: “a”.")]
    assert {(o.address, o.source, o.proof) for o in OptOut.objects.for_client(acme)} == {
        (ANN, "upload", "old system"), ("+254712345679", "upload", "old system")}  # fmt: skip
    with pytest.raises(InvalidInput, match="no phone number here"):
        record_listed_opt_outs(client=acme, texts=["abc"], proof="")
    with pytest.raises(InvalidInput, match="At most"):
        record_listed_opt_outs(client=acme, texts=["0712345678"] * 20_001, proof="")


def test_no_file_of_contacts_takes_an_opt_out_away(acme):
    record_opt_out(client_id=acme.pk, channel="sms", address=ANN, source="stop")
    load(acme, "Name,Phone\nAnn,0712345678\n", duplicates="overwrite", consent_source="form")
    assert queries.opted_out_among("sms", [(acme.pk, ANN, "")])


def test_taking_back_by_hand_needs_a_reason(acme):
    record_opt_out(client_id=acme.pk, channel="sms", address=ANN, source="stop")
    given = {"client_id": acme.pk, "channel": "sms", "address": ANN, "source": "staff"}
    with pytest.raises(InvalidInput, match="Say why"):
        remove_opt_out(**given, reason=" ")
    assert OptOut.objects.for_client(acme).exists()
    assert remove_opt_out(**given, reason="Asked for it by phone")
    assert OptOutChange.objects.for_client(acme).first().note == "Asked for it by phone"


# ---- every door that sends ----


def test_whoever_said_stop_gets_nothing_by_any_way(db):
    acme = world.make_sender()
    group = create_group(client=acme, name="All")
    people = [create_contact(client=acme, phone=f"071234567{n}", name=f"P{n}") for n in (8, 9)]
    add_to_group(group=group, contact_ids=[p.pk for p in people])
    take_reply(client_id=acme.pk, channel="sms", address=ANN, sender="ACME", text="ACHA")

    # single and bulk sends, native API and dialects, all go through accept_messages
    world.make_road()
    drafts = [Draft(recipient=phone, text="Habari") for phone in (ANN, "+254712345679")]
    refused, accepted = accept_messages(client=acme, drafts=drafts, sender="ACME")
    assert (refused.error.code, accepted.recipient) == ("opted_out", "+254712345679")
    # campaigns
    assert [row[1] for row in queries.audience(acme.pk, [group.pk], sender="ACME")] == ["+254712345679"]
    assert queries.audience_size(acme.pk, [group.pk], sender="ACME") == 1
    # tests/messaging/core/test_sending.py: test_D10_…: whoever opts out between acceptance and submission


# ---- links ----


def test_tokens_carry_no_number_and_cannot_be_made_up():
    tokens = [make_token(n) for n in (1, 61, 62, 10**6, 2**62)]
    assert [read_token(token) for token in tokens] == [1, 61, 62, 10**6, 2**62]
    assert len(make_token(10**7)) <= 17
    assert ANN[1:] not in make_token(712345678)
    for bad in ("", "-", "1", "1-", "1-aaaaaaaaaaa", tokens[0][:-1], tokens[0] + "0", "0" + tokens[0], "é-" + tokens[0],
                "2" + tokens[0][1:], "z" * 12 + "-abc", "1\x00-x"):  # fmt: skip
        assert read_token(bad) is None


def test_a_link_shows_on_get_and_acts_on_post(acme):
    urls = opt_out_urls(client_id=acme.pk, channel="sms", sender="SHOP", addresses=[ANN, ANN, "+254712345679"])
    assert opt_out_urls(client_id=acme.pk, channel="sms", sender="SHOP", addresses=[ANN]) == {ANN: urls[ANN]}
    assert OptOutLink.objects.for_client(acme).count() == 2
    path = "/o/" + urls[ANN].rpartition("/o/")[2]
    visitor = Browser(enforce_csrf_checks=True)

    page = visitor.get(path)
    assert page.status_code == 200
    assert "Stop messages from Acme?" in page.content.decode()
    assert "***678" in page.content.decode()
    assert "712345678" not in page.content.decode() + path
    assert (page["X-Robots-Tag"], page["Referrer-Policy"]) == ("noindex", "no-referrer")
    assert not OptOut.objects.for_client(acme).exists()

    answer = visitor.post(path, {"do": "stop"}, follow=True)
    assert "does not write to you any more" in answer.content.decode()
    opt_out = OptOut.objects.for_client(acme).get()
    assert (opt_out.address, opt_out.sender, opt_out.source) == (ANN, "SHOP", "link")
    visitor.post(path, {"do": "start"})
    assert not OptOut.objects.for_client(acme).exists()
    assert visitor.get("/o/1-aaaaaaaaaaa").status_code == 404
    OptOutLink.objects.for_client(acme).delete()
    assert visitor.get(path).status_code == 404
    assert opt_out_urls(client_id=acme.pk, channel="sms", sender="", addresses=[]) == {}


# ---- pages ----


def test_numbers_from_a_file_and_taking_back_on_the_pages(amina, baraka, zuri, acme):
    file = SimpleUploadedFile("stop.xlsx", workbook([["Simu"], ["0712345678"], [733123456]]))
    answer = amina.post("/app/contacts/opt-outs", {"file": file, "proof": "List of our former system"}, follow=True)
    assert "No SMS goes to 2 numbers any more." in answer.content.decode()
    assert "List of our former system" in answer.content.decode()
    assert amina.post("/app/contacts/opt-outs", {}).status_code == 422
    bad = SimpleUploadedFile("stop.csv", b"Name,Town\nAnn,Meru\nBen,Thika\n")
    assert "no column of phone numbers" in amina.post("/app/contacts/opt-outs", {"file": bad}).content.decode()

    opt_out = OptOut.objects.for_client(acme).get(address=ANN)
    url = f"/app/contacts/opt-outs/{opt_out.pk}/remove"
    assert opt_out.by.email == "amina@acme.test"
    assert baraka.get(url).status_code == 403
    assert zuri.post(url, {"reason": "because"}).status_code == 404
    assert amina.post(url, {"reason": ""}).status_code == 422
    assert amina.post(url, {"reason": "Asked on 3 March"}).url == "/app/contacts/opt-outs"
    assert not queries.opted_out_among("sms", [(acme.pk, ANN, "")])
    contact = create_contact(client=acme, phone=ANN)
    page = amina.get(f"/app/contacts/{contact.pk}").content.decode()
    assert "Asked on 3 March" in page
    assert "List of our former system" in page
