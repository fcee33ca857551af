"""Sender IDs: asked for in three steps, answered network by network, and kept to what they were approved for."""

from datetime import date
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from accounts.models import AuditEntry, Notice
from crm.common.errors import InvalidInput, WrongState
from messaging.errors import SenderNotApproved
from messaging.models import CampaignState, CountryRules, Message, SenderDocument, SenderId, SenderNetwork, SendingHours
from messaging.services import sender_requests as service
from messaging.services.accept import Draft, Refused, accept_messages
from messaging.services.campaigns import confirm_campaign, get_campaign, save_draft
from messaging.services.expansion import expand_campaign
from messaging.services.scheduling import set_timing
from messaging.services.sender_names import brand_like, look_alikes, name_problem
from messaging.services.sender_papers import MOST_BYTES, path_of
from messaging.services.senders import approve_sender_id
from tests.web.conftest import add_member, sign_in

LIST = "/app/settings/senders"
SAMPLES = "Dear parent, the fees for term 3 are due on Friday. Sunshine School."
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


@pytest.fixture(autouse=True)
def kenya(db) -> None:
    """What the first migration says of Kenya."""
    CountryRules.objects.update_or_create(
        country="KE",
        valid_from=date(2020, 1, 1),
        defaults={"documents": ["registration", "tax", "letter"], "separate_classes": True, "opt_out_text": ""},
    )


def photo(kind="PNG") -> bytes:
    kept = BytesIO()
    Image.new("RGB", (30, 20), "white").save(kept, kind)
    return kept.getvalue()


def upload(browser, sender, kind, body, name="paper.png", content_type="image/png"):
    file = SimpleUploadedFile(name, body, content_type)
    return browser.post(f"{LIST}/{sender.pk}/papers", {"kind": kind, "file": file})


@pytest.fixture
def asked(browser) -> SenderId:
    """Step 1, done by Amina on the page."""
    answer = browser.post(
        f"{LIST}/new", {"name": "SunSchool", "message_class": "information", "networks": ["Safaricom", "Airtel"]}
    )
    sender = SenderId.objects.unscoped().get(name="SunSchool")
    assert answer["Location"] == f"{LIST}/{sender.pk}/papers"
    return sender


@pytest.fixture
def handed_in(browser, asked) -> SenderId:
    for kind in ("registration", "tax", "letter"):
        assert upload(browser, asked, kind, photo()).status_code == 302
    answer = browser.post(f"{LIST}/{asked.pk}/samples", {"samples": SAMPLES})
    assert answer["Location"] == f"{LIST}/{asked.pk}"
    asked.refresh_from_db()
    return asked


def confirm(acme, draft):
    return confirm_campaign(
        client=acme, campaign_id=draft.pk, by=None, expected_recipients=None, expected_cost_micros=None
    )


def states(sender) -> dict[str, str]:
    return dict(SenderNetwork.objects.for_client(sender.client_id).values_list("network", "state"))


def test_a_request_goes_by_three_pages_and_then_is_checked(browser, handed_in):
    assert handed_in.state == "pending"
    assert states(handed_in) == {"Safaricom": "checking", "Airtel": "checking"}
    page = browser.get(f"{LIST}/{handed_in.pk}").content.decode()
    assert "Checking" in page
    assert "not known yet" in page
    assert AuditEntry.objects.unscoped().filter(action="sender.requested", target="sender:SunSchool").count() == 1
    letter = browser.get(f"{LIST}/{handed_in.pk}/letter.pdf")
    assert letter.content.startswith(b"%PDF-")


def test_a_request_without_its_papers_stays_a_draft_and_keeps_the_text(browser, asked):
    answer = browser.post(f"{LIST}/{asked.pk}/samples", {"samples": SAMPLES})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Missing: Registration certificate, Tax certificate, Signed authorisation letter." in page
    assert SAMPLES in page
    asked.refresh_from_db()
    assert asked.state == "draft"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("AB", "3 to 11 letters"),
        ("12345", "at least one letter"),
        ("Sun School", "without spaces"),
        ("TwelveLetter", "3 to 11 letters"),
        ("M-PESA", "3 to 11 letters"),
        ("Safaric0m", "reads like Safaricom"),
        ("MPE5A", "reads like M-PESA"),
        ("KCB", "reads like KCB"),
        ("HOSPITAL", "have this sender ID already"),
    ],
)
def test_a_name_that_cannot_be_is_refused_beside_its_field_and_kept(browser, acme, name, words):
    answer = browser.post(f"{LIST}/new", {"name": name, "message_class": "information", "networks": ["Airtel"]})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert words in page
    assert f'value="{name}"' in page
    assert SenderId.objects.for_client(acme).count() == 1


def test_the_live_check_says_the_same(browser):
    def said(name):
        return browser.get(f"{LIST}/check?name={name}", headers={"hx-request": "true"}).content.decode()

    assert "can be asked for" in said("SunSchool")
    assert "reads like Safaricom" in said("Safaricorn")
    assert browser.get(f"{LIST}/check?name=SunSchool").url == f"{LIST}/new"  # no page of its own


def test_who_is_the_brand_may_ask_for_it(acme):
    acme.name = "KCB Bank Kenya"
    assert name_problem(acme, "KCB") == ""
    assert brand_like("Sunrise") == ""


def test_staff_see_another_clients_name_that_reads_alike_and_the_client_does_not(acme, stranger):
    approve_sender_id(client=stranger, name="SunSchool")
    made = service.save_request(
        client=acme, by=None, name="5unSch00l", message_class="information", networks=["Airtel"]
    )
    assert look_alikes(made) == ["Reads like SunSchool of Zuri Ltd."]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"<html><script>alert(1)</script>", "photo (JPEG or PNG) or a PDF"),
        (b"GIF89a" + b"0" * 40, "photo (JPEG or PNG) or a PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photo (JPEG or PNG) or a PDF"),
        (b"MZ" + b"0" * 40, "photo (JPEG or PNG) or a PDF"),
        (b"\x89PNG\r\n\x1a\n" + b"<?php system($_GET[1]); ?>", "cannot be read"),
        (b"\xff\xd8\xff" + b"0" * 40, "cannot be read"),
        (b"%PDF-1.4 cut", "not complete"),
        (b"%PDF-1.4 /OpenAction << /S /JavaScript >> %%EOF", "contains programs"),
        (b"%PDF-1.4" + b" " * MOST_BYTES + b"%%EOF", "larger than 5 MB"),
    ],
)
def test_a_file_is_what_its_bytes_say(browser, asked, body, words):
    answer = upload(browser, asked, "tax", body, name="kra.pdf", content_type="application/pdf")
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not SenderDocument.objects.for_client(asked.client_id).exists()


def test_a_paper_is_kept_outside_urls_and_comes_back_harmless(browser, asked, settings):
    upload(browser, asked, "tax", PDF, name="../../etc/<b>kra</b>.pdf")
    paper = SenderDocument.objects.for_client(asked.client_id).get()
    assert path_of(paper).resolve().is_relative_to(settings.MEDIA_ROOT)
    assert browser.get(f"/media/{paper.stored_as}").status_code == 404
    answer = browser.get(f"{LIST}/{asked.pk}/papers/{paper.pk}")
    assert b"".join(answer.streaming_content) == PDF
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"].startswith('attachment; filename="tax-')
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.django_db(transaction=True)
def test_replacing_a_paper_removes_the_old_file(browser, asked):
    upload(browser, asked, "tax", PDF)
    old = path_of(SenderDocument.objects.for_client(asked.client_id).get())
    upload(browser, asked, "tax", photo("JPEG"))
    paper = SenderDocument.objects.for_client(asked.client_id).get()
    assert paper.content_type == "image/jpeg"
    assert not old.exists()
    assert path_of(paper).exists()


def test_T1_strangers_and_lesser_roles_see_no_paper(acme, stranger, asked, browser):
    upload(browser, asked, "tax", PDF)
    paper = SenderDocument.objects.for_client(asked.client_id).get()
    zuri = sign_in("zuri@else.test")
    assert zuri.get(f"{LIST}/{asked.pk}/papers/{paper.pk}").status_code == 404
    viewer = add_member(acme, "viewer")
    assert viewer.get(f"{LIST}/{asked.pk}/papers/{paper.pk}").status_code == 403
    assert viewer.get(f"{LIST}/{asked.pk}").status_code == 200


def test_papers_and_name_of_a_request_that_is_being_checked_stay(browser, handed_in):
    assert upload(browser, handed_in, "tax", PDF).status_code == 422
    answer = browser.post(
        f"{LIST}/{handed_in.pk}/name", {"name": "Other", "message_class": "promotion", "networks": ["Airtel"]}
    )
    assert answer.status_code == 422
    handed_in.refresh_from_db()
    assert (handed_in.name, handed_in.message_class) == ("SunSchool", "information")


def test_one_network_makes_it_usable_and_members_are_told_once(handed_in):
    service.pass_on(sender=handed_in)
    assert states(handed_in) == {"Safaricom": "network", "Airtel": "network"}
    service.approve_request(sender=handed_in, networks=["Airtel"])
    handed_in.refresh_from_db()
    assert (handed_in.state, states(handed_in)["Safaricom"]) == ("approved", "network")
    service.approve_request(sender=handed_in)
    assert states(handed_in) == {"Safaricom": "approved", "Airtel": "approved"}
    assert Notice.objects.for_client(handed_in.client_id).filter(event="sender.approved").count() == 1
    with pytest.raises(WrongState):
        service.approve_request(sender=handed_in)


def test_a_rejected_one_says_why_and_can_be_mended(browser, handed_in):
    with pytest.raises(InvalidInput):
        service.reject_request(sender=handed_in, reason=" ")
    service.reject_request(sender=handed_in, reason="The letter is not signed.", fix="Sign and stamp it.")
    page = browser.get(f"{LIST}/{handed_in.pk}").content.decode()
    assert "The letter is not signed." in page
    assert "Mend and ask again" in page
    assert Notice.objects.for_client(handed_in.client_id).filter(event="sender.rejected").count() == 1
    with pytest.raises(SenderNotApproved):
        accept_messages(client=handed_in.client, drafts=[Draft("0712000001", "x")], sender="SunSchool")
    upload(browser, handed_in, "letter", photo())
    browser.post(f"{LIST}/{handed_in.pk}/samples", {"samples": SAMPLES})
    handed_in.refresh_from_db()
    assert (handed_in.state, handed_in.reason) == ("pending", "")
    assert states(handed_in) == {"Safaricom": "checking", "Airtel": "checking"}


def test_the_usual_wait_is_the_median_of_past_approvals(acme):
    from datetime import timedelta

    from django.utils import timezone

    assert service.usual_wait("Airtel") is None
    now = timezone.now()
    for days in (1, 3, 10):
        sender = service.save_request(
            client=acme, by=None, name=f"Name{days}", message_class="information", networks=["Airtel"]
        )
        service.networks_asked(sender).update(state="approved", submitted_at=now - timedelta(days=days), decided_at=now)
    assert service.usual_wait("Airtel") == timedelta(days=3)


def test_a_request_is_withdrawn_with_its_papers_and_one_in_use_is_not(browser, asked, acme):
    upload(browser, asked, "tax", PDF)
    assert "Its documents are deleted" in browser.get(f"{LIST}/{asked.pk}/withdraw").content.decode()
    browser.post(f"{LIST}/{asked.pk}/withdraw")
    assert not SenderId.objects.for_client(acme).filter(name="SunSchool").exists()
    assert not SenderDocument.objects.for_client(acme).exists()
    used = SenderId.objects.for_client(acme).get(name="HOSPITAL")
    browser.post(f"{LIST}/{used.pk}/withdraw")
    assert SenderId.objects.for_client(acme).filter(pk=used.pk).exists()


@pytest.mark.parametrize("path", ["new", "check", "{pk}/name", "{pk}/papers", "{pk}/samples", "{pk}/withdraw"])
def test_only_who_may_ask_for_sender_ids_gets_there(acme, browser, asked, path):
    assert add_member(acme, "sender").get(f"{LIST}/{path.format(pk=asked.pk)}").status_code == 403


def test_the_list_costs_the_same_for_one_and_for_many(acme, browser, django_assert_max_num_queries):
    for number in range(8):
        service.save_request(
            client=acme, by=None, name=f"Name{number}", message_class="information", networks=["Airtel", "Telkom"]
        )
    browser.get(LIST)
    with django_assert_max_num_queries(9):
        assert "Name7" in browser.get(LIST).content.decode()


# --- the class holds at every way out ---------------------------------------------------------------------------------


def of_class(acme, message_class):
    sender = approve_sender_id(client=acme, name="Classed")
    SenderId.objects.for_client(acme).filter(pk=sender.pk).update(message_class=message_class)
    return sender


def test_a_promotion_does_not_leave_by_a_sender_for_information(acme, draft):
    of_class(acme, "information")
    save_draft(
        client=acme, by=None, campaign_id=draft.pk, name="Offer", text="Offer: 10% off.",
        group_ids=[group.pk for group in draft.groups.all()], sender="Classed",
    )  # fmt: skip
    SendingHours.objects.all().delete()
    set_timing(client=acme, campaign_id=draft.pk, message_class="promotion")
    with pytest.raises(InvalidInput, match="approved for information only"):
        confirm(acme, draft)
    with pytest.raises(SenderNotApproved, match="approved for information only"):
        accept_messages(client=acme, drafts=[Draft("0712000001", "Offer")], sender="Classed", message_class="promotion")
    assert not Message.objects.for_client(acme).exists()


def test_information_does_not_leave_by_a_sender_for_promotions(acme, draft, browser):
    of_class(acme, "promotion")
    save_draft(
        client=acme, by=None, campaign_id=draft.pk, name="News", text="School opens.",
        group_ids=[group.pk for group in draft.groups.all()], sender="Classed",
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="is for promotions"):
        confirm(acme, draft)


def test_what_a_program_sends_by_a_promotion_sender_keeps_the_hours_of_promotions(acme, provider):
    of_class(acme, "promotion")
    SendingHours.objects.all().delete()
    (row,) = accept_messages(client=acme, drafts=[Draft("0712000001", "Offer")], sender="Classed")
    assert not isinstance(row, Refused)
    from datetime import time, timedelta

    from crm.common.sql import database_now

    local = (database_now() + timedelta(hours=3)).time()  # Nairobi
    opens, closes = (time(0), time(0, 1)) if local > time(12) else (time(23, 58), time(23, 59))
    SendingHours.objects.create(
        country="KE", message_class="promotion", opens=opens, closes=closes, valid_from=date(2020, 1, 1)
    )
    (refused,) = accept_messages(client=acme, drafts=[Draft("0712000001", "Offer two")], sender="Classed")
    assert isinstance(refused, Refused)
    assert refused.error.code == "outside_hours"


def test_a_campaign_whose_sender_was_rejected_meanwhile_waits_for_a_person(acme, draft):
    confirm(acme, draft)
    SenderId.objects.for_client(acme).filter(pk=draft.sender_id).update(state="rejected")
    assert expand_campaign(campaign_id=draft.pk) == 0
    campaign = get_campaign(client=acme, campaign_id=draft.pk)
    assert campaign.state == CampaignState.PAUSED
    assert campaign.pause_reason == "The sender ID HOSPITAL is not approved any more."
    assert not Message.objects.for_client(acme).exists()


def test_the_country_gives_promotions_their_way_out_where_the_client_wrote_none(acme):
    from messaging.services.rules import rules_of, set_endings

    CountryRules.objects.filter(country="KE").update(opt_out_text="STOP: 20414")
    assert rules_of(acme).ending("promotion") == "\nSTOP: 20414"
    assert rules_of(acme).ending("information") == ""
    set_endings(client=acme, signature="", opt_out_text="Stop? 0700")
    assert rules_of(acme).ending("promotion") == "\nStop? 0700"
