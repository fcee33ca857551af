"""What reaches top-ups from outside: callbacks, paybill notices, the native API, the pages."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse

from accounts.delivery.letters import send_waiting
from accounts.models import Client, Membership, Role, User
from crm.common.sql import database_now
from tests.api.caller import refusal
from tests.factories import PASSWORD, make_client, make_key
from tests.wallet.topups.test_orders import notice
from tests.wallet.topups.world import PHONE, make_account
from wallet import queries
from wallet.models import EventVerdict, LedgerEntry, MpesaEvent, PaybillPayment, TopUp
from wallet.payments.base import Payment, Prompted, Statement
from wallet.payments.mpesa import Mpesa
from wallet.topups import paybill
from wallet.topups.paybill import credit_payment, settle_payment
from wallet.topups.settling import complete_top_up, fail_top_up
from wallet.topups.starting import record_prompted, start_top_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(account):
    return make_client()


@pytest.fixture
def accepts(monkeypatch):
    """M-Pesa takes every prompt."""
    asked = []

    def ask(_, wanted):
        asked.append(wanted)
        return Prompted("accepted", f"m-{len(asked)}", f"ws_CO_{len(asked)}")

    monkeypatch.setattr(Mpesa, "ask", ask)
    return asked


def started(acme, amount=700, phone=PHONE):
    made = start_top_up(client=acme, amount=amount, phone=phone, sure=True)
    record_prompted(top_up_id=made.top_up.pk, prompted=Prompted("accepted", "m-1", "ws_CO_1"))
    return made


def post(path, body, **extra):
    return Browser(raise_request_exception=False).generic("POST", path, body, content_type="application/json", **extra)


def as_member(client: Client, role: str = "owner") -> Browser:
    user = User.objects.create_user(f"{role}@members.test", PASSWORD)
    Membership.objects.create(user=user, client=client, role=Role(role))
    browser = Browser()
    browser.force_login(user)
    return browser


# --- callbacks --------------------------------------------------------------------------------------------------------


def test_P6_a_valid_callback_is_kept_raw_and_accepted(acme):
    made = started(acme)
    body = notice("m-1", "ws_CO_1", 0)
    answer = post(f"/callbacks/pay/{made.token}", body)
    assert (answer.status_code, answer.json()) == (200, {"ResultCode": 0, "ResultDesc": "Accepted"})
    event = MpesaEvent.objects.get()
    assert (bytes(event.body), event.top_up_id, event.verdict) == (body, made.top_up.pk, EventVerdict.WAITING)
    assert LedgerEntry.objects.for_client(acme).count() == 0  # P2: alone it moves nothing


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"Body": 1}', b'{"Body": {"stkCallback": []}}', b"\xff\xfe",
        b'{"Body": {"stkCallback": {"MerchantRequestID": "m-1", "CheckoutRequestID": "ws_CO_1"}}}',
        b'{"Body": {"stkCallback": {"MerchantRequestID": "m-1", "CheckoutRequestID": "ws_CO_1", "ResultCode": true}}}',
        notice("m-1", "ws_CO_1", 0, receipt="'; DROP"), notice("m-1", "ws_CO_1", 0, amount="NaN"),
        notice("m-1", "ws_CO_1", 0, amount=-5), b"[" * 30_000, b"x=1&y=2",
    ],
)  # fmt: skip
def test_P6_a_malformed_callback_gets_400_and_is_not_kept(acme, body):
    assert post(f"/callbacks/pay/{started(acme).token}", body).status_code == 400
    assert not MpesaEvent.objects.exists()


@pytest.mark.parametrize("token", ["x", "0" * 64, "%00", "a" * 5000])
def test_a_callback_to_an_address_never_given_is_kept_for_review_and_credits_nothing(acme, token):
    started(acme)
    assert post(f"/callbacks/pay/{token}", notice("m-1", "ws_CO_1", 0)).status_code == 404
    event = MpesaEvent.objects.get()
    assert (event.verdict, event.top_up_id) == (EventVerdict.UNKNOWN, None)


def test_unknown_callbacks_do_not_fill_the_disk(acme, monkeypatch):
    monkeypatch.setattr("wallet.topups.arriving.UNKNOWN_KEPT_AN_HOUR", 3)
    for _ in range(5):
        post("/callbacks/pay/nobody", notice("m", "c", 0))
    assert MpesaEvent.objects.count() == 3


def test_other_methods_and_large_bodies(acme):
    path = f"/callbacks/pay/{started(acme).token}"
    assert Browser().get(path).status_code == 405
    assert post(path, b" " * (65 << 10)).status_code == 413


def test_P2_ids_of_another_request_are_refused(acme, monkeypatch):
    from wallet.payments.base import Finding
    from wallet.topups.settling import settle_top_up

    monkeypatch.setattr(Mpesa, "find", lambda *_: Finding("ended", "0"))
    made = started(acme)
    post(f"/callbacks/pay/{made.token}", notice("m-1", "ws_CO_OTHER", 0))
    settle_top_up(top_up_id=made.top_up.pk)
    assert MpesaEvent.objects.get(kind="callback").verdict == EventVerdict.MISMATCH
    assert LedgerEntry.objects.for_client(acme).count() == 0


def test_P2_without_the_query_only_allowed_addresses_are_believed(acme, account):
    from wallet.topups.settling import settle_top_up

    account.confirm_by_query, account.allowed_addresses = False, ["196.201.214.200"]
    account.save()
    made = started(acme)
    post(f"/callbacks/pay/{made.token}", notice("m-1", "ws_CO_1", 0, receipt="FORGED0001"), REMOTE_ADDR="41.90.1.1")
    settle_top_up(top_up_id=made.top_up.pk)
    assert MpesaEvent.objects.get(kind="callback").verdict == EventVerdict.UNTRUSTED
    post(f"/callbacks/pay/{made.token}", notice("m-1", "ws_CO_1", 0), REMOTE_ADDR="196.201.214.200")
    settle_top_up(top_up_id=made.top_up.pk)
    assert queries.balance_of(acme.pk).balance == 700


# --- the paybill ------------------------------------------------------------------------------------------------------


def confirmation(reference, amount="250.00", receipt="UC14ABCDEF", shortcode="174379"):
    return json.dumps(
        {
            "TransactionType": "Pay Bill", "TransID": receipt, "TransTime": "20261120230000", "TransAmount": amount,
            "BusinessShortCode": shortcode, "BillRefNumber": reference, "MSISDN": "2547 ***** 126", "FirstName": "JANE",
        }
    )  # fmt: skip


def listed(monkeypatch, *payments):
    monkeypatch.setattr(Mpesa, "statement", lambda *_: Statement(True, payments))


def tell(account, body, kind="confirmation"):
    return post(f"/callbacks/pay/{account.path_token}/{kind}", body)


@pytest.fixture
def verified(account):
    account.has_statement = True
    account.save()
    return account


def settle_all():
    for payment in PaybillPayment.objects.all():
        settle_payment(payment_id=payment.pk)


def test_a_payment_to_the_paybill_is_verified_and_credited_once(acme, verified, monkeypatch):
    listed(monkeypatch, Payment("UC14ABCDEF", 250_000_000, str(acme.pk)))
    for _ in range(3):
        answer = tell(verified, confirmation(f" {acme.pk} "))
        assert (answer.status_code, answer.json()) == (200, {"ResultCode": 0, "ResultDesc": "Success"})
        settle_all()
    assert queries.balance_of(acme.pk).balance == 250
    top_up = TopUp.objects.for_client(acme).get()
    assert (top_up.state, top_up.receipt, top_up.phone) == ("completed", "UC14ABCDEF", "")


def test_a_payment_the_statement_does_not_list_credits_nothing(acme, verified, monkeypatch):
    listed(monkeypatch)
    tell(verified, confirmation(str(acme.pk)))
    settle_all()
    assert PaybillPayment.objects.get().state == "new"  # M-Pesa's books may lag behind
    PaybillPayment.objects.update(created_at=database_now() - timedelta(hours=25))
    settle_all()
    assert PaybillPayment.objects.get().state == "unmatched"
    assert queries.balance_of(acme.pk).balance == 0


def test_a_payment_of_another_amount_than_listed_credits_nothing(acme, verified, monkeypatch):
    listed(monkeypatch, Payment("UC14ABCDEF", 1_000_000, str(acme.pk)))
    tell(verified, confirmation(str(acme.pk), amount="25000.00"))
    settle_all()
    assert queries.balance_of(acme.pk).balance == 0


@pytest.mark.parametrize("reference", ["", "ACME", "999999", "T999999", "٣", "9" * 60])
def test_an_account_number_of_nobody_waits_for_staff_who_credit_it_once(acme, verified, monkeypatch, reference):
    listed(monkeypatch, Payment("UC14ABCDEF", 250_000_000, reference))
    tell(verified, confirmation(reference))
    settle_all()
    payment = PaybillPayment.objects.get()
    assert (payment.state, queries.balance_of(acme.pk).balance) == ("unmatched", 0)
    staff = User.objects.create_user("staff@tarishi.test", PASSWORD, is_staff=True, is_superuser=True)
    browser = Browser()
    browser.force_login(staff)
    match = reverse("admin:wallet_match", args=[payment.pk])
    assert browser.get(reverse("admin:wallet_paybillpayment_changelist")).status_code == 200
    assert browser.get(match).status_code == 200
    assert browser.post(match, {}).status_code == 422
    assert browser.post(match, {"client": acme.pk}).status_code == 302
    assert browser.post(match, {"client": acme.pk}).status_code == 422
    assert queries.balance_of(acme.pk).balance == 250
    with pytest.raises(paybill.PaymentRefused):
        credit_payment(payment=payment, client=acme)


def test_the_receipt_of_a_prompt_told_as_a_paybill_payment_is_credited_once(acme, verified, monkeypatch):
    listed(monkeypatch, Payment("UC14ABCDEF", 700_000_000, "x"))
    made = started(acme)
    assert tell(verified, confirmation("x", amount="700.00")).status_code == 200  # an odd account number
    complete_top_up(top_up_id=made.top_up.pk, receipt="UC14ABCDEF")
    settle_all()
    payment = PaybillPayment.objects.get()
    assert (payment.state, payment.top_up_id) == ("credited", made.top_up.pk)
    assert queries.balance_of(acme.pk).balance == 700


def test_validation_turns_away_account_numbers_of_nobody(acme, account):
    assert tell(account, confirmation(str(acme.pk)), "validation").json() == {
        "ResultCode": "0",
        "ResultDesc": "Accepted",
    }
    assert tell(account, confirmation("nobody"), "validation").json()["ResultCode"] == "C2B00012"
    assert not PaybillPayment.objects.exists()


def test_paybill_paths_are_secret_and_bodies_are_checked(acme, account):
    assert post("/callbacks/pay/wrong/confirmation", confirmation("1")).status_code == 404
    assert tell(account, confirmation("1"), "other").status_code == 404
    assert tell(account, "{}").status_code == 400
    assert tell(account, confirmation("1", shortcode="600000")).status_code == 400
    assert not MpesaEvent.objects.exists()


def test_a_claimed_code_moves_nothing_by_itself(acme, verified, monkeypatch):
    listed(monkeypatch, Payment("UC14ABCDEF", 250_000_000, "nobody"))
    tell(verified, confirmation("nobody"))
    settle_all()
    browser = as_member(acme)
    answer = browser.post("/app/wallet/topups/claim", {"code": "uc14abcdef"}, follow=True)
    assert b"UC14ABCDEF is looked for" in answer.content
    assert queries.balance_of(acme.pk).balance == 0
    answer = browser.post("/app/wallet/topups/claim", {"code": "'x"}, follow=True)
    assert b"ten letters and digits" in answer.content


# --- the native API ---------------------------------------------------------------------------------------------------


class Shop:
    def __init__(self, client, **fields):
        self.base = f"/api/{client.pk}/wallet/topup"
        self.key = make_key(client, **fields).api_key

    def post(self, body, **headers):
        return Browser(raise_request_exception=False).generic(
            "POST", self.base, json.dumps(body), content_type="application/json",
            headers={"X-API-KEY": self.key, **{name.replace("_", "-"): value for name, value in headers.items()}},
        )  # fmt: skip

    def get(self, transaction_id):
        return Browser(raise_request_exception=False).get(
            f"{self.base}/{transaction_id}", headers={"X-API-KEY": self.key}
        )


ASKED = {"amount": 1000, "payment_method": "mpesa", "phone_number": "254712345678"}


def test_the_documented_answers(acme, accepts):
    shop = Shop(acme)
    body = shop.post(ASKED).json()
    day = TopUp.objects.for_client(acme).get().day
    assert {name: value for name, value in body.items() if name != "data"} == {
        "status": "pending",
        "message": "Please check your phone for M-Pesa prompt",
        "transaction_id": f"TXN-{day:%Y%m%d}-001",
        "amount": 1000,
        "checkout_request_id": "ws_CO_1",
    }
    complete_top_up(top_up_id=TopUp.objects.for_client(acme).get().pk, receipt="PGH7X8Y9Z0")
    body = shop.get(body["transaction_id"]).json()
    assert (body["status"], body["amount"], body["payment_method"]) == ("completed", 1000, "mpesa")
    assert body["mpesa_receipt"] == "PGH7X8Y9Z0"
    assert body["completed_at"].endswith("Z")
    assert LedgerEntry.objects.for_client(acme).get().reference == f"topup:{body['transaction_id']}"


@pytest.mark.parametrize("phone", ["254712345678", "+254712345678", "0712345678", "0112345678", "254112345678"])
def test_every_documented_form_of_a_number(acme, accepts, phone):
    assert Shop(acme).post(ASKED | {"phone_number": phone}).status_code == 200
    assert accepts[0].phone.startswith("+254")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 99}, "amount"), ({"amount": 50_001}, "amount"), ({"amount": 100.5}, "amount"),
        ({"amount": "x"}, "amount"), ({"amount": None}, "amount"), ({"phone_number": "0202222222"}, "phone_number"),
        ({"phone_number": "255712345678"}, "phone_number"), ({"payment_method": "cash"}, "payment_method"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused_and_asks_nobody(acme, accepts, change, field):
    body = refusal(Shop(acme).post(ASKED | change), 400, "INVALID_REQUEST")
    assert body["errors"][0]["field"] == field
    assert (accepts, TopUp.objects.for_client(acme).count()) == ([], 0)


def test_the_provider_refusing_is_400_and_unreachable_is_503_and_kept(acme, monkeypatch):
    shop = Shop(acme)
    monkeypatch.setattr(Mpesa, "ask", lambda *_: Prompted("refused", code="400.002.02", text="Invalid PhoneNumber"))
    body = refusal(shop.post(ASKED), 400, "INVALID_REQUEST")
    assert body["message"] == "M-Pesa does not know that number."
    monkeypatch.setattr(Mpesa, "ask", lambda *_: Prompted("unsent"))
    refusal(shop.post(ASKED), 503, "PROVIDER_UNAVAILABLE")
    found = TopUp.objects.for_client(acme).latest("pk")
    body = shop.get(found.transaction_id).json()
    assert body["status"] == "failed"
    assert body["reason"].startswith("M-Pesa cannot be reached")


def test_I1_the_same_key_asks_once_and_answers_the_same(acme, accepts):
    shop = Shop(acme)
    first = shop.post(ASKED, Idempotency_Key="k-1")
    second = shop.post(ASKED, Idempotency_Key="k-1")
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert second["Idempotent-Replayed"] == "true"
    assert json.loads(second.content)["checkout_request_id"] == "ws_CO_1"
    assert (len(accepts), TopUp.objects.for_client(acme).count()) == (1, 1)


def test_I2_while_the_first_is_asking_the_second_is_told_so(acme, monkeypatch):
    shop, answers = Shop(acme), []

    def ask(*_):
        answers.append(shop.post(ASKED, Idempotency_Key="k-1"))
        return Prompted("accepted", "m-1", "ws_CO_1")

    monkeypatch.setattr(Mpesa, "ask", ask)
    assert shop.post(ASKED, Idempotency_Key="k-1").status_code == 200
    refusal(answers[0], 409, "CONFLICT")
    assert answers[0]["Retry-After"] == "1"


def test_one_live_prompt_for_a_phone(acme, accepts):
    shop = Shop(acme)
    shop.post(ASKED)
    answer = shop.post(ASKED | {"amount": 600})
    refusal(answer, 409, "CONFLICT")
    assert 0 < int(answer["Retry-After"]) <= 120
    assert len(accepts) == 1


def test_T1_a_strangers_top_up_does_not_exist(acme, accepts):
    stranger = make_client(name="Zuri Traders", email="zuri@traders.test")
    Shop(acme).post(ASKED)
    found = TopUp.objects.for_client(acme).get().transaction_id
    refusal(Shop(stranger).get(found), 404, "NOT_FOUND")
    refusal(Shop(acme).get("TXN-1-1"), 404, "NOT_FOUND")
    refusal(Shop(acme, scopes=["wallet:read"]).post(ASKED), 403, "UNAUTHORIZED")


def test_without_an_account_top_ups_are_closed(db):
    refusal(Shop(make_client()).post(ASKED), 503, "PROVIDER_UNAVAILABLE")


# --- pages ------------------------------------------------------------------------------------------------------------


def test_a_top_up_by_page_and_the_double_payment_warning(acme, accepts):
    browser = as_member(acme)
    page = browser.get("/app/wallet/topup?amount=412.40&next=/app/campaigns/1/review").content.decode()
    assert 'value="413"' in page  # a shortage is rounded upwards
    asked = {"amount": 413, "phone": "0712 345 678", "next": "/app/campaigns/1/review"}
    answer = browser.post("/app/wallet/topup", asked)
    top_up = TopUp.objects.for_client(acme).get()
    assert answer["Location"] == f"/app/wallet/topups/{top_up.pk}"
    assert "Look at +254 712 345 678" in browser.get(answer["Location"]).content.decode()
    again = browser.post("/app/wallet/topup", asked | {"phone": "0711000001"})
    assert again.status_code == 409
    assert "Do not pay twice" in again.content.decode()
    assert browser.post("/app/wallet/topup", asked | {"phone": "0711000001", "sure": "on"}).status_code == 302
    complete_top_up(top_up_id=top_up.pk, receipt="UC14ABCDEF")
    fragment = browser.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
    assert "KES\u00a0413.00</span> received" in fragment
    assert 'href="/app/campaigns/1/review"' in fragment
    assert "hx-get" not in fragment
    assert "<html" not in fragment


@pytest.mark.parametrize(
    "address", ["https://evil.test/app", "//evil.test", "/staff/", "javascript:alert(1)", "/app\\@x"]
)
def test_the_way_back_stays_on_our_pages(acme, accepts, address):
    as_member(acme).post("/app/wallet/topup", {"amount": 500, "phone": "0712345678", "next": address})
    found = TopUp.objects.for_client(acme).get()
    assert found.return_to in ("", "/app\\@x")
    page = as_member(acme, "admin").get(f"/app/wallet/topups/{found.pk}").content.decode()
    assert "evil" not in page
    assert "javascript" not in page


@pytest.mark.parametrize("code", ["1", "17", "1001", "1019", "1032", "1037", "2001", "4242"])
def test_each_outcome_has_its_words_and_no_bare_code_in_a_heading(acme, code):
    made = started(acme)
    fail_top_up(top_up_id=made.top_up.pk, code=code, text="VENDOR WORDS")
    page = as_member(acme).get(f"/app/wallet/topups/{made.top_up.pk}").content.decode()
    heading = page.split('<h2 class="title">')[1].split("</h2>")[0]
    assert heading == Mpesa.words_for(code).sentence.replace("'", "&#x27;")
    assert code not in heading
    assert f'<p class="mono">{code} VENDOR WORDS</p>' in page
    assert "hx-get" in page  # late success turns the open page green


def test_who_may_top_up_and_who_may_watch(acme, accepts):
    stranger = make_client(name="Zuri Traders", email="zuri@traders.test")
    made = started(acme)
    path = f"/app/wallet/topups/{made.top_up.pk}"
    viewer = as_member(acme, "viewer")
    assert viewer.get(path).status_code == 200
    assert b"check now" not in viewer.get(path).content
    assert viewer.get("/app/wallet/topup").status_code == 403
    assert viewer.post(path + "/check").status_code == 403
    assert as_member(acme, "finance").get("/app/wallet/topup").status_code == 200
    outsider = as_member(stranger)
    assert outsider.get(path).status_code == outsider.post(path + "/check").status_code == 404
    assert Browser().get(path).status_code == 302


def test_check_now_asks_at_most_every_five_seconds(acme):
    made = started(acme)
    browser = as_member(acme)
    path = f"/app/wallet/topups/{made.top_up.pk}/check"
    assert b"M-Pesa is being asked" in browser.post(path, headers={"HX-Request": "true"}).content
    assert b"Wait five seconds" in browser.post(path, headers={"HX-Request": "true"}).content


def test_list_threshold_and_low_balance_letters(acme, mailoutbox):
    from wallet.services import credit_wallet
    from wallet.topups.notices import write_low_balance_letters

    browser = as_member(acme, "finance")
    assert b"No top-up yet" in browser.get("/app/wallet/orders").content
    assert browser.post("/app/wallet/threshold", {"amount": "-1"}).status_code == 422
    assert browser.post("/app/wallet/threshold", {"amount": "2000"}).status_code == 302
    assert write_low_balance_letters() == 0  # nothing ever moved
    credit_wallet(client=acme, amount=Decimal(1500), reference="opening")
    assert [write_low_balance_letters() for _ in range(2)] == [1, 0]
    send_waiting()
    assert sorted(letter.to[0] for letter in mailoutbox) == ["amina@acme.test", "finance@members.test"]
    assert "KES 1,500.00" in mailoutbox[0].subject


def test_the_account_is_entered_in_the_back_office_and_its_secrets_are_not_shown(acme, account):
    staff = User.objects.create_user("staff@tarishi.test", PASSWORD, is_staff=True, is_superuser=True)
    browser = Browser()
    browser.force_login(staff)
    path = reverse("admin:wallet_paymentaccount_change", args=[account.pk])
    page = browser.get(path).content.decode()
    assert "a-secret-nobody-prints" not in page
    assert "/callbacks/pay/" in page
    form = {"name": "Main", "method": "mpesa", "value_kind": "paybill", "value_shortcode": "600984", "is_active": "on"}
    assert browser.post(path, form).status_code == 200  # without the query an allow-list is needed
    assert browser.post(path, form | {"confirm_by_query": "on"}).status_code == 302
    account.refresh_from_db()
    assert account.credentials["shortcode"] == "600984"
    assert account.credentials["consumer_secret"] == "a-secret-nobody-prints"
    for name in ("topup", "mpesaevent"):
        assert browser.get(reverse(f"admin:wallet_{name}_changelist") + "?review=yes").status_code == 200


def test_staff_mark_what_they_looked_after_and_reconcile_is_content(acme):
    from wallet.topups.comparing import waiting_differences

    made = started(acme)
    fail_top_up(top_up_id=made.top_up.pk, code="2028", text="not permitted")
    assert "2028" in waiting_differences()[0].text
    browser = Browser()
    browser.force_login(User.objects.create_user("staff@tarishi.test", PASSWORD, is_staff=True, is_superuser=True))
    answer = browser.post(
        reverse("admin:wallet_topup_changelist"), {"action": "mark_as_seen", "_selected_action": made.top_up.pk}
    )
    assert answer.status_code == 302
    assert waiting_differences() == []
    made.top_up.refresh_from_db()
    assert made.top_up.state == "failed"


def test_reconcile_names_money_that_only_one_side_knows(acme, verified, monkeypatch):
    from wallet.topups.comparing import statement_differences, take_in

    made = started(acme)
    complete_top_up(top_up_id=made.top_up.pk, receipt="OURS000001")
    hours_ago = database_now() - timedelta(hours=2)
    TopUp.objects.unscoped().update(created_at=hours_ago, completed_at=hours_ago)
    listed(monkeypatch, Payment("THEIRS0001", 250_000_000, str(acme.pk)))
    before = queries.balance_of(acme.pk).balance
    theirs, ours = statement_differences()
    assert "THEIRS0001" in theirs.text
    assert "OURS000001" in ours.text
    assert queries.balance_of(acme.pk).balance == before  # P7: looking changes no money
    assert not take_in(ours)
    assert take_in(theirs)
    assert queries.balance_of(acme.pk).balance == before + 250
    assert [found.text for found in statement_differences()] == [ours.text]


def test_an_account_of_the_environment(acme, settings):
    from wallet.topups.accounts import current_account

    settings.MPESA_CREDENTIALS = {"kind": "paybill", "shortcode": "600111", "passkey": "p", "consumer_key": "k",
                                  "consumer_secret": "s"}  # fmt: skip
    assert current_account().credentials["shortcode"] == "600111"
    settings.MPESA_CREDENTIALS = settings.MPESA_CREDENTIALS | {"passkey": "q"}
    assert current_account().credentials["passkey"] == "q"
    assert make_account is not None
