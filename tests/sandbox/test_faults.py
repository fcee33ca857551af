"""Faults dialled in: what the client sees, and whether the message was accepted all the same."""

import pytest
import requests

from crm.sandbox.faults import DIALS, Faults, WrongDial

NUMBER = "+254711000001"


def post(sandbox, username="acme", timeout=5):
    form = {"username": username, "to": NUMBER, "message": "Habari", "from": "ACME"}
    return requests.post(
        f"{sandbox.base_url}/version1/messaging", data=form, headers={"apiKey": "any"}, timeout=timeout
    )


@pytest.mark.parametrize(("dial", "status", "kind"), [("throttle", 429, "retry"), ("error_before", 500, "ambiguous")])
def test_faults_before_accepting_accept_nothing(sandbox, send, dial, status, kind):
    sandbox.set_faults(**{dial: 1})

    assert post(sandbox).status_code == status
    assert [outcome.kind for outcome in send(NUMBER)] == [kind]
    assert sandbox.messages() == []


@pytest.mark.parametrize("dial", ["error_after", "garbage_after"])
def test_spoilt_answers_come_after_accepting_and_are_ambiguous(sandbox, send, dial):
    sandbox.set_faults(**{dial: 1})

    (outcome,) = send(NUMBER)

    assert outcome.kind == "ambiguous"
    assert len(sandbox.messages()) == 1


@pytest.mark.parametrize("dial", ["reset_after", "truncate_after", "hang_after"])
def test_broken_answers_come_after_accepting(sandbox, dial):
    sandbox.set_faults(**{dial: 1})

    with pytest.raises(
        (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    ) as broken:
        post(sandbox, timeout=0.5)

    expected = {"reset_after": "reset by peer", "truncate_after": "Incomplete", "hang_after": "timed out"}[dial]
    assert expected in str(broken.value)
    assert len(sandbox.messages()) == 1


def test_a_hang_ends_when_it_is_told_to(sandbox):
    sandbox.set_faults(hang_after=1, hang_seconds=0.2)

    with pytest.raises(requests.ConnectionError):
        post(sandbox)


def test_a_counted_fault_runs_down(sandbox):
    sandbox.set_faults(throttle={"next": 2})

    assert [post(sandbox).status_code for _ in range(3)] == [429, 429, 201]
    assert sandbox.call("GET", "faults")["throttle"] == {"share": 0, "next": 0}


def test_latency_delays_the_answer(sandbox):
    sandbox.set_faults(latency=0.3)

    assert post(sandbox).elapsed.total_seconds() >= 0.3


def test_dials_of_one_username_leave_the_others_alone(sandbox):
    sandbox.set_faults(username="unlucky", throttle=1)

    assert post(sandbox, "unlucky").status_code == 429
    assert post(sandbox, "acme").status_code == 201


@pytest.mark.parametrize(
    "dials",
    [
        {"thunder": 1},
        {"throttle": 2},
        {"throttle": -1},
        {"throttle": "often"},
        {"throttle": True},
        {"throttle": {"next": -1}},
        {"throttle": {"nest": 1}},
        {"latency": {"next": 1}},
        {"latency": 1e9},
        {"reasons": ["Failed:Boredom"]},
    ],
)
def test_a_dial_that_cannot_be_is_refused_and_changes_nothing(sandbox, dials):
    before = sandbox.call("GET", "faults")

    answer = requests.put(f"{sandbox.base_url}/sandbox/faults", json=dials, timeout=5)

    assert answer.status_code == 400
    assert next(iter(dials)) in answer.text
    assert sandbox.call("GET", "faults") == before


def test_what_is_shown_can_be_put_back():
    shown = Faults({"throttle": 0.25, "hang_after": {"next": 3}, "latency": 2, "reasons": ["Expired"]}).as_json()

    assert Faults(shown).as_json() == shown
    assert {dial.name for dial in Faults(shown).changed()} == {"throttle", "hang_after", "latency"}


def test_a_share_is_about_that_share():
    faults = Faults({"throttle": 0.2})

    assert 300 < sum(faults.happens("throttle") for _ in range(2000)) < 500


def test_not_a_number_is_no_share():
    with pytest.raises(WrongDial):
        Faults({"throttle": float("nan")})


def test_every_share_is_off_by_default():
    assert [dial.name for dial in DIALS if dial.most is None and dial.default] == []
