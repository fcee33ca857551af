"""Settings → API & Webhooks: webhooks are added, tested, paused, rotated, deleted; deliveries are sent again."""

import re
import uuid

import pytest
from django.test import Client as Browser

from accounts.models import DeliveryState, Membership, Role, User, WebhookEndpoint
from accounts.services.events import record_events
from accounts.services.webhooks import deliveries_of, pause_endpoint
from tests.accounts.webhooks.conftest import attempts, deliver, deliveries, fresh, make_endpoint
from tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("open_doors")]
HOME = "/app/settings/api-webhooks"
NEW = f"{HOME}/webhooks/new"
DATA = {"old_balance": 50, "new_balance": 1050, "amount_added": 1000, "transaction_id": "T"}
HTMX = {"HX-Request": "true"}


def sign_in(email):
    browser = Browser()
    browser.force_login(User.objects.get(email=email))
    return browser


@pytest.fixture
def browser(acme):
    return sign_in("amina@acme.test")


@pytest.fixture
def endpoint(acme, receiver):
    return make_endpoint(acme, receiver.url()).endpoint


def page(endpoint, act=""):
    return f"{HOME}/webhooks/{endpoint.pk}{act and '/'}{act}"


def fields(**changed):
    return {
        "token": str(uuid.uuid4()),
        "url": "https://example.com/h",
        "events": ["*"],
        "format": "envelope",
        **changed,
    }


def happen(client, count=1):
    record_events(client.pk, [("balance.updated", DATA)] * count)


def test_a_webhook_is_added_and_its_secret_shown_once(acme, browser):
    response = browser.post(NEW, fields(events=["message.delivered", "message.failed"], format="flat"))
    shown = response.content.decode()
    assert "no-store" in response["Cache-Control"]
    secret = re.search(r'<code id="webhook-secret">([^<]+)</code>', shown)[1]
    made = WebhookEndpoint.objects.for_client(acme).get()
    assert made.secret == secret
    assert secret.startswith("whsec_")
    assert (made.events, made.format) == (["message.delivered", "message.failed"], "flat")
    for path in (HOME, page(made), page(made, "edit")):
        later = browser.get(path)
        assert later.status_code == 200
        assert secret not in later.content.decode()
    assert "https://example.com/h" in browser.get(HOME).content.decode()
    for word in ("hash_hmac", "hmac.compare_digest", "timingSafeEqual"):
        assert word in shown


def test_the_same_form_sent_twice_adds_one(acme, browser):
    form = fields()
    browser.post(NEW, form)
    assert browser.post(NEW, form)["Location"] == HOME
    assert WebhookEndpoint.objects.for_client(acme).count() == 1


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"url": "http://10.0.0.7/h"}, "This address is not on the public internet."),
        ({"url": "nonsense"}, "Give an address such as https://example.com/webhooks."),
        ({"events": []}, "Choose at least one event."),
        ({"events": ["root"]}, "Select a valid choice."),
        ({"format": "xml"}, "Select a valid choice."),
    ],
)
def test_a_refused_form_says_why_and_adds_nothing(acme, browser, changed, sentence):
    response = browser.post(NEW, fields(**changed))
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not WebhookEndpoint.objects.for_client(acme).exists()


def test_edit_pause_resume_rotate_delete(acme, browser, endpoint):
    assert browser.post(page(endpoint, "edit"), fields(url=endpoint.url, events=["topup.failed"])).status_code == 302
    assert fresh(endpoint).events == ["topup.failed"]
    browser.post(page(endpoint, "pause"))
    assert not fresh(endpoint).active
    assert "This webhook is paused" in browser.get(page(endpoint)).content.decode()
    browser.post(page(endpoint, "resume"))
    assert fresh(endpoint).active
    old = fresh(endpoint).secret
    assert "Rotate the signing secret?" in browser.get(page(endpoint, "rotate")).content.decode()
    shown = browser.post(page(endpoint, "rotate")).content.decode()
    assert fresh(endpoint).secret in shown
    assert (fresh(endpoint).previous_secret, old in shown) == (old, False)
    assert "Delete this webhook?" in browser.get(page(endpoint, "delete")).content.decode()
    browser.post(page(endpoint, "delete"))
    assert not WebhookEndpoint.objects.for_client(acme).exists()


@pytest.mark.parametrize(("path", "title"), [("/ok", "took the event"), ("/status/500", "did not take the event")])
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_test_event_shows_the_answer(acme, browser, receiver, path, title, headers):
    endpoint = make_endpoint(acme, receiver.url(path)).endpoint
    response = browser.post(page(endpoint, "test"), {"event": "message.failed"}, headers=headers)
    if not headers:
        response = browser.get(response["Location"])
    shown = response.content.decode()
    assert title in shown
    assert re.search(r"HTTP \d{3}", shown)
    assert re.search(r"after \d+ ms", shown)
    assert ("<html" in shown) == (not headers)
    assert not headers or response["HX-Trigger"] == "webhook-tested"
    assert "webhook-tested from:body" in browser.get(page(endpoint), headers=HTMX).content.decode()
    (got,) = receiver.got
    assert got.headers["x-webhook-event"] == "message.failed"
    assert got.body.startswith(b'{"event":"message.failed","test":true,"client_id":')
    assert len(attempts(deliveries(endpoint)[0])) == 1


def test_a_paused_webhook_can_be_tested_before_it_resumes(browser, endpoint, receiver):
    pause_endpoint(endpoint=endpoint)
    assert (
        "took the event"
        in browser.post(page(endpoint, "test"), {"event": "topup.failed"}, headers=HTMX).content.decode()
    )
    assert len(receiver.got) == 1


def test_the_log_filters_opens_and_is_a_fragment_for_htmx(acme, browser, endpoint, receiver):
    receiver.answers = [(500, {})]
    happen(acme, 3)
    deliver()
    whole = browser.get(page(endpoint)).content.decode()
    assert "<html" in whole
    assert whole.count('id="delivery-') == 3
    some = browser.get(page(endpoint), {"state": "retrying"}, headers=HTMX)
    assert "<html" not in some.content.decode()
    assert some.content.decode().count('id="delivery-') == 1
    assert "HX-Request" in some["Vary"]
    assert 'id="delivery-' not in browser.get(page(endpoint), {"event": "topup.failed"}).content.decode()
    assert 'id="delivery-' not in browser.get(page(endpoint), {"until": "2020-01-01"}).content.decode()
    assert "Please check the filters" in browser.get(page(endpoint), {"since": "soon"}).content.decode()
    failed = next(row for row in deliveries(endpoint) if row.state == DeliveryState.WAITING)
    drawer = browser.get(page(endpoint), {"open": failed.pk}).content.decode()
    assert "&quot;old_balance&quot;:50" in drawer
    assert failed.event_id in drawer
    assert "as told" in drawer


def test_redeliver_one_selected_and_all_failed_since(acme, browser, endpoint, receiver):
    receiver.answers = [(500, {})] * 2
    happen(acme, 4)
    deliver()
    rows = deliveries(endpoint)
    good = next(row for row in rows if row.state == DeliveryState.DELIVERED)
    shown = browser.post(page(endpoint, "redeliver"), {"delivery": [good.pk]}, headers=HTMX).content.decode()
    assert "1 event is sent again." in shown
    assert 'hx-trigger="every 2s, ' in shown
    assert deliver() == 1
    response = browser.post(page(endpoint, "redeliver"), {"since": "2026-01-01T00:00"})
    assert "2 events are sent again." in browser.get(response["Location"]).content.decode()
    assert deliver() == 2
    assert all(row.state == DeliveryState.DELIVERED for row in deliveries(endpoint))
    assert "Say since when." in browser.post(page(endpoint, "redeliver"), {"since": ""}, headers=HTMX).content.decode()


@pytest.mark.parametrize(
    "params",
    [
        {"open": "9" * 30},
        {"before": "x"},
        {"open": "0"},
        {"state": "\x00"},
        {"since": "0001-01-01"},
        {"until": "9999-12-31"},
    ],
)
def test_odd_addresses_are_no_error(browser, endpoint, params):
    assert browser.get(page(endpoint), params).status_code == 200


def test_T1_webhooks_of_others_do_not_exist(acme, zuri, endpoint, receiver):
    happen(acme)
    deliver()
    row = deliveries(endpoint)[0]
    stranger = sign_in("zuri@else.test")
    own = make_endpoint(zuri, receiver.url("/ok/zuri")).endpoint
    assert stranger.get(page(endpoint)).status_code == 404
    for act in ("edit", "rotate", "delete", "pause", "resume", "test", "redeliver"):
        assert stranger.post(page(endpoint, act), {"event": "topup.failed", "delivery": row.pk}).status_code == 404
    stranger.post(page(own, "redeliver"), {"delivery": row.pk})
    assert row.event_id not in stranger.get(page(own), {"open": row.pk}).content.decode()
    assert deliveries_of(endpoint).get().state == DeliveryState.DELIVERED
    assert endpoint.url not in stranger.get(HOME).content.decode().replace(own.url, "")


@pytest.mark.parametrize(("role", "reads"), [(Role.DEVELOPER, 200), (Role.SENDER, 403), (Role.VIEWER, 403)])
def test_T3_roles(acme, endpoint, role, reads):
    user = User.objects.create_user("baraka@acme.test", PASSWORD)
    Membership.objects.create(user=user, client=acme, role=role)
    baraka = sign_in("baraka@acme.test")
    assert baraka.get(page(endpoint)).status_code == reads
    assert baraka.post(page(endpoint, "pause")).status_code == (302 if reads == 200 else 403)


def test_the_log_costs_the_same_however_many_deliveries(acme, browser, endpoint, django_assert_max_num_queries):
    happen(acme, 60)
    with django_assert_max_num_queries(9):
        shown = browser.get(page(endpoint)).content.decode()
    assert shown.count('id="delivery-') == 50
    older = re.search(r'rel="next" href="([^"]+)"', shown)[1].replace("&amp;", "&")
    assert browser.get(f"{page(endpoint)}{older}").content.decode().count('id="delivery-') == 10
