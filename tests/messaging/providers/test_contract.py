"""What every provider adapter promises to the sending loop, whatever its vendor."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.providers.base import (
    Adapter,
    Balance,
    Callback,
    Credentials,
    HttpRequest,
    HttpResponse,
    SentMessage,
    UnreadableCallback,
    UnusableCredentials,
)
from messaging.providers.failures import FAILURES, failure_of
from messaging.providers.registry import all_adapters, get_adapter
from tests.messaging.providers.cases import ANSWERS, BALANCES, CALLBACKS, CREDENTIALS, FORM, LOOKUPS, PAYLOADS, batch

# Those that are no HTTP keep the same promises over real sockets: test_smpp.py, test_smtp.py.
HTTP = [adapter.for_account(CREDENTIALS[adapter.name]) for adapter in all_adapters() if isinstance(adapter, Adapter)]
BY_NAME = {adapter.name: adapter for adapter in HTTP}
each_adapter = pytest.mark.parametrize("adapter", HTTP, ids=lambda adapter: adapter.name)
each_answer = pytest.mark.parametrize("case", ANSWERS, ids=str)


def full_batch(adapter: Adapter, size: int):
    numbers = [f"+2547{n:08}" for n in range(size)]
    return batch(*numbers)


def few(adapter: Adapter):
    return batch()[: adapter.can.batch_size]


@each_answer
def test_an_answer_is_read_as_its_vendor_means_it(case):
    messages = batch()[: len(case.expected)]

    outcomes = BY_NAME[case.adapter].outcomes_of(messages, case.response())

    assert [(outcome.kind, outcome.error_code) for outcome in outcomes] == list(case.expected)
    assert [outcome.message_id for outcome in outcomes] == [message.id for message in messages]


@each_answer
def test_only_what_was_accepted_surely_has_an_id_and_only_failures_have_a_code(case):
    for outcome in BY_NAME[case.adapter].outcomes_of(batch()[: len(case.expected)], case.response()):
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
    adapter, whole = BY_NAME[case.adapter], case.response()
    messages = batch()[: len(case.expected)]
    taken = [kind == "accepted" for kind, _ in case.expected]
    for length in range(len(whole.body)):
        outcomes = adapter.outcomes_of(messages, replace(whole, body=whole.body[:length]))
        assert all(o.kind in ("accepted", "ambiguous") for o, was in zip(outcomes, taken, strict=True) if was)


@each_adapter
@given(body=st.one_of(st.binary(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_no_body_makes_an_adapter_raise(adapter, body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    for status in (200, 201):
        outcomes = adapter.outcomes_of(few(adapter), HttpResponse(status, (), raw))
        assert {outcome.kind for outcome in outcomes} == {"ambiguous"}


@each_adapter
def test_a_server_error_is_ambiguous_and_a_throttle_may_go_again(adapter):
    def kinds(status):
        return {outcome.kind for outcome in adapter.outcomes_of(few(adapter), HttpResponse(status, (), b""))}

    assert [kinds(status) for status in (500, 502, 503, 504)] == [{"ambiguous"}] * 4
    assert kinds(429) == {"retry"}


@each_adapter
def test_a_request_goes_to_the_base_url_and_shows_no_secret_when_printed(adapter):
    credentials = CREDENTIALS[adapter.name]

    request = adapter.request_for(full_batch(adapter, adapter.can.batch_size), credentials, "http://127.0.0.1:8001/")

    assert request.url.startswith("http://127.0.0.1:8001/")
    assert "//" not in request.url.removeprefix("http://")
    canaries = [value for value in credentials.values() if "canary" in value]
    assert canaries
    for secret in canaries:
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
            adapter.request_for(few(adapter), Credentials(values), adapter.default_base_url)


@pytest.mark.parametrize("case", [case for case in CALLBACKS if case.expected], ids=str)
def test_a_callback_is_read_as_its_vendor_means_it(case):
    callback = case.callback()

    (said,) = BY_NAME[case.adapter].parse_callback(callback)

    assert {name: getattr(said, name) for name in case.expected} == case.expected
    assert said.raw == callback.body.decode()


@pytest.mark.parametrize("case", [case for case in CALLBACKS if not case.expected], ids=str)
def test_an_undocumented_callback_is_unreadable(case):
    with pytest.raises(UnreadableCallback):
        BY_NAME[case.adapter].parse_callback(case.callback())


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
        assert all("\x00" not in str(getattr(one, name)) for one in said for name in one.__slots__)


def test_every_adapter_is_found_by_its_name_and_no_other():
    assert all(get_adapter(adapter.name) is adapter for adapter in all_adapters())
    assert {adapter.name for adapter in HTTP} == CREDENTIALS.keys()
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


@pytest.mark.parametrize("case", LOOKUPS, ids=str)
def test_what_is_told_of_a_message_is_read_as_its_vendor_means_it(case):
    (report,) = BY_NAME[case.adapter].reports_of([case.message()], case.response())

    assert (report is None) == (case.expected is None)
    if case.expected:
        assert {name: getattr(report, name) for name in case.expected} == case.expected


@pytest.mark.parametrize("case", LOOKUPS, ids=str)
def test_an_answer_that_is_broken_or_an_error_tells_nothing_of_a_message(case):
    adapter, whole = BY_NAME[case.adapter], case.response()

    assert [adapter.reports_of([case.message()], case.response(status)) for status in (404, 429, 500)] == [[None]] * 3
    assert all(
        adapter.reports_of([case.message()], replace(whole, body=whole.body[:length])) == [None]
        for length in range(len(whole.body))
    )


@each_adapter
def test_who_can_be_asked_about_a_message_says_how(adapter):
    message = SentMessage(42, "+254711000001", "ACME", "MSG-000042", "35918915-254711000001")
    credentials = CREDENTIALS[adapter.name]
    if not adapter.can.lookup:
        with pytest.raises(NotImplementedError):
            adapter.lookup_request([message], credentials, "http://127.0.0.1:8001/")
        return

    request = adapter.lookup_request([message], credentials, "http://127.0.0.1:8001/")

    assert request.url.startswith("http://127.0.0.1:8001/")
    assert adapter.name in {case.adapter for case in LOOKUPS}
    if adapter.can.lookup_by_reference:
        lost = adapter.lookup_request([replace(message, provider_message_id="")], credentials, "http://127.0.0.1:8001")
        assert "MSG-000042" in lost.url


@pytest.mark.parametrize(("name", "payload", "amount", "currency"), BALANCES)
def test_a_balance_is_read_with_its_currency(name, payload, amount, currency):
    body = (PAYLOADS / name / payload).read_bytes()

    assert BY_NAME[name].balance_of(HttpResponse(200, (), body)) == Balance(Decimal(amount), currency)
    assert BY_NAME[name].balance_of(HttpResponse(200, (), b"<html>")) is None


@each_adapter
def test_who_tells_a_balance_says_how(adapter):
    if not adapter.can.balance:
        with pytest.raises(NotImplementedError):
            adapter.balance_request(CREDENTIALS[adapter.name], "http://127.0.0.1:8001")
        return

    request = adapter.balance_request(CREDENTIALS[adapter.name], "http://127.0.0.1:8001")

    assert request.method == "GET"
    assert "canary" not in repr(request)
    assert adapter.name in {name for name, *_ in BALANCES}


@each_adapter
def test_an_account_as_the_documentation_has_it_has_no_problems_and_an_empty_one_has(adapter):
    assert adapter.problems_with(CREDENTIALS[adapter.name]) == {}
    required = {field.name for field in adapter.credential_fields if field.required}
    assert required <= adapter.problems_with({}).keys()


@each_adapter
def test_what_was_described_for_an_operator_is_a_sentence(adapter):
    for field in adapter.credential_fields:
        assert field.label
        assert not field.help or field.help.rstrip().endswith((".", "}"))
