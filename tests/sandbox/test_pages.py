"""The pages, as a browser asks for them."""

import html
import re

import pytest
import requests

NUMBER = "+254711000001"
HANDSET = "/handset/%2B254711000001"


def get(sandbox, path, **headers):
    return requests.get(sandbox.base_url + path, headers=headers, timeout=5)


def post(sandbox, path, headers=None, **form):
    return requests.post(sandbox.base_url + path, data=form, headers=headers, timeout=5, allow_redirects=False)


@pytest.mark.parametrize("path", ["/", "/faults", "/carrier", "/numbers", "/log", HANDSET])
def test_every_page_stands_on_an_empty_sandbox(sandbox, path):
    page = get(sandbox, path)

    assert page.status_code == 200
    assert "<html" in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for outside in ("http://", "https://", "style=", "onclick", "<script>"):
        assert outside not in page.text.replace("http://127.0.0.1:8000/…", "")


@pytest.mark.parametrize("name", ["sandbox.css", "htmx.js", "figtree.woff2"])
def test_what_the_pages_load_is_there(sandbox, name):
    assert f'/assets/{name}"' in get(sandbox, "/").text + get(sandbox, "/assets/sandbox.css").text
    assert len(get(sandbox, f"/assets/{name}").content) > 1000


@pytest.mark.parametrize("path", ["/assets/../store.py", "/assets/store.py", "/handset", "/nowhere"])
def test_nothing_else_is_there(sandbox, path):
    prepared = requests.Request("GET", sandbox.base_url).prepare()
    prepared.url = sandbox.base_url + path  # as it is, without cleaning the dots away

    assert requests.Session().send(prepared, timeout=5).status_code == 404


def test_a_phone_shows_who_wrote_what_and_what_became_of_it(sandbox, send):
    send(NUMBER, text="<b>Habari</b> {{ 7 }}")
    send("+254700001001", text="Lost")
    sandbox.wait_for(lambda stats: "Success" in stats["states"] and "Failed" in stats["states"])

    phones, handset, lost = (
        get(sandbox, "/").text,
        get(sandbox, HANDSET).text,
        get(sandbox, "/handset/+254700001001").text,
    )

    assert "+254 711 000 001" in phones
    assert "&lt;b&gt;Habari&lt;/b&gt; {{ 7 }}" in handset
    assert "Delivered" in handset
    assert "cannot reply to it" in handset
    assert "Did not arrive" in lost
    assert "Failed UserIsInactive" in lost


def test_a_number_can_be_found_as_people_write_it(sandbox, send):
    send(NUMBER, "+254733000002")

    found = get(sandbox, "/?q=0711 000").text

    assert "+254 711 000 001" in found
    assert "+254 733 000 002" not in found
    assert "No number with “999999”" in get(sandbox, "/?q=999999").text


def test_the_latest_phone_comes_first_and_an_early_one_is_still_found(sandbox, send):
    send("+254722000001")
    for start in range(0, 2000, 500):  # more than the page looks at, all to one number each time
        send(*["+254722000002"] * 499, "+254722000003", text=f"Round {start}")

    page = get(sandbox, "/").text

    shown = [page.index(f"+254 722 000 00{n}") for n in (3, 2, 1)]
    assert shown == sorted(shown)
    assert "1,996 messages" in page


@pytest.mark.parametrize("path", ["/", HANDSET, "/log"])
def test_a_refresh_gets_the_fragment_alone_and_a_history_restore_the_page(sandbox, path):
    assert "<html" not in get(sandbox, path, **{"HX-Request": "true"}).text
    assert "<html" in get(sandbox, path, **{"HX-Request": "true", "HX-History-Restore-Request": "true"}).text


@pytest.mark.parametrize("path", ["/", "/?q=711", HANDSET, "/log"])
def test_a_refresh_is_empty_until_there_is_news(sandbox, send, path):
    """So that a reader's place in a long list survives."""
    send(NUMBER)
    sandbox.wait_for(lambda stats: "Success" in stats["states"] and not stats["reports_waiting"])
    address = html.unescape(re.search('hx-get="([^"]+seen=[^"]+)"', get(sandbox, path).text)[1])

    assert get(sandbox, address, **{"HX-Request": "true"}).status_code == 204
    send(NUMBER, text="News")
    fresh = get(sandbox, address, **{"HX-Request": "true"})
    assert fresh.status_code == 200
    assert "<html" not in fresh.text


def test_opting_out_on_the_phone_tells_the_product_and_can_be_undone(sandbox, send, receiver):
    send(NUMBER)

    answer = post(sandbox, f"{HANDSET}/optout", username="acme", sender="ACME")
    sandbox.wait_for(lambda stats: stats["reports_sent"] == 2)

    assert answer.status_code == 303
    assert "on its way to the product" in get(sandbox, answer.headers["Location"]).text
    assert ("/optout", {"senderId": "ACME", "phoneNumber": NUMBER}) in receiver.got
    assert send(NUMBER)[0].error_code == "blocked"
    assert "Receive ACME again" in get(sandbox, HANDSET).text

    post(sandbox, f"{HANDSET}/optin", username="acme", sender="ACME")
    assert send(NUMBER)[0].kind == "accepted"


def test_opting_out_without_an_address_says_that_nobody_was_told(sandbox, send):
    send(NUMBER)

    answer = post(sandbox, f"{HANDSET}/optout", username="acme", sender="ACME")

    assert "The product was not told" in get(sandbox, answer.headers["Location"]).text


def test_a_sender_that_is_a_number_is_not_called_a_name(sandbox, send):
    send(NUMBER, sender="22384")

    assert "cannot reply to it" not in get(sandbox, HANDSET).text


def test_dials_are_turned_and_reset_on_the_page(sandbox):
    assert post(sandbox, "/faults", **{"throttle": "12.5", "hang_after.next": "3"}).status_code == 303
    dials = sandbox.call("GET", "faults")
    assert (dials["throttle"], dials["hang_after"]) == ({"share": 0.125, "next": 0}, {"share": 0, "next": 3})
    assert 'value="12.5"' in get(sandbox, "/faults").text

    post(sandbox, "/faults", reset="1")
    assert sandbox.call("GET", "faults")["throttle"] == {"share": 0, "next": 0}


@pytest.mark.parametrize(
    "wrong", [{"throttle": "101"}, {"throttle": "often"}, {"throttle": "nan"}, {"throttle.next": "1.5"}]
)
def test_a_wrong_dial_is_refused_in_words_and_changes_nothing(sandbox, wrong):
    before = sandbox.call("GET", "faults")

    answer = post(sandbox, "/faults", **wrong)

    assert answer.status_code == 422
    assert "Nothing was changed" in answer.text
    assert sandbox.call("GET", "faults") == before


def test_the_carriers_settings_are_set_on_the_page(sandbox):
    form = {
        "username": "paged",
        "delivery": "http://127.0.0.1:9/d",
        "optout": "",
        "api_key": "k",
        "senders": "ONE, TWO",
    }

    assert post(sandbox, "/carrier", **form).status_code == 303
    kept = sandbox.call("GET", "accounts")["paged"]
    assert (kept["delivery"], kept["api_key"], kept["refused_senders"]) == ("http://127.0.0.1:9/d", "k", ["ONE", "TWO"])

    refused = post(sandbox, "/carrier", **form | {"delivery": "javascript:alert(1)"})
    assert refused.status_code == 422
    assert "delivery is an http or https URL" in refused.text


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH"])
def test_no_other_method_turns_a_dial(sandbox, method):
    sandbox.set_faults(latency=0.01)

    assert requests.request(method, f"{sandbox.base_url}/faults", timeout=5).status_code == 405
    assert requests.put(f"{sandbox.base_url}/faults", timeout=5).status_code == 404
    assert sandbox.call("GET", "faults")["latency"] == 0.01


@pytest.mark.parametrize("path", ["/faults", "/carrier", f"{HANDSET}/optout", "/sandbox/optouts"])
def test_forms_posted_from_another_site_are_refused(sandbox, path):
    answer = post(sandbox, path, {"Sec-Fetch-Site": "cross-site"}, reset="1", username="acme", sender="ACME")

    assert answer.status_code == 403


def test_the_log_names_the_request_and_what_was_done_to_it(sandbox, send):
    sandbox.set_faults(garbage_after={"next": 1})
    send(NUMBER, text="Secret words")
    post(sandbox, "/version1/messaging", username="acme")

    log = get(sandbox, "/log").text

    assert "1 of 1 accepted, then garbage" in log
    assert "missing required form field" in log
    assert "Secret words" not in log
