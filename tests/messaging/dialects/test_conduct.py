"""What the contracts promise beyond shapes: one account behind five doors, batches, all or nothing, clocks, limits."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from accounts.models import Client
from accounts.services.rates import limit_for
from contacts.services import record_opt_out
from crm.common.crypto import digest
from messaging import batches, queries
from messaging.dialects import ground
from messaging.dialects.texin.wire import show_price
from messaging.models import Campaign, CampaignState, Message, MessageStatus
from messaging.services.announcing import describe
from messaging.services.senders import approve_sender_id
from messaging.services.templates import delete_template, save_template
from tests.api.caller import Caller
from tests.clock import wait_for_room_in_the_minute
from tests.messaging.dialects.cast import Program
from wallet.models import LedgerEntry, TopUp

pytestmark = pytest.mark.django_db

HELLO = {"message": "Habari", "recipients": ["+254712345678", "+254722345678"]}


def messages(program: Program) -> list[Message]:
    return list(Message.objects.for_client(program.client).order_by("pk"))


def set_status(program: Program, *statuses: str) -> None:
    """Of the oldest messages, in their order."""
    for message, status in zip(messages(program), statuses, strict=False):
        stamps = {"delivered_at": timezone.now()} if status == "delivered" else {}
        Message.objects.for_client(program.client).filter(pk=message.pk).update(
            status=status, sent_at=None if status in ("queued", "scheduled") else timezone.now(), **stamps
        )


def send_mifumo(program: Program, **changed) -> dict:
    return program.mifumo("POST", "sms/send/", HELLO | changed).json()


# --- one account ---


def test_a_message_of_any_dialect_is_read_in_every_other(acme):
    native = Caller.__new__(Caller)
    native.client, native.key, native.browser = acme.client, acme.key, acme.browser
    sent = {
        "mifumo": send_mifumo(acme, recipients=["+254712345678"])["data"]["message_id"],
        "texin": acme.texin("send_sms", recipient="0712345678", message="Pili").json()["message_id"],
        "paydunya": acme.paydunya(
            "sms/send", acme.send_node({"from": "", "to": "+254712345678", "text": "Tatu"})
        ).json()["data"]["sms"][0]["code"],
        "native": native.send().json()["message_id"],
    }
    acme.presto("sendsms", **{"from": "HOSPITAL", "to": "254712345678", "message": "Tano"})
    sent["smspresto"] = acme.presto("list-archive").json()[-1]["IDSMSFILATTENTE"]
    for identifier in sent.values():
        assert acme.mifumo("GET", f"sms/status/{identifier}/").json()["data"]["recipient_count"] == 1
        assert acme.texin("check_status", message_id=identifier).json()["recipient"] == "254712345678"
        assert native.get(f"sms/status/{identifier}").json()["recipient"] == "254712345678"
    assert native.get("sms/history").json()["meta"]["total"] == 5
    assert len(acme.presto("list-archive").json()) == 5
    assert acme.mifumo("GET", "sms/delivery-reports/").json()["data"]["pagination"]["total"] == 5
    (row,) = acme.paydunya("sms/stats", acme.stats_node()).json()["data"]["valid_number"]
    assert [message["content"] for message in row["254712345678"]] == ["Tano", "Karibu", "Tatu", "Pili", "Habari"]
    assert acme.units() == 995


def test_T1_a_stranger_finds_and_spends_nothing(acme, stranger):
    identifier = send_mifumo(acme)["data"]["message_id"]
    number = messages(acme)[0].pk
    assert stranger.mifumo("GET", f"sms/status/{identifier}/").json()["error_code"] == "MESSAGE_NOT_FOUND"
    assert stranger.mifumo("GET", "sms/delivery-reports/").json()["data"]["reports"] == []
    assert stranger.texin("check_status", message_id=f"API-{number:010d}").status_code == 404
    asked = stranger.stats_node({"receiver_address": [{"value": "+254712345678"}]})
    assert stranger.paydunya("sms/stats", asked).json()["data"]["valid_number"] == [{"254712345678": []}]
    assert stranger.presto("list-archive").json() == []
    assert stranger.units() == 1000


def test_the_three_values_of_two_credentials_cannot_be_mixed(acme, stranger):
    acme.secret, secret = stranger.secret, acme.secret
    assert acme.presto("get-stock").json()["status"] == 11
    acme.secret = secret
    acme.app_key = stranger.app_key
    node = acme.send_node({"from": "", "to": "+254712345678", "text": "x"})
    assert acme.paydunya("sms/send", node).json()["code"] == "ERROR_107"
    assert messages(acme) == []


@pytest.mark.parametrize("path", ["sms/send", "sms/send/"])
def test_a_path_works_with_and_without_its_slash_and_never_redirects(acme, path):
    assert acme.mifumo("POST", path, HELLO).status_code == 200
    assert acme.call("GET", "/api/").content == acme.call("GET", "/api").content
    assert acme.call("GET", "/api/test_connection/").status_code == 200
    assert acme.call("POST", "/api/v1/auth/login/", {}).json()["code"] == "ERROR_118"
    assert acme.call("GET", "/console/api").json()["status"] == 1


@pytest.mark.parametrize("path", ["/api/nothing", "/api/nothing/", "/api/1", "/api/send_smss"])
def test_an_unknown_path_under_api_speaks_to_both_kinds_of_caller(acme, path):
    body = acme.call("GET", path).json()
    assert body["success"] is False
    assert isinstance(body["error"], str)
    assert (body["status"], body["error_code"], body["errors"]) == ("error", "NOT_FOUND", [])
    assert acme.call("GET", path).status_code == 404


# --- Mifumo: batches, reports, times ---


@pytest.mark.parametrize(
    ("members", "batch"),
    [
        (("queued", "queued"), "queued"),
        (("queued", "sent"), "sent"),
        (("queued", "failed"), "sent"),
        (("sent", "delivered"), "sent"),
        (("delivered", "failed"), "delivered"),
        (("read", "cancelled"), "delivered"),
        (("failed", "failed"), "failed"),
        (("failed", "cancelled"), "failed"),
        (("cancelled", "cancelled"), "cancelled"),
        (("scheduled", "scheduled"), "scheduled"),
    ],
)
def test_a_batch_has_the_state_of_its_members(acme, members, batch):
    identifier = send_mifumo(acme)["data"]["message_id"]
    acme.texin("send_sms", recipient="0712345678", message="alone")
    set_status(acme, *members, "failed")
    assert acme.mifumo("GET", f"sms/status/{identifier}/").json()["data"]["status"] == batch
    found = {
        status: [head.pk for head in batches.heads_for(acme.client, status=status)]
        for status in ("sent", "delivered", "failed")
    }
    head, alone = messages(acme)[0].pk, messages(acme)[2].pk
    assert alone in found["failed"]
    assert [status for status, pks in found.items() if head in pks] == [batch] * (batch in found)


def test_reports_are_paged_and_a_batch_is_one_row(acme):
    for number in range(3):
        send_mifumo(acme, message=f"Na {number}")
    page = acme.mifumo("GET", "sms/delivery-reports/?per_page=2&page=2").json()["data"]
    assert [report["content_preview"] for report in page["reports"]] == ["Na 0"]
    assert page["pagination"] == {"page": 2, "per_page": 2, "total": 3, "pages": 2}
    assert acme.mifumo("GET", "sms/delivery-reports/?per_page=5000").json()["data"]["pagination"]["per_page"] == 100
    later = (timezone.now() + timedelta(days=2)).date().isoformat()
    assert acme.mifumo("GET", f"sms/delivery-reports/?start_date={later}").json()["data"]["reports"] == []


def test_reports_take_the_same_queries_however_many_rows(acme, django_assert_num_queries):
    for number in range(6):
        send_mifumo(acme, message=f"Na {number}")
    heads = list(batches.heads_for(acme.client)[:50])
    with django_assert_num_queries(1):
        assert all(tally.total() == 2 for tally in batches.tallies_of(acme.client, heads).values())


def test_who_opted_out_is_named_and_not_charged(acme):
    record_opt_out(client_id=acme.client.pk, channel="sms", address="+254722345678", source="staff")
    body = send_mifumo(acme)
    assert body["data"]["recipients"] == ["+254712345678"]
    assert body["data"]["cost"] == 1.0
    assert body["details"] == [{"recipient": "+254722345678", "reason": "This person opted out of your messages."}]


def test_a_time_without_an_offset_is_the_clients(acme):
    local = datetime.now(UTC).replace(microsecond=0, tzinfo=None) + timedelta(days=2)
    assert send_mifumo(acme, schedule_time=local.isoformat())["data"]["status"] == "scheduled"
    assert messages(acme)[0].schedule_at == local.replace(tzinfo=UTC) - timedelta(hours=3)


def test_the_contracts_own_numbers_are_taken_though_nobody_has_them(acme):
    assert send_mifumo(acme, recipients=["+255123456789", "+255987654321"])["success"]


def test_a_batch_costs_the_same_statements_as_plain_messages(acme, django_assert_max_num_queries):
    send_mifumo(acme)
    numbers = [f"+2547{10_000_000 + number}" for number in range(200)]
    with django_assert_max_num_queries(40):
        assert len(send_mifumo(acme, recipients=numbers, message="Nyingi")["data"]["recipients"]) == 200
    assert set(Message.objects.for_client(acme.client).filter(text="Nyingi").values_list("batch_id", flat=True)) == {
        messages(acme)[2].pk
    }


# --- Texin: units, simulation ---


@pytest.mark.parametrize(
    ("text", "units"), [("x" * 160, 1), ("x" * 161, 2), ("x" * 306, 2), ("x" * 307, 3), ("ш" * 70, 1), ("ш" * 71, 2)]
)
def test_texin_counts_segments_whatever_the_plan_counts(acme, text, units):
    body = acme.texin("send_sms", recipient="0712345678", message=text).json()
    assert (body["units_used"], body["cost"], body["new_balance"]) == (units, units, 1000 - units)
    native = acme.call("POST", f"/api/{acme.client.pk}/sms/send",
                       {"recipient": "0712345679", "message": "x" * 310}, **{"X-API-KEY": acme.key})  # fmt: skip
    assert native.json()["total_cost"] == 2


def test_simulation_holds_for_every_dialect(acme):
    Client.objects.filter(pk=acme.client.pk).update(simulation=True)
    sent = acme.texin("send_sms", recipient="0712345678", message="x").json()
    assert (sent["simulation_mode"], sent["cost"], sent["new_balance"]) == (True, 0, 1000)
    assert send_mifumo(acme)["data"]["provider"] == "simulation"
    acme.presto("sendsms", **{"from": "HOSPITAL", "to": "254712345678", "message": "x"})
    acme.paydunya("sms/send", acme.send_node({"from": "", "to": "+254712345678", "text": "y"}))
    assert [message.simulated for message in messages(acme)] == [True] * 5
    assert LedgerEntry.objects.for_client(acme.client).filter(kind="debit").count() == 0


def test_texin_times_are_the_clients_and_a_failure_has_its_reason(acme):
    identifier = acme.texin("send_sms", recipient="0712345678", message="x").json()["message_id"]
    at = datetime(2026, 1, 12, 8, 21, 56, tzinfo=UTC)
    Message.objects.for_client(acme.client).update(
        status=MessageStatus.FAILED, created_at=at, failed_at=at, error_message="Number does not exist"
    )
    body = acme.texin("check_status", message_id=identifier).json()
    assert (body["status"], body["created_at"], body["sent_at"]) == ("failed", "2026-01-12 11:21:56", None)
    assert body["gateway_response"]["reason"] == body["error_message"] == "Number does not exist"
    assert body["gateway_response"]["invalidMobile"] == "254712345678"


def test_a_number_given_twice_is_sent_once_and_is_no_failure(acme):
    body = acme.texin("send_bulk_sms", recipients=["0712345678", "+254712345678"], message="x").json()
    assert body["statistics"] == {"total_attempted": 1, "successful": 1, "failed": 0, "invalid_numbers": 0}
    assert body["failed_recipients"] == {}


# --- PayDunya: all or nothing, senders, times ---


def sms(number: str, text: str = "Salut", sender: str = "HOSPITAL") -> dict[str, str]:
    return {"from": sender, "to": number, "text": text}


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (sms("+2217"), "ERROR_110"),
        (sms("+254712345679", ""), "ERROR_112"),
        (sms("+254712345679", "x" * 481), "ERROR_113"),
        (sms("+254712345679", "x", "!"), "ERROR_108"),
    ],
)
def test_paydunya_takes_all_or_nothing_and_names_the_first(acme, bad, code):
    good = [sms(f"+25471234{number:04d}") for number in range(20)]
    worse = sms("x", "x" * 999, "?")
    body = acme.paydunya("sms/send", acme.send_node(*good, bad, worse)).json()
    assert body["code"] == code
    assert messages(acme) == []
    assert acme.units() == 1000


def test_paydunya_charges_for_all_or_none(acme):
    acme.client.wallet.price_plan.rates.update(unit_price_micros=30 * 10**6)
    sending = [sms(f"+25471234{number:04d}") for number in range(34)]
    assert acme.paydunya("sms/send", acme.send_node(*sending)).json()["code"] == "ERROR_102"
    assert messages(acme) == []
    assert acme.paydunya("sms/send", acme.send_node(*sending[:33])).json()["code"] == "00"
    assert len(messages(acme)) == 33


def test_each_object_has_its_sender_and_an_unknown_one_falls_back(acme):
    approve_sender_id(client=acme.client, name="ECOLE")
    rows = acme.paydunya(
        "sms/send",
        acme.send_node(
            sms("+254712345671", sender="ecole"), sms("+254712345672", sender="SENDER-ID"),
            sms("+254712345673", sender=""), {"to": "+254712345674", "text": "x"},
        ),
    ).json()["data"]["sms"]  # fmt: skip
    assert [row["sender_addresss"] for row in rows] == ["ECOLE", "Taarifa-SMS", "Taarifa-SMS", "Taarifa-SMS"]
    assert [message.sender for message in messages(acme)] == [row["sender_addresss"] for row in rows]
    assert [row["code"] for row in rows] == [message.message_id for message in messages(acme)]


def test_fifty_objects_are_taken(acme):
    body = acme.paydunya("sms/send", acme.send_node(*[sms(f"+25471234{number:04d}") for number in range(50)])).json()
    assert len(body["data"]["sms"]) == len(messages(acme)) == 50


def test_stats_dates_are_of_the_clients_clock_and_include_their_second(acme):
    acme.paydunya("sms/send", acme.send_node(sms("+254712345678")))
    at = datetime(2026, 1, 12, 8, 21, 56, 500_000, tzinfo=UTC)
    Message.objects.for_client(acme.client).update(created_at=at)

    def found(**dates):
        return acme.paydunya("sms/stats", acme.stats_node(dates)).json()["data"]["valid_number"]

    assert found(start_date="2026-01-12 11:21:56", end_date="2026-01-12 11:21:56")
    assert found(start_date="2026-01-12 11:21:57", end_date="") == []
    assert found(end_date="2026-01-12 11:21:55") == []
    assert found(end_date="9999-12-31 23:59:59", start_date="0001-01-02 00:00:00")


# --- SMSPresto: one text each, ways to write a call, old numbers ---


def test_presto_sends_a_text_each_and_the_inner_one_wins(acme):
    to = [{"recipient": "+22508081488", "message": "Bonjour Rémi"}, {"recipient": "2250708081489"}]
    body = {"action": "sendsms", "from": "HOSPITAL", "message": "Bonjour", "to": to}
    assert acme.presto_post(body).json()["message-count"] == 2
    assert [(message.recipient, message.text) for message in messages(acme)] == [
        ("+2250708081488", "Bonjour Rémi"),
        ("+2250708081489", "Bonjour"),
    ]


def test_presto_takes_two_texts_for_one_number_and_one_text_once(acme):
    to = [{"recipient": "254712345678", "message": text} for text in ("Moja", "Mbili", "Moja")]
    body = {"action": "sendsms", "from": "HOSPITAL", "to": to}
    assert acme.presto_post(body).json()["message-count"] == 2


def test_presto_reads_every_documented_way_of_writing_a_call(acme):
    call = {"user": acme.key, "pass": acme.secret, "action": "get-stock"}
    text = json.dumps(call)
    form = "application/x-www-form-urlencoded"
    multipart = f'--x\r\nContent-Disposition: form-data; name="data"\r\n\r\n{text}\r\n--x--\r\n'
    for body, kind in (
        (text, "application/json"),
        (text, form),
        (f"data={text}", form),
        (f"data={text}", "text/plain"),
        (urlencode({"data": text}), form),
        (urlencode(call), form),
        (multipart, "multipart/form-data; boundary=x"),
    ):
        assert acme.call("POST", "/console/api/", body, kind).json() == 1000, (body, kind)
    assert acme.call("GET", "/console/api/?" + urlencode({"data": text})).json() == 1000
    split = urlencode({"action": "get-stock"})
    assert (
        acme.call("POST", f"/console/api/?{split}", json.dumps({"user": acme.key, "pass": acme.secret})).json() == 1000
    )


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("22508081488", "+2250708081488"), ("+22508081488", "+2250708081488"), ("22544081488", "+2250544081488"),
        ("2250102030405", "+2250102030405"), ("254712345678", "+254712345678"), ("0712345678", "+254712345678"),
    ],
)  # fmt: skip
def test_presto_numbers_are_international_and_old_ivorian_ones_are_brought_up_to_date(acme, given, stored):
    assert acme.presto("sendsms", **{"from": "HOSPITAL", "to": given, "message": "x"}).json()["status"] == 0
    assert messages(acme)[0].recipient == stored


def test_presto_counts_scheduled_messages_and_scheduled_campaigns(acme, stranger):
    def total():
        return acme.presto("get-scheduled-total").json()

    def campaign(program, state):
        return Campaign.objects.create(client=program.client, name=f"A {state} one", state=state)

    send_mifumo(acme)
    for state in CampaignState:
        if state != CampaignState.SCHEDULED:
            campaign(acme, state)
    campaign(stranger, CampaignState.SCHEDULED)
    assert total() == {"TOTAL": "0"}
    send_mifumo(acme, schedule_time=(timezone.now() + timedelta(days=2)).isoformat())
    assert total() == {"TOTAL": "2"}
    planned = campaign(acme, CampaignState.SCHEDULED)
    assert total() == {"TOTAL": "3"}
    Campaign.objects.for_client(acme.client).filter(pk=planned.pk).update(state=CampaignState.SENDING)
    assert total() == {"TOTAL": "2"}


def test_presto_counts_templates_as_predefined_messages(acme, stranger):
    save_template(client=stranger.client, by=None, name="Karibu", texts={"sw": "Karibu"})
    assert acme.presto("get-predefined-total").json() == {"TOTAL": "0"}
    kept = save_template(client=acme.client, by=None, name="Reminder", texts={"en": "Tomorrow", "sw": "Kesho"})
    save_template(client=acme.client, by=None, name="Thanks", texts={"en": "Thank you"})
    assert acme.presto("get-predefined-total").json() == {"TOTAL": "2"}
    delete_template(client=acme.client, template_id=kept.pk)
    assert acme.presto("get-predefined-total").json() == {"TOTAL": "1"}


def test_the_archive_is_a_range_oldest_first_with_utf8_as_it_is(acme):
    for text in ("un", "deux", "trois é"):
        acme.presto("sendsms", **{"from": "HOSPITAL", "to": "254712345678", "message": text})

    def texts(**params):
        return [row["HIS_MESSAGE"] for row in acme.presto("list-archive", **params).json()]

    assert texts() == ["un", "deux", "trois é"]
    assert texts(**{"from": "1", "to": "2"}) == ["deux"]
    assert texts(**{"from": "5"}) == []
    assert texts(**{"from": "2", "to": "1"}) == []
    assert texts(dateTo="2017-01-01") == []
    assert "trois é".encode() in acme.presto("list-archive").content
    assert all(isinstance(value, str) for row in acme.presto("list-archive").json() for value in row.values())


def test_orders_are_top_ups_and_bills_those_that_were_paid(acme):
    for number, state in enumerate(["pending", "failed", "completed"]):
        receipt = "PGH7X8Y9Z0" if state == "completed" else None
        TopUp.objects.create(
            client=acme.client,
            transaction_id=f"TXN-20260101-00{number}",
            day="2026-01-01",
            number=number,
            amount=100,
            state=state,
            currency="KES",
            receipt=receipt,
            completed_at=timezone.now(),
        )
    assert acme.presto("get-order-total").json() == {"TOTAL": "3"}
    assert acme.presto("get-bill-total").json() == {"TOTAL": "1"}


def test_webhooks_name_the_batch_that_the_send_returned(acme):
    identifier = send_mifumo(acme)["data"]["message_id"]
    assert [describe(message)["batch_id"] for message in messages(acme)] == [identifier, identifier]


# --- limits ---

KINDS = [
    ("mifumo-send", 100, lambda program: program.mifumo("POST", "sms/send/", {})),
    ("mifumo-status", 200, lambda program: program.mifumo("GET", "sms/status/msg_1/")),
    ("mifumo-reports", 50, lambda program: program.mifumo("GET", "sms/delivery-reports/")),
    ("mifumo-balance", 20, lambda program: program.mifumo("GET", "sms/balance/")),
    ("texin", 100, lambda program: program.texin("get_balance")),
]


@pytest.mark.parametrize(("kind", "documented", "call"), KINDS, ids=[kind[0] for kind in KINDS])
def test_L1_each_documented_limit_holds_and_is_counted_by_itself(acme, kind, documented, call, monkeypatch):
    wait_for_room_in_the_minute(20)
    asked = []
    real = ground.count_call

    def count(*, name, limit):
        asked.append((name, limit))
        return real(name=name, limit=3)

    monkeypatch.setattr(ground, "count_call", count)
    answers = [call(acme).status_code for _ in range(4)]
    assert answers[3] == 429
    assert 429 not in answers[:3]
    assert set(asked) == {(f"{kind}:{acme.issued.pk}", documented)}
    other = next(entry[2] for entry in KINDS if entry[0] != kind)
    assert other(acme).status_code != 429


def test_a_clients_own_limit_goes_before_the_contracts(acme, settings):
    assert limit_for(acme.client, 20) == 20
    assert limit_for(acme.client) == settings.API_RATE_PER_MINUTE
    acme.client.rate_limit = 5000
    assert limit_for(acme.client, 20) == limit_for(acme.client) == 5000


def test_the_secret_is_compared_by_its_digest(acme):
    assert acme.issued.secret_hash == digest(acme.secret)
    assert acme.presto("get-stock", **{"pass": acme.issued.secret_hash}).json()["status"] == 11


def test_a_prices_fraction_is_shown_whole(acme):
    shown = [show_price(Decimal(text)) for text in ("0.3", "0.305", "1", "12.5", "0")]
    assert shown == ["0.30", "0.305", "1.00", "12.50", "0.00"]
    assert queries.find_message(acme.client, "API-") is None
