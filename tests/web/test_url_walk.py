"""T1, T3: every page of the URL map as owner, as each role, as a stranger and as nobody, with ids of others.

Rows of Acme all have the number ACMES, of which Zuri's organisation has none; NOBODYS is no row's.
"""

import re

import pytest
from django.test import Client as Browser
from django.urls import URLPattern, get_resolver
from django.utils import timezone

from accounts.models import ApiKey, Export, Invitation, Membership, Role, SavedView, User, WebhookEndpoint
from accounts.roles import PERMISSIONS
from contacts.models import BulkChange, Contact, ContactField, ContactImport, Group, OptOut
from messaging.models import Campaign, Message, SavedReply, SenderDocument, SenderId, Template, Thread, WhatsAppTemplate
from tests.web.conftest import PASSWORD, sign_in
from wallet.models import PaymentAccount, TopUp

ACMES, NOBODYS = 50_001, 60_001
SAMPLES = {"slug": "a", "str": "a", "uuid": "00000000-0000-0000-0000-000000000000", "path": "a"}


def walk(resolver, prefix=""):
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield "/" + route, entry.callback
        elif not route.startswith(("staff/", "api/", "console/")):
            yield from walk(entry, route)


PAGES = [(route, view) for route, view in walk(get_resolver("crm.urls")) if not route.startswith(("/api", "/staff"))]
MEMBERS = [(route, view) for route, view in PAGES if getattr(view, "permission", "")]
OF_ROWS = [route for route, _ in MEMBERS if "<int:" in route]


def path_of(route: str, number: int) -> str:
    path = re.sub(r"<int:\w+>", str(number), route)
    return re.sub(r"<(\w+):\w+>", lambda kind: SAMPLES[kind[1]], path)


def plain(answer, number: int) -> tuple[int, str]:
    """The answer without what differs from one request to the next."""
    text = answer.content.decode() if not answer.streaming else "a file"
    text = re.sub(r"(csrfmiddlewaretoken\" value=|X-CSRFToken\": )\"\w+\"", r"\1", text)
    return answer.status_code, text.replace(str(number), "#"), answer.get("Location", "").replace(str(number), "#")


@pytest.fixture
def rows(acme) -> None:
    """One row of Acme's of every kind that a page names by its number."""
    now = timezone.now()
    amina = User.objects.get(email="amina@acme.test")
    mine = {"pk": ACMES, "client": acme}
    baraka = User.objects.create_user("baraka@acme.test", PASSWORD)
    Membership.objects.create(**mine, user=baraka, role=Role.SENDER)
    Invitation.objects.create(**mine, email="juma@acme.test", role="viewer", token_hash="x", expires_at=now)
    ApiKey.objects.create(**mine, name="Shop", prefix="tk", key_hash="a", app_key_hash="b", secret_hash="c")
    WebhookEndpoint.objects.create(**mine, url="https://acme.test/hook", events=["*"], secret="s")
    Export.objects.create(**mine, kind="contacts", format="csv", created_at=now)
    SavedView.objects.create(**mine, owner=amina, page="contacts", name="Mine", query="")
    Contact.objects.create(**mine, phone="+254712000001", name="Juma")
    Group.objects.create(**mine, name="Parents")
    ContactField.objects.create(**mine, key="class")
    ContactImport.objects.create(**mine, filename="list.csv", stored_as="imports/none.csv", size=1, has_header=True)
    BulkChange.objects.create(**mine, act="delete", total=1)
    OptOut.objects.create(**mine, channel="sms", address="+254712000009", source="staff")
    sender = SenderId.objects.create(**mine, name="SunSchool", state="draft")
    SenderDocument.objects.create(
        **mine, sender=sender, kind="tax", stored_as="senders/none.pdf", filename="a.pdf",
        content_type="application/pdf", size=1, sha256="x",
    )  # fmt: skip
    Template.objects.create(**mine, name="Fees")
    WhatsAppTemplate.objects.create(**mine, name="fees", language="en", body="Pay")
    SavedReply.objects.create(**mine, name="Thanks", text="Asante")
    Thread.objects.create(
        **mine, channel="sms", person="+254712000001", own="20414", sender="HOSPITAL", last_at=now, last_inbound_at=now
    )
    Campaign.objects.create(**mine, name="Fees", text="Pay", sender=sender)
    Message.objects.create(
        **mine, recipient="+254712000001", sender="HOSPITAL", text="x", status="sent", batch_id=ACMES, created_at=now
    )
    account = PaymentAccount.objects.create(name="M", method="mpesa", credentials={"shortcode": "1"})
    TopUp.objects.create(
        **mine, account=account, transaction_id="TXN-1", day=now.date(), number=1, amount=100, currency="KES"
    )


def test_T1_another_organisations_number_is_answered_as_one_that_never_was(rows, stranger):
    zuri = sign_in("zuri@else.test")
    different, found = [], []
    for route in OF_ROWS:
        for method in ("get", "post"):
            theirs = getattr(zuri, method)(path_of(route, ACMES))
            never = getattr(zuri, method)(path_of(route, NOBODYS))
            if plain(theirs, ACMES) != plain(never, NOBODYS):
                different.append((method, route, theirs.status_code, never.status_code))
            elif theirs.status_code not in (404, 405, 302):
                found.append((method, route, theirs.status_code))
    assert different == []
    assert found == []


# Pages that need more of their row than that it exists: rules of a group, an import that is over, a file on the disk.
NOT_AS_THEY_ARE = {
    "/app/views/<slug:name>/<int:view_id>/delete", "/app/contacts/groups/<int:pk>/rule",
    "/app/contacts/import/<int:pk>/undo", "/app/contacts/import/<int:pk>/correct",
    "/app/contacts/import/<int:pk>/rejected.csv",
}  # fmt: skip


def test_the_walk_uses_numbers_that_exist(rows):
    """Else the test above would prove nothing: for their owner these pages are there."""
    amina = sign_in("amina@acme.test")
    missing = {route for route in OF_ROWS if amina.get(path_of(route, ACMES)).status_code == 404}
    assert {route for route in missing if "papers/" not in route} <= NOT_AS_THEY_ARE


@pytest.mark.parametrize("role", [*Role.values])
def test_T3_a_role_gets_where_its_permissions_lead_and_nowhere_else(rows, acme, role):
    Membership.objects.filter(pk=ACMES).update(role=role)
    browser = sign_in("baraka@acme.test")
    wrong = []
    for route, view in MEMBERS:
        may = view.permission in PERMISSIONS[role]
        for method in ("get", "post"):
            if may and method == "post":
                continue
            status = getattr(browser, method)(path_of(route, NOBODYS)).status_code
            if (status == 403) == may or status >= 500:
                wrong.append((method, route, status))
    assert wrong == []


def test_nobody_is_sent_to_sign_in_by_every_page_and_method(db):
    browser, open_doors = Browser(), []
    for route, view in PAGES:
        if getattr(view, "is_public", False):
            continue
        for method in ("get", "post"):
            answer = getattr(browser, method)(path_of(route, NOBODYS))
            if answer.status_code != 302 or not answer["Location"].startswith("/login"):
                open_doors.append((method, route, answer.status_code))
    assert open_doors == []


PUBLIC = {
    "/", "/theme", "/language", "/login", "/logout", "/register", "/register/phone", "/register/by-email",
    "/register/email", "/login/second", "/login/passkey", "/login/inactive", "/password/forgotten",
    "/password/forgotten/sent", "/invite/<str:token>", "/o/<str:token>", "/callbacks/pay/<str:token>",
    "/callbacks/pay/<str:token>/<slug:kind>", "/callbacks/<slug:adapter>/<str:token>/<slug:kind>",
    "/pricing", "/sms-counter", "/status", "/metrics", "/brand/accent.css", "/brand/logo",
}  # fmt: skip


def test_what_is_public_is_on_the_list():
    public = {route for route, view in PAGES if getattr(view, "is_public", False)}
    assert {route for route in public - PUBLIC if not route.startswith(("/docs", "/^", "/password/"))} == set()


def test_every_page_without_a_csrf_token_refuses_to_write(rows, acme):
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(email="amina@acme.test"))
    let_in = []
    for route, _ in MEMBERS:
        answer = browser.post(path_of(route, ACMES), headers={"Origin": "https://evil.test"})
        if answer.status_code not in (403, 405):
            let_in.append((route, answer.status_code))
    assert let_in == []
