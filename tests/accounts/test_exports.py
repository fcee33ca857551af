"""Files to download: harmless cells, only for who may have them, written once whatever crashes, and gone in time."""

import csv
import io
import zipfile
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.test import Client as Browser
from python_calamine import CalamineWorkbook

from accounts.exporting import KINDS, Kind, register
from accounts.models import AuditEntry, Export, ExportState, Membership, Role, User
from accounts.services import exports
from contacts.services import create_contact, record_opt_out
from crm.common.sql import database_now
from crm.opening import open_ready_client
from messaging.models import Message
from messaging.services.accept import Draft, accept_messages
from tests.factories import PASSWORD, make_client
from tests.messaging.core.world import make_road

FORMULA = "=HYPERLINK(0)"


@pytest.fixture
def acme(db):
    make_road()
    return open_ready_client(
        name="Acme", email="amina@acme.test", password=PASSWORD, credit=100, sender_ids=["HOSPITAL"]
    ).client


def sign_in(email: str) -> Browser:
    browser = Browser()
    browser.force_login(User.objects.get(email=email))
    return browser


def send(client, number: str, text: str) -> None:
    accept_messages(client=client, drafts=[Draft(recipient=number, text=text)])


@pytest.fixture
def browser(acme):
    return sign_in("amina@acme.test")


def add_member(client, role: str) -> Browser:
    email = f"{role}@acme.test"
    Membership.objects.create(user=User.objects.create_user(email, PASSWORD), client=client, role=role)
    return sign_in(email)


def fetch(browser, kind: str, query: str = "", format: str = "csv") -> list[list[str]]:
    answer = browser.post("/app/exports/new", {"kind": kind, "format": format, "query": query}, follow=True)
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith(f'attachment; filename="{kind}-')
    content = answer.getvalue()
    if format == "csv":
        return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()


@pytest.fixture
def slow_kind():
    """3,500 rows, as of a list too long to wait for; `fail` raises before the row it names."""
    told = {"fail": 0, "count": 3500}

    def rows(job):
        yield ("Number",)
        for number in range(1, told["count"] + 1):
            if number == told["fail"]:
                raise RuntimeError("the worker died")
            yield (number,)

    register(Kind("trial", "Trial", "home", lambda job: 6000, rows))
    yield told
    del KINDS["trial"]


def test_contacts_come_as_the_list_shows_them_with_harmless_cells(acme, browser):
    create_contact(client=acme, phone="0712345678", name=FORMULA, attributes={"Class": "@sum"})
    create_contact(client=acme, phone="0712345679", name="Zuri")
    rows = fetch(browser, "contacts")
    assert rows[0][:4] == ["Phone", "Email", "Name", "Department"]
    assert [row[0] for row in rows[1:]] == ["254712345679", "254712345678"]
    assert rows[2][2] == f"'{FORMULA}"
    assert [row[2] for row in fetch(browser, "contacts", "q=Zuri&page=7")[1:]] == ["Zuri"]


def test_a_workbook_has_the_same_cells_and_no_formula(acme, browser):
    create_contact(client=acme, phone="0712345678", name=FORMULA)
    answer = browser.post("/app/exports/new", {"kind": "contacts", "format": "xlsx"}, follow=True)
    book = zipfile.ZipFile(io.BytesIO(answer.getvalue()))
    assert "<f>" not in book.read("xl/worksheets/sheet1.xml").decode()
    assert fetch(browser, "contacts", format="xlsx")[1][:3] == ["254712345678", "", f"'{FORMULA}"]


def test_amounts_are_numbers_in_a_workbook_and_plain_in_csv(acme, browser):
    ledger = fetch(browser, "ledger")
    assert ledger[0][5:] == ["Amount", "Balance after", "Currency"]
    assert ledger[1][5:] == ["100.00", "100.00", "KES"]
    assert fetch(browser, "ledger", format="xlsx")[1][5:7] == [100, 100]
    assert fetch(browser, "ledger", "kind=refund") == ledger[:1]


def test_the_history_keeps_its_filter_and_says_what_was_simulated(acme, browser):
    send(acme, "0712345678", "Habari")
    send(acme, "0712345679", "-1+1")
    Message.objects.for_client(acme).filter(recipient="+254712345679").update(simulated=True)
    rows = fetch(browser, "messages")
    assert rows[0][-1] == "Simulated"
    assert [(row[1], row[6], row[-1]) for row in rows[1:]] == [
        ("254712345679", "'-1+1", "yes"),
        ("254712345678", "Habari", "no"),
    ]
    assert [row[1] for row in fetch(browser, "messages", "number=0712345678")[1:]] == ["254712345678"]


def test_opt_outs_and_the_audit_log_are_exported(acme, browser):
    record_opt_out(client_id=acme.pk, channel="sms", address="+254712345678", source="stop", proof="=STOP")
    assert fetch(browser, "opt-outs")[1][:5] == [
        "254712345678",
        "SMS",
        "every sender",
        "The person replied STOP",
        "'=STOP",
    ]
    log = fetch(browser, "audit", "about=export")
    assert [row[4] for row in log[1:]][-2:] == ["export.fetched", "export.made"]


def test_an_export_and_its_download_are_in_the_audit_log(acme, browser):
    create_contact(client=acme, phone="0712345678", name="Zuri")
    fetch(browser, "contacts", "q=%2B254712345678")
    fetched, made = AuditEntry.objects.for_client(acme).order_by("-pk")[:2]
    assert (made.action, made.after) == (
        "export.made", {"kind": "contacts", "format": "csv", "rows": 1, "filter": {"q": "…678"}},
    )  # fmt: skip
    assert (fetched.action, fetched.actor_name) == ("export.fetched", "amina@acme.test")


@pytest.mark.parametrize(
    ("role", "kind", "status"),
    [
        (Role.FINANCE, "contacts", 404),
        (Role.FINANCE, "ledger", 302),
        (Role.VIEWER, "audit", 404),
        (Role.VIEWER, "contacts", 302),
        (Role.OWNER, "nonsense", 404),
    ],
)
def test_T3_a_kind_is_for_roles_that_may_read_it(acme, role, kind, status):
    member = add_member(acme, role)
    assert member.post("/app/exports/new", {"kind": kind, "format": "csv"}).status_code == status


def test_T3_numbers_are_shortened_for_who_may_not_see_contacts(acme, browser):
    send(acme, "0712345678", "Habari")
    membership = Membership.objects.get(client=acme, user__email="amina@acme.test")
    membership.role = "finance"
    original = KINDS["messages"]
    register(Kind("messages", "Messages", "wallet.read", original.count, original.rows))
    try:
        export = exports.request_export(membership=membership, kind="messages", format="csv")
        assert export.masked
        row = list(csv.reader(export.path.open(encoding="utf-8-sig")))[1]
        assert row[1].endswith("678")
        assert "712345" not in row[1]
    finally:
        register(original)


def test_T1_a_file_is_for_who_asked_for_it_and_for_owners_of_the_same_client(acme, browser):
    create_contact(client=acme, phone="0712345678", name="Zuri")
    viewer = add_member(acme, Role.VIEWER)
    fetch(viewer, "contacts")
    url = f"/app/exports/{Export.objects.for_client(acme).get().pk}/file"
    make_client("Zuri Ltd", "zuri@else.test")
    assert viewer.get(url).status_code == 200
    assert browser.get(url).status_code == 200
    assert add_member(acme, Role.SENDER).get(url).status_code == 404
    assert sign_in("zuri@else.test").get(url).status_code == 404
    assert "contacts-" in browser.get("/app/exports").content.decode()
    assert "contacts-" not in sign_in("zuri@else.test").get("/app/exports").content.decode()


def test_what_takes_long_is_written_by_a_worker_and_a_letter_says_so(acme, browser, slow_kind):
    answer = browser.post("/app/exports/new", {"kind": "trial", "format": "csv"})
    assert answer.url == "/app/exports"
    export = Export.objects.for_client(acme).get()
    assert export.state == ExportState.WAITING
    page = browser.get("/app/exports").content.decode()
    assert 'hx-trigger="every 2s"' in page
    assert exports.run_export(export_id=export.pk)
    assert not exports.run_export(export_id=export.pk)  # a second nudge
    export.refresh_from_db(from_queryset=Export.objects.for_client(acme))
    assert (export.state, export.rows) == (ExportState.DONE, 3500)
    assert export.path.read_text("utf-8-sig").splitlines()[-1] == "3500"
    assert "every 2s" not in browser.get("/app/exports").content.decode()
    [letter] = mail.outbox
    assert letter.to == ["amina@acme.test"]
    assert letter.subject == "Your file is ready: Trial"
    assert "3500 rows" in letter.body


def test_a_worker_that_died_is_followed_by_another_that_begins_anew(acme, browser, slow_kind):
    browser.post("/app/exports/new", {"kind": "trial", "format": "xlsx"})
    rows = Export.objects.for_client(acme)
    export = rows.get()
    rows.update(
        state=ExportState.RUNNING, rows=2000, lease_token="gone", lease_until=database_now() + timedelta(minutes=1)
    )
    assert not exports.run_export(export_id=export.pk)  # it may still live
    rows.update(lease_until=database_now() - timedelta(seconds=1))
    assert exports.run_export(export_id=export.pk)
    book = CalamineWorkbook.from_path(str(rows.get().path))
    assert [row[0] for row in book.get_sheet_by_index(0).to_python()] == ["Number", *range(1, 3501)]


def test_a_file_that_cannot_be_written_is_tried_again_and_then_given_up(acme, browser, slow_kind):
    slow_kind["fail"] = 1500
    browser.post("/app/exports/new", {"kind": "trial", "format": "csv"})
    rows = Export.objects.for_client(acme)
    folder = rows.get().path / "exports" / str(acme.pk)
    states, before = [], list(folder.glob("*"))
    for _ in range(exports.MOST_ATTEMPTS):
        assert not exports.run_export(export_id=rows.get().pk)
        states.append(rows.get().state)
    assert states == ["waiting"] * (exports.MOST_ATTEMPTS - 1) + ["failed"]
    assert "could not be written" in browser.get("/app/exports").content.decode()
    assert list(folder.glob("*")) == before
    assert mail.outbox == []


def test_one_client_cannot_keep_all_workers(acme, browser, slow_kind):
    for _ in range(exports.MOST_OPEN + 1):
        browser.post("/app/exports/new", {"kind": "trial", "format": "csv"})
    assert Export.objects.for_client(acme).count() == exports.MOST_OPEN
    assert "Five files are being written already" in browser.get("/app/exports").content.decode()


def test_the_sweep_deletes_files_after_their_time(acme, browser):
    fetch(browser, "ledger")
    rows = Export.objects.for_client(acme)
    path = rows.get().path
    exports.sweep_exports()
    assert path.is_file()
    rows.update(expires_at=database_now() - timedelta(seconds=1))
    exports.sweep_exports()
    assert not path.exists()
    assert (rows.get().state, rows.get().stored_as) == (ExportState.GONE, "")
    assert browser.get(f"/app/exports/{rows.get().pk}/file").url == "/app/exports"


def test_decimals_keep_all_their_digits():
    from crm.common.exports import safe_cell

    assert safe_cell(Decimal("1E+3")) == "1000"
    assert safe_cell(Decimal("-0.000001")) == "-0.000001"


# --- the page of the audit log ----------------------------------------------------------------------------------------


def test_the_audit_page_lists_filters_and_opens_entries(acme, browser):
    page = browser.get("/app/settings/audit").content.decode()
    assert "API key created" in page
    assert "Organisation opened" in page
    only_keys = browser.get("/app/settings/audit?about=key").content.decode()
    assert "Organisation opened" not in only_keys
    entry = AuditEntry.objects.for_client(acme).get(action="key.created")
    opened = browser.get(f"/app/settings/audit?about=key&open={entry.pk}").content.decode()
    assert 'id="drawer"' in opened
    assert "messages:send" in opened
    assert browser.get("/app/settings/audit?about=nonsense").status_code == 422
    assert "no such entry" in browser.get("/app/settings/audit?open=99999999").content.decode()


def test_the_audit_page_is_for_owners_and_admins_and_shows_their_own_log(acme, browser):
    make_client("Zuri Ltd", "zuri@else.test")
    entry = AuditEntry.objects.for_client(acme).get(action="key.created")
    assert add_member(acme, Role.ADMIN).get("/app/settings/audit").status_code == 200
    for role in (Role.SENDER, Role.APPROVER, Role.FINANCE, Role.DEVELOPER, Role.VIEWER):
        assert add_member(acme, role).get("/app/settings/audit").status_code == 403
    theirs = sign_in("zuri@else.test").get(f"/app/settings/audit?open={entry.pk}").content.decode()
    assert "messages:send" not in theirs


def test_the_audit_page_asks_as_much_for_fifty_entries_as_for_one(acme, browser, django_assert_num_queries):
    browser.get("/app/settings/audit")
    from accounts.services.audit import record_audit

    for number in range(60):
        record_audit(client=acme, action="trial.made", target=f"trial:{number}")
    with django_assert_num_queries(6):
        page = browser.get("/app/settings/audit").content.decode()
    assert page.count("Trial made") == 50
    assert "Older" in page
