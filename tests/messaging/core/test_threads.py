"""The inbox below its pages: threads move with each message, numbers have owners, STOP one answer, replies a price."""

import threading

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership, User
from accounts.personal_data import Person
from contacts.models import OptOut
from crm.common.errors import InvalidInput, NotFound
from crm.common.sql import later_sql
from messaging import holdings
from messaging.conversations import talk_of, thread_of, thread_slice, threads_for, unread_threads
from messaging.errors import QuoteChanged, WindowClosed
from messaging.models import InboundMessage, InboundNumber, Message, Thread, ThreadEvent
from messaging.providers.base import InboundNotice
from messaging.services import inbound
from messaging.services import threads as service
from messaging.services.accept import OptedOut
from messaging.services.auto_replies import save_auto_replies
from messaging.services.number_owners import give_number, take_number
from messaging.services.providers import add_route
from messaging.services.senders import approve_sender, approve_sender_id
from tests.messaging.core import world
from wallet.models import Rate

pytestmark = pytest.mark.django_db

PERSON = world.number(0)


def notice(text="Habari", to="22384", message_id="in-1", sender=PERSON, **more):
    return InboundNotice(sender=sender, recipient=to, text=text, provider_message_id=message_id, **more)


def write(road, *texts, first=1, **more):
    for offset, text in enumerate(texts):
        inbound.receive(account_id=road.pk, notices=[notice(text, message_id=f"in-{first + offset}", **more)])


@pytest.fixture
def code(acme):
    """Acme's own short code."""
    return approve_sender_id(client=acme, name="22384")


@pytest.fixture
def amina(acme):
    user = User.objects.create_user("amina@acme.test", "kikombe cha chai 7")
    Membership.objects.create(client=acme, user=user, role="owner")
    return user


def thread(client):
    return Thread.objects.for_client(client).get()


class TestThreads:
    def test_a_thread_begins_with_the_first_message_and_moves_with_the_next(self, acme, road, code):
        write(road, "Habari", "Mko wapi?", name="Zawadi")

        row = thread(acme)
        assert (row.person, row.own, row.sender, row.name) == (PERSON, "22384", "22384", "Zawadi")
        assert (row.unread, row.last_text, row.last_is_ours) == (2, "Mko wapi?", False)
        latest = InboundMessage.objects.for_client(acme).latest("pk")
        assert row.last_at == row.last_inbound_at == latest.received_at

    def test_a_repeated_message_moves_nothing(self, acme, road, code):
        write(road, "Habari")
        write(road, "Habari")

        assert thread(acme).unread == 1

    def test_each_number_and_channel_has_its_own_thread(self, acme, road, code):
        approve_sender_id(client=acme, name="+254709000001")
        write(road, "a")
        write(road, "b", first=2, to="254709000001")
        write(road, "c", first=3, channel="whatsapp", to="+254 709 000 001")

        owns = Thread.objects.for_client(acme).order_by("pk").values_list("channel", "own")
        assert list(owns) == [("sms", "22384"), ("sms", "+254709000001")]  # nobody's WhatsApp number

    def test_stop_is_nothing_to_answer(self, acme, road, code):
        write(road, "STOP")

        assert thread(acme).unread == 0
        assert InboundMessage.objects.for_client(acme).get().word == "stop"

    def test_what_was_said_and_noted_stands_in_its_order(self, acme, road, code, amina):
        world.send_one(acme, road, "AT1", sender="22384", text="Karibu")
        world.send_one(acme, road, "AT2", sender="ACME", text="Other sender")
        write(road, "Asante")
        service.add_note(thread=thread(acme), text="A good customer", by=amina)

        lines = talk_of(thread(acme), size=10).lines
        assert [line.kind for line in lines] == ["out", "in", "note"]
        assert lines[0].message.text == "Karibu"
        assert talk_of(thread(acme), size=2).more is True
        assert thread_of(lines[0].message) == thread(acme)

    def test_reading_assigning_and_noting(self, acme, road, code, amina):
        write(road, "Habari")
        assert unread_threads(acme) == 1
        service.mark_read(thread=thread(acme))
        assert unread_threads(acme) == 0
        assert service.assign_thread(thread=thread(acme), to_id=amina.pk, by=amina) is True
        assert service.assign_thread(thread=thread(acme), to_id=amina.pk, by=amina) is False
        assert list(threads_for(acme, show="mine", user=amina)) == [thread(acme)]
        assert service.assign_thread(thread=thread(acme), to_id=None, by=amina) is True
        assert list(threads_for(acme, show="unassigned")) == [thread(acme)]
        kinds = ThreadEvent.objects.for_client(acme).values_list("kind", flat=True)
        assert list(kinds) == ["assigned", "assigned"]

    def test_a_thread_is_given_to_members_only(self, acme, zuri, road, code, amina):
        stranger = User.objects.create_user("zuri@else.test", "kikombe cha chai 7")
        Membership.objects.create(client=zuri, user=stranger, role="owner")
        write(road, "Habari")

        with pytest.raises(InvalidInput):
            service.assign_thread(thread=thread(acme), to_id=stranger.pk, by=amina)
        assert thread(acme).assigned_to is None
        with pytest.raises(NotFound):
            service.get_thread(client=zuri, thread_id=thread(acme).pk)

    def test_pages_by_place_show_each_thread_once(self, acme, road, code):
        for person in range(7):
            write(road, "Habari", first=person, sender=world.number(person))

        seen, before = [], ""
        while True:
            part = thread_slice(threads_for(acme), size=3, before=before)
            seen += [row.person for row in part.rows]
            before = part.older
            if not before:
                break
        assert seen == [world.number(person) for person in reversed(range(7))]

    def test_search_finds_names_and_numbers(self, acme, road, code):
        world.make_contacts(acme, 1, first=3, name=lambda n: "Wanjiru Kamau")
        for person in range(5):
            write(road, "Habari", first=person, sender=world.number(person), name=f"Profile {person}")

        def found(search):
            return [row.person for row in threads_for(acme, search=search)]

        assert found("wanjiru") == [world.number(3)]
        assert found("profile 4") == [world.number(4)]
        assert found("0710 000 002") == [world.number(2)]
        assert found("nobody") == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses by the size of the table")
@pytest.mark.parametrize(
    ("show", "channel", "index"),
    [("", "", "thread_by_client"), ("unread", "", "thread_unread"), ("unassigned", "", "thread_by_colleague"),
     ("", "whatsapp", "thread_by_channel")],
)  # fmt: skip
def test_every_list_follows_an_index_in_its_order(acme, show, channel, index):
    plan = threads_for(acme, show=show, channel=channel)[:31].explain()

    assert f"USING INDEX {index}" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses by the size of the table")
def test_counting_the_unread_reads_the_unread_only(acme):
    with CaptureQueriesContext(connection) as taken:
        assert unread_threads(acme) == 0
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {taken[0]['sql']}")
        assert "INDEX thread_unread" in str(cursor.fetchall())


class TestOwners:
    def owner(self):
        return InboundMessage.objects.unscoped().latest("pk").client_id

    def test_a_number_given_whole_is_its_clients(self, acme, zuri, road):
        give_number(client=zuri, number="22384")
        write(road, "Habari")

        assert self.owner() == zuri.pk

    def test_a_keyword_names_its_client_and_the_talk_goes_on_with_them(self, acme, zuri, road):
        give_number(client=acme, number="40404", keyword="Shule")
        give_number(client=zuri, number="40404", keyword="DUKA")

        for number, (text, client) in enumerate(
            [("SHULE, lini?", acme), ("Asante", acme), ("duka bei", zuri), ("ndio", zuri)]
        ):
            write(road, text, first=number, to="40404")
            assert self.owner() == client.pk, text

    def test_what_no_keyword_takes_is_the_default_clients_else_nobodys(self, acme, zuri, road):
        give_number(client=acme, number="40404", keyword="shule")
        write(road, "Habari", to="40404")
        assert self.owner() is None
        give_number(client=zuri, number="40404")
        write(road, "Habari", first=2, to="40404")
        assert self.owner() == zuri.pk

    @pytest.mark.parametrize("text", ["STOP SHULE", "shule stop", "Shule: ACHA"])
    def test_stop_with_a_keyword_stops_that_client(self, acme, zuri, road, text):
        give_number(client=acme, number="40404", keyword="shule")
        give_number(client=zuri, number="40404", keyword="duka")
        write(road, text, to="40404")

        assert list(OptOut.objects.unscoped().values_list("client_id", "address")) == [(acme.pk, PERSON)]

    @pytest.mark.parametrize(
        ("number", "keyword", "field"), [("ACME", "", "number"), ("22384", "two words", "keyword"),
                                         ("22384", "acha", "keyword")],
    )  # fmt: skip
    def test_what_cannot_be_given_is_refused(self, acme, number, keyword, field):
        with pytest.raises(InvalidInput) as refused:
            give_number(client=acme, number=number, keyword=keyword)
        assert list(refused.value.errors) == [field]
        assert InboundNumber.objects.unscoped().count() == 0

    def test_a_number_is_given_once_and_taken_back(self, acme, zuri):
        row = give_number(client=acme, number="+254 709 000 001")
        with pytest.raises(InvalidInput):
            give_number(client=zuri, number="254709000001")
        take_number(row=row)
        assert give_number(client=zuri, number="254709000001").client_id == zuri.pk


class TestWords:
    @pytest.fixture(autouse=True)
    def answers(self, acme):
        texts = {
            ("stop", "en"): "You get no more messages.",
            ("stop", "sw"): "Hutapata ujumbe tena.",
            ("help", "en"): "Acme, 0700 000 000",
        }
        save_auto_replies(client=acme, texts=texts)

    def sent(self):
        return list(Message.objects.unscoped().order_by("pk").values_list("recipient", "sender", "text", "source"))

    @pytest.mark.parametrize(
        ("text", "answer"),
        [("STOP", "You get no more messages."), ("Acha!", "Hutapata ujumbe tena."), ("msaada", "Acme, 0700 000 000")],
    )
    def test_the_answer_is_in_the_language_of_the_word(self, acme, road, code, text, answer):
        before = world.balance(acme)
        write(road, text)

        assert self.sent() == [(PERSON, "22384", answer, "inbox")]
        assert world.balance(acme) == before - world.ONE
        world.check_books()

    def test_start_has_no_words_and_so_no_answer(self, acme, road, code):
        write(road, "START")
        assert self.sent() == []

    def test_the_same_word_is_answered_once_a_day(self, acme, road, code):
        write(road, "STOP", "stop", "START", "STOP", "help")
        assert [text for _, _, text, _ in self.sent()] == ["You get no more messages.", "Acme, 0700 000 000"]

    def test_the_answer_to_stop_is_sent_although_the_person_opted_out(self, acme, road, code):
        write(road, "STOP")
        (pk,) = Message.objects.unscoped().values_list("pk", flat=True)
        (waiting,) = world.accept(acme, first=0, sender="ACME")
        OptOut.objects.unscoped().update(sender="")

        world.run_loop(road)

        assert world.message(pk).error_code != "opted_out"
        assert world.message(waiting).error_code == "opted_out"

    def test_without_money_stop_is_obeyed_all_the_same(self, road):
        poor = world.make_sender("Poor", credit=0, sender="40404")
        save_auto_replies(client=poor, texts={("stop", "en"): "Bye"})
        write(road, "STOP", to="40404")

        assert OptOut.objects.unscoped().filter(client_id=poor.pk).count() == 1
        assert self.sent() == []


class TestReplies:
    def send(self, acme, amina, **more):
        row = thread(acme)
        values = {"token": "t1", "text": "Karibu", "expected_cost_micros": world.ONE} | more
        return service.reply(thread=row, client=acme, by=amina, **values)

    def test_an_answer_goes_from_the_number_that_was_written_to(self, acme, road, code, amina):
        write(road, "Habari")
        done = self.send(acme, amina)

        message = world.message(done.message_id)
        assert (message.recipient, message.sender, message.source) == (PERSON, "22384", "inbox")
        row = thread(acme)
        assert (row.last_text, row.last_is_ours, row.unread) == ("Karibu", True, 0)
        (line,) = [line for line in talk_of(row, size=9).lines if line.kind == "out"]
        assert line.by == amina
        world.check_books()

    def test_the_same_press_twice_sends_once(self, acme, road, code, amina):
        write(road, "Habari")
        first, again = self.send(acme, amina), self.send(acme, amina)

        assert (again.message_id, again.is_repeat) == (first.message_id, True)
        assert Message.objects.unscoped().count() == 1

    def test_another_price_than_was_shown_sends_nothing(self, acme, road, code, amina):
        write(road, "Habari")
        before = world.balance(acme)
        with pytest.raises(QuoteChanged):
            self.send(acme, amina, expected_cost_micros=1)

        assert (Message.objects.unscoped().count(), world.balance(acme)) == (0, before)

    def test_what_is_quoted_is_what_it_costs(self, acme, road, code, amina):
        write(road, "Habari")
        long = "Karibu sana " * 20
        quote = service.quote_reply(client=acme, thread=thread(acme), text=long)

        done = self.send(acme, amina, text=long, expected_cost_micros=quote.cost_micros)
        assert world.message(done.message_id).cost_micros == quote.cost_micros == 2 * world.ONE

    def test_whatsapp_takes_no_free_text_after_a_day(self, acme, road, amina):
        approve_sender_id(client=acme, name="+254709000001")
        world.run_sql("UPDATE messaging_senderid SET channel = 'whatsapp' WHERE name = '+254709000001'")
        write(road, "Habari", channel="whatsapp", to="254709000001")
        world.run_sql(f"UPDATE messaging_thread SET last_inbound_at = {later_sql(-86_401)}")

        with pytest.raises(WindowClosed):
            self.send(acme, amina)
        assert Message.objects.unscoped().count() == 0

    def test_whatsapp_takes_free_text_within_a_day_from_the_number_that_was_written_to(self, acme, road, amina):
        add_route(account=road, channel="whatsapp")
        Rate.objects.create(plan=Rate.objects.first().plan, channel="whatsapp", country="", unit_price_micros=500_000)
        approve_sender(client=acme, channel="whatsapp", name="+254709000001")
        write(road, "Habari", channel="whatsapp", to="254709000001")

        done = self.send(acme, amina, expected_cost_micros=500_000)

        message = world.message(done.message_id)
        assert (message.channel, message.sender, message.units) == ("whatsapp", "+254709000001", 1)
        assert [line.kind for line in talk_of(thread(acme), size=9).lines] == ["in", "out"]
        world.check_books()
        write(road, "STOP", first=2, channel="whatsapp", to="254709000001")
        with pytest.raises(OptedOut):
            self.send(acme, amina, token="t2", expected_cost_micros=500_000)  # noqa: S106


class TestData:
    def test_erasing_a_person_takes_the_thread_and_its_notes(self, acme, road, code, amina):
        write(road, "Habari")
        write(road, "Hujambo", first=9, sender=world.number(5))
        service.add_note(thread=Thread.objects.for_client(acme).get(person=PERSON), text="Owes us", by=amina)
        person = Person((PERSON,), (), "#erased")

        told = [facts for kind, facts in holdings._collect(acme.pk, person) if kind == "note"]
        assert [facts["text"] for facts in told] == ["Owes us"]
        holdings._erase(acme.pk, person)

        assert list(Thread.objects.for_client(acme).values_list("person", flat=True)) == [world.number(5)]
        assert ThreadEvent.objects.unscoped().count() == 0


@pytest.mark.django_db(transaction=True)
def test_many_messages_at_once_count_each_and_make_one_thread(acme, road):
    approve_sender_id(client=acme, name="22384")
    start = threading.Barrier(6)

    def told(number):
        try:
            start.wait(10)
            inbound.receive(account_id=road.pk, notices=[notice(message_id=f"in-{number % 3}")])
        finally:
            connections.close_all()

    workers = [threading.Thread(target=told, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert (Thread.objects.for_client(acme).get().unread, InboundMessage.objects.unscoped().count()) == (3, 3)
