"""Real-looking rows of Acme: a book, three weeks of messages, campaigns in every state, top-ups with every end."""

from datetime import timedelta
from random import Random
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import (
    ApiKey,
    Client,
    Export,
    Invitation,
    Membership,
    Role,
    SavedView,
    User,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from accounts.services.clients import suspend_client
from contacts.models import BulkChange, Contact, ContactField, ContactImport, Group, GroupMember, OptOut
from messaging.models import (
    Campaign,
    CampaignState,
    InboundMessage,
    Message,
    MessageEvent,
    NetworkState,
    ProviderAccount,
    SavedReply,
    SenderDocument,
    SenderId,
    SenderNetwork,
    Template,
    TemplateVersion,
    Thread,
)
from messaging.services.providers import add_route, connect_provider
from messaging.services.tallies import recount
from wallet.models import PaymentAccount, TopUp

ROW = 50_001  # the number under which Acme has one row of each kind
FIRST = "Amina Baraka Zuri Juma Neema Wanjiru Otieno Aïssatou Halima Kiptoo Achieng Mwangi Farida Koffi".split()
LAST = "Wanjiru Otieno Ali Diop Njeri Kamau Mushi Koné Barasa Chebet N’Guessan Hassan Moraa Ouma".split()
STATUSES = ["delivered"] * 14 + ["sent"] * 2 + ["failed"] * 2 + ["cancelled"]
CAUSES = ("unreachable", "blocked", "invalid_number", "expired")
CODES = ("0", "1", "17", "1001", "1019", "1032", "1037", "2001", "8888")
SLOW, SLOW_SENDER = "slow", "MORAA"  # a carrier's account that takes a few messages a second, and whose go there
A_SECOND = 20
TEXT = "Habari {name}, shule inafunguliwa Jumatatu saa mbili asubuhi. Karibu sana."


def fill(cast: dict[str, dict[str, Any]], dice: Random) -> None:
    """Everything, for the clients of `cast` by their owner's name."""
    acme = Client.objects.get(pk=cast["amina"]["id"])
    amina = User.objects.get(email="amina@amina.test")
    User.objects.filter(pk=amina.pk).update(
        name="Amina Wanjiru", phone="+254722000001", phone_verified_at=timezone.now()
    )
    User.objects.create_superuser("staff@tarishi.test")
    _people(acme, dice)
    _team(acme, amina)
    _campaigns(acme, amina)
    _messages(acme, dice)
    _threads(acme)
    _senders(acme)
    _programs(acme)
    _money(acme, amina)
    simulated = Client.objects.get(pk=cast["juma"]["id"])
    Message.objects.create(
        client=simulated, recipient="+254712000001", sender="JUMA", text="Habari", status="delivered",
        simulated=True, created_at=timezone.now(), delivered_at=timezone.now(),
    )  # fmt: skip
    _small_books(cast)
    _suspended(Client.objects.get(pk=cast["baraka"]["id"]))
    suspend_client(client=Client.objects.get(pk=cast["baraka"]["id"]), reason="The papers are missing")


def slow_road() -> dict[str, str]:
    """A road on which a campaign lasts long enough to be paused; the path for reports by its user name there."""
    account = connect_provider(
        name="Slow carrier", adapter="africastalking", credentials={"username": SLOW, "api_key": "k"},
        base_url=settings.SANDBOX_URL,
    )  # fmt: skip
    ProviderAccount.objects.filter(pk=account.pk).update(rate_per_second=A_SECOND)
    add_route(account=account, sender=SLOW_SENDER)
    return {SLOW: f"/callbacks/africastalking/{account.callback_token}/delivery"}


def _small_books(cast: dict[str, dict[str, Any]]) -> None:
    """A few parents for those who send campaigns."""
    for owner, names in (
        ("halima", ["Amina Wanjiru", "Baraka Otieno", "Juma Ali", "Aïssatou Diop", "N’Guessan Koffi"]),
        ("otieno", ["Amina", "Baraka"]),
    ):
        mine = {"client": Client.objects.get(pk=cast[owner]["id"])}
        people = Contact.objects.bulk_create(
            Contact(**mine, name=name, phone=f"+25471200000{number}") for number, name in enumerate(names)
        )
        group = Group.objects.create(**mine, name="Parents")
        GroupMember.objects.bulk_create(GroupMember(**mine, group=group, contact=person) for person in people)


def _suspended(baraka: Client) -> None:
    """What Baraka had before: a draft that is ready, and somebody who wrote, each under the number ROW + 900."""
    mine, now = {"client": baraka, "pk": ROW + 900}, timezone.now()
    Campaign.objects.create(
        **mine, name="Ready", text=TEXT, sender=SenderId.objects.get(client=baraka), simulated=False,
        created_by=User.objects.get(email="baraka@baraka.test"),
    )  # fmt: skip
    Thread.objects.create(
        **mine, channel="sms", person="+254712000001", own="20414", sender="BARAKA", last_at=now, last_inbound_at=now,
        last_text="Mko wazi?", unread=True,
    )  # fmt: skip


def _people(acme: Client, dice: Random) -> None:
    mine = {"client": acme}
    names = [f"{dice.choice(FIRST)} {dice.choice(LAST)}" for _ in range(240)]
    people = Contact.objects.bulk_create(
        Contact(**mine, pk=ROW + n, name=name, phone=f"+2547{12 + n % 30}{100_000 + n * 37:06d}", department="Class 4")
        for n, name in enumerate(names)
    )
    parents = Group.objects.create(**mine, pk=ROW, name="Parents")
    teachers = Group.objects.create(**mine, name="Walimu na wafanyakazi wa kampasi ya kaskazini")
    GroupMember.objects.bulk_create(
        GroupMember(**mine, group=teachers if n % 9 == 0 else parents, contact=person)
        for n, person in enumerate(people)
    )
    ContactField.objects.create(**mine, pk=ROW, key="class")
    common = {**mine, "filename": "parents.csv", "stored_as": "imports/none.csv", "has_header": True}
    ContactImport.objects.create(**common, pk=ROW, size=8_000, state="done", rows_total=240, imported=236, failed=4)
    BulkChange.objects.create(**mine, pk=ROW, act="delete", total=1)
    OptOut.objects.create(**mine, pk=ROW, channel="sms", address="+254712000009", source="staff")


def _team(acme: Client, amina: User) -> None:
    mine, now = {"client": acme, "pk": ROW}, timezone.now()
    neema = User.objects.create_user("neema@amina.test", name="Neema Mushi")
    Membership.objects.create(**mine, user=neema, role=Role.SENDER)
    Invitation.objects.create(**mine, email="juma@amina.test", role="viewer", token_hash="x", expires_at=now)
    Export.objects.create(**mine, kind="contacts", format="csv", created_at=now)
    SavedView.objects.create(**mine, owner=amina, page="contacts", name="Class 4", query="q=Amina")


def _campaigns(acme: Client, amina: User) -> None:
    sender, now = SenderId.objects.get(client=acme, name="HOSPITAL"), timezone.now()
    parents = Group.objects.for_client(acme).get(pk=ROW)
    common = {"client": acme, "text": TEXT, "sender": sender, "created_by": amina, "simulated": False}
    draft = Campaign.objects.create(**common, pk=ROW, name="Opening day")
    draft.groups.add(parents)
    for state in CampaignState.values:
        if state in ("draft", "sending", "repeating"):
            continue
        over = state in ("done", "cancelled", "stopped")
        Campaign.objects.create(
            **common, name=f"Karo ya Novemba, {state}", state=state, quoted_recipients=213, quoted_units=213,
            quoted_cost_micros=213_000_000, confirmed_at=now - timedelta(days=2), expanded_at=now - timedelta(days=2),
            finished_at=now - timedelta(days=1) if over else None,
            starts_at=now + timedelta(days=3) if state == "scheduled" else None,
            stop_reason="HOSPITAL haipo tena." if state == "stopped" else "",
        )  # fmt: skip
    template = Template.objects.create(client=acme, pk=ROW, name="Fees")
    for language, text in (("en", "Wapendwa, karo."), ("sw", "Mpendwa mzazi, karo inadaiwa.")):
        TemplateVersion.objects.create(client=acme, template=template, language=language, text=text)
    SavedReply.objects.create(client=acme, pk=ROW, name="Thanks", text="Asante")


def _messages(acme: Client, dice: Random) -> None:
    now, done = timezone.now(), Campaign.objects.get(client=acme, state="done")
    rows = []
    for n, person in enumerate(Contact.objects.filter(client=acme).order_by("pk")):
        status = dice.choice(STATUSES)
        at = now - timedelta(hours=dice.randrange(1, 21 * 24), minutes=dice.randrange(60))
        rows.append(
            Message(
                pk=ROW + n, client=acme, campaign=done if n % 3 == 0 else None, contact_id=person.pk,
                recipient=person.phone, sender="HOSPITAL", text=TEXT.format(name=person.name), status=status,
                units=1 + n % 2, segments=1 + n % 2, cost_micros=(1 + n % 2) * 1_000_000, created_at=at, queued_at=at,
                sent_at=at if status != "cancelled" else None, delivered_at=at if status == "delivered" else None,
                failed_at=at if status == "failed" else None, closed=status == "sent",
                error_code=dice.choice(CAUSES) if status == "failed" else "", country="KE", network="Safaricom",
                source="campaign" if n % 3 == 0 else "api", batch_id=ROW if n == 0 else None,
            )
        )  # fmt: skip
    Message.objects.bulk_create(rows)
    MessageEvent.objects.bulk_create(
        MessageEvent(client=acme, message=message, kind=kind, at=message.created_at)
        for message in rows
        for kind in ("accepted", "queued", *([] if message.status == "cancelled" else ["sent"]))
    )
    recount(client_id=acme.pk)


def _threads(acme: Client) -> None:
    now, account = timezone.now(), ProviderAccount.objects.first()
    for n, words in enumerate(("Mkutano ni saa ngapi?", "Asante sana", "Nimelipa karo jana, tafadhali thibitisha")):
        person, at = f"+25471200000{n + 1}", now - timedelta(minutes=5 + 50 * n)
        Thread.objects.create(
            client=acme, pk=ROW + n, channel="sms", person=person, own="20414", sender="HOSPITAL", last_at=at,
            last_inbound_at=at, last_text=words, unread=n == 0,
        )  # fmt: skip
        if account:
            InboundMessage.objects.create(
                account=account, client=acme, sender=person, recipient="20414", text=words, received_at=at,
                provider_message_id=f"in-{n}",
            )  # fmt: skip


def _senders(acme: Client) -> None:
    draft = SenderId.objects.create(client=acme, pk=ROW, name="SunSchool", state="draft")
    SenderDocument.objects.create(
        client=acme, pk=ROW, sender=draft, kind="tax", stored_as="senders/none.pdf", filename="tax.pdf",
        content_type="application/pdf", size=48_000, sha256="x",
    )  # fmt: skip
    asked = SenderId.objects.create(
        client=acme, name="SUNFEES", state="rejected", reason="The letter is not signed.", fix="Sign it and send it.",
        submitted_at=timezone.now(),
    )  # fmt: skip
    for network, state in (("Safaricom", NetworkState.REJECTED), ("Airtel", NetworkState.APPROVED)):
        SenderNetwork.objects.create(client=acme, sender=asked, network=network, state=state)


def _programs(acme: Client) -> None:
    now, mine = timezone.now(), {"client": acme, "pk": ROW}
    ApiKey.objects.create(
        **mine, name="Shop", prefix="sk_live", last_four="4f2a", key_hash="a", app_key_hash="b", secret_hash="c",
        scopes=["messages:send"], last_used_at=now, last_used_address="197.248.10.4", last_used_for="POST sms/send",
    )  # fmt: skip
    endpoint = WebhookEndpoint.objects.create(**mine, url="https://acme.test/hook", events=["*"], secret="s" * 32)
    for n, state in enumerate(("delivered", "failed", "failed")):
        delivery = WebhookDelivery.objects.create(
            client=acme, endpoint=endpoint, event="message.delivered", event_id=f"e{n}", body='{"event": "x"}',
            state=state, attempts=1 + n, last_at=now, last_status=200 if n == 0 else 500, last_milliseconds=84,
            created_at=now - timedelta(minutes=n),
        )  # fmt: skip
        WebhookAttempt.objects.create(
            client=acme, delivery=delivery, number=1, url=endpoint.url, status=delivery.last_status, milliseconds=84,
            at=now, answer="ok",
        )  # fmt: skip


def _money(acme: Client, amina: User) -> None:
    account, now = PaymentAccount.objects.first(), timezone.now()
    for n, code in enumerate(CODES):
        paid = code == "0"
        TopUp.objects.create(
            client=acme, pk=ROW + n, account=account, transaction_id=f"TXN-{n}", day=now.date(), number=n + 1,
            amount=1000, currency="KES", phone="+254712000678", asked="accepted", result_code=code, started_by=amina,
            state="completed" if paid else "failed", receipt="PGH7X8Y9Z0" if paid else None,
            completed_at=now if paid else None, failed_at=None if paid else now,
        )  # fmt: skip
