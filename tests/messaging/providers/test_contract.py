"""What every provider adapter promises to the sending loop, whatever its vendor."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.providers.base import (
    Adapter,
    Callback,
    Credentials,
    HttpRequest,
    HttpResponse,
    UnreadableCallback,
    UnusableCredentials,
)
from messaging.providers.failures import FAILURES, failure_of
from messaging.providers.registry import all_adapters, get_adapter
from tests.messaging.providers.cases import ANSWERS, CALLBACKS, CREDENTIALS, FORM, batch

each_adapter = pytest.mark.parametrize("adapter", all_adapters(), ids=lambda adapter: adapter.name)
each_answer = pytest.mark.parametrize("case", ANSWERS, ids=str)


def full_batch(adapter: Adapter, size: int):
    numbers = [f"+2547{n:08}" for n in range(size)]
    return batch(*numbers)


@each_answer
def test_an_answer_is_read_as_its_vendor_means_it(case):
    outcomes = get_adapter(case.adapter).outcomes_of(batch(), case.response())

    assert [(outcome.kind, outcome.error_code) for outcome in outcomes] == list(case.expected)
    assert [outcome.message_id for outcome in outcomes] == [message.id for message in batch()]


@each_answer
def test_only_what_was_accepted_surely_has_an_id_and_only_failures_have_a_code(case):
    for outcome in get_adapter(case.adapter).outcomes_of(batch(), case.response()):
        if outcome.kind == "accepted":
            assert outcome.provider_message_id
            assert not outcome.error_code
        else:
            assert outcome.error_code in FAILURES
        if outcome.kind in ("rejected", "retry"):
            assert not outcome.provider_message_id


@pytest.mark.parametrize("kind", ["accepted", "rejected", "retry", "ambiguous"])
@each_adapter
def test_the_cases_of_an_adapter_reach_every_kind_of_outcome(adapter, kind):
    cases = [case for case in ANSWERS if case.adapter == adapter.name]

    assert kind in {found for case in cases for found, _ in case.expected}


@each_answer
def test_a_cut_answer_never_counts_as_unsent(case):
    """However short the body was cut, an accepted message is never said to be rejected or free to send again."""
    adapter, whole = get_adapter(case.adapter), case.response()
    taken = [kind == "accepted" for kind, _ in case.expected]
    for length in range(len(whole.body)):
        outcomes = adapter.outcomes_of(batch(), replace(whole, body=whole.body[:length]))
        assert all(o.kind in ("accepted", "ambiguous") for o, was in zip(outcomes, taken, strict=True) if was)


@each_adapter
@given(body=st.one_of(st.binary(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_no_body_makes_an_adapter_raise(adapter, body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    for status in (200, 201):
        outcomes = adapter.outcomes_of(batch(), HttpResponse(status, (), raw))
        assert {outcome.kind for outcome in outcomes} == {"ambiguous"}


@each_adapter
def test_a_server_error_is_ambiguous_and_a_throttle_may_go_again(adapter):
    def kinds(status):
        return {outcome.kind for outcome in adapter.outcomes_of(batch(), HttpResponse(status, (), b""))}

    assert [kinds(status) for status in (500, 502, 503, 504)] == [{"ambiguous"}] * 4
    assert kinds(429) == {"retry"}


@each_adapter
def test_a_request_goes_to_the_base_url_and_shows_no_secret_when_printed(adapter):
    credentials = CREDENTIALS[adapter.name]

    request = adapter.request_for(full_batch(adapter, adapter.can.batch_size), credentials, "http://127.0.0.1:8001/")

    assert request.url.startswith("http://127.0.0.1:8001/")
    assert "//" not in request.url.removeprefix("http://")
    for secret in (credentials[f.name] for f in adapter.credential_fields if f.secret):
        assert secret not in repr(request) + repr(credentials) + str(credentials) + request.url


@each_adapter
def test_a_batch_outside_the_capabilities_is_the_callers_fault(adapter):
    for wrong in ([], full_batch(adapter, adapter.can.batch_size + 1)):
        with pytest.raises(ValueError):
            adapter.request_for(wrong, CREDENTIALS[adapter.name], adapter.default_base_url)
    if adapter.can.one_text_many:
        first, second = batch()
        mixed = [first, replace(second, text="another")]
        with pytest.raises(ValueError):
            adapter.request_for(mixed, CREDENTIALS[adapter.name], adapter.default_base_url)


@each_adapter
def test_an_account_without_a_required_value_sends_nothing(adapter):
    for missing in (f.name for f in adapter.credential_fields if f.required):
        values = dict(CREDENTIALS[adapter.name]) | {missing: " "}
        with pytest.raises(UnusableCredentials, match=missing):
            adapter.request_for(batch(), Credentials(values), adapter.default_base_url)


@pytest.mark.parametrize("case", [case for case in CALLBACKS if case.expected], ids=str)
def test_a_callback_is_read_as_its_vendor_means_it(case):
    callback = case.callback()

    (said,) = get_adapter(case.adapter).parse_callback(callback)

    assert {name: getattr(said, name) for name in case.expected} == case.expected
    assert said.raw == callback.body.decode()


@pytest.mark.parametrize("case", [case for case in CALLBACKS if not case.expected], ids=str)
def test_an_undocumented_callback_is_unreadable(case):
    with pytest.raises(UnreadableCallback):
        get_adapter(case.adapter).parse_callback(case.callback())


@each_adapter
def test_a_callback_of_an_unknown_kind_is_unreadable(adapter):
    with pytest.raises(UnreadableCallback):
        adapter.parse_callback(Callback("astrology", FORM, "", b"id=1&status=Success", {}))


@each_adapter
@given(body=st.binary(), content_type=st.sampled_from([FORM, "application/json", "text/plain", ""]))
def test_no_callback_makes_an_adapter_raise_anything_else(adapter, body, content_type):
    for kind in adapter.callback_kinds:
        try:
            said = adapter.parse_callback(Callback(kind, content_type, "", body, {}))
        except UnreadableCallback:
            continue
        assert said
        assert all("\x00" not in value for one in said for value in map(str, (one.raw, one.recipient)))


def test_every_adapter_is_found_by_its_name_and_no_other():
    assert all(get_adapter(adapter.name) is adapter for adapter in all_adapters())
    with pytest.raises(LookupError):
        get_adapter("pigeon")


def test_header_values_cannot_add_a_header():
    with pytest.raises(UnusableCredentials):
        HttpRequest("POST", "http://127.0.0.1/", (("apiKey", "x\r\nHost: elsewhere"),), b"")


def test_credentials_are_read_only_and_print_names_alone():
    credentials = Credentials({"api_key": "atsk_canary", "username": "acme"})

    assert repr(credentials) == "Credentials(api_key, username)"
    with pytest.raises(AttributeError):
        credentials.api_key = "other"


def test_every_failure_has_words_and_an_unknown_code_reads_as_a_refusal():
    assert all(str(failure.words) and str(failure.advice) for failure in FAILURES.values())
    assert failure_of("of_an_older_release").code == "provider_refused"
