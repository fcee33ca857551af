"""safefs://: several writers and readers at once lose nothing and take nothing twice."""

import multiprocessing
import shutil
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

import crm.common.fsbroker  # noqa: F401 - registers the transport

WRITERS, READERS, EACH = 3, 3, 150


def connect(folder: Path) -> Connection:
    options = {"data_folder_in": str(folder / "in"), "data_folder_out": str(folder / "in"), "polling_interval": 0.01}
    return Connection("safefs://localhost", transport_options=options)


def queue_named(name: str) -> Queue:
    return Queue(name, Exchange(name), routing_key=name)


def write(folder: Path, writer: int) -> None:
    with connect(folder) as connection, connection.Producer() as producer:
        for number in range(EACH):
            # Long enough for a write in place to be met half done.
            body = {"id": f"{writer}-{number}", "filling": "x" * 20_000}
            producer.publish(body, exchange="work", routing_key="work", declare=[queue_named("work")])


def read(folder: Path, found: Any) -> None:
    """Take messages until none has come for two seconds."""
    with connect(folder) as connection, connection.SimpleQueue(queue_named("work")) as incoming:
        while True:
            try:
                message = incoming.get(timeout=2)
            except Empty:
                return
            found.put(message.payload["id"])
            message.ack()


def test_concurrent_writers_and_readers_lose_and_double_nothing(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    found = spawn.Queue()
    people = [spawn.Process(target=read, args=(tmp_path, found)) for _ in range(READERS)]
    people += [spawn.Process(target=write, args=(tmp_path, writer)) for writer in range(WRITERS)]
    for process in people:
        process.start()
    taken = [found.get(timeout=30) for _ in range(WRITERS * EACH)]
    for process in people:
        process.join(30)
    assert [process.exitcode for process in people] == [0] * len(people)
    assert found.empty()
    assert sorted(taken) == sorted(f"{writer}-{number}" for writer in range(WRITERS) for number in range(EACH))
    assert list((tmp_path / "in").iterdir()) == []


@pytest.fixture
def connection(tmp_path: Path):
    with connect(tmp_path) as opened:
        yield opened


def test_queues_do_not_mix_even_where_one_name_begins_another(connection: Connection) -> None:
    main, heavy = queue_named("tarishi"), queue_named("tarishi-heavy")
    with connection.Producer() as producer:
        producer.publish("import", exchange="tarishi-heavy", routing_key="tarishi-heavy", declare=[heavy])
        producer.publish("send", exchange="tarishi", routing_key="tarishi", declare=[main])
    with connection.SimpleQueue(main) as incoming:
        assert incoming.get(timeout=1).payload == "send"
        with pytest.raises(Empty):
            incoming.get(timeout=0.1)
    with connection.SimpleQueue(heavy) as incoming:
        assert incoming.qsize() == 1
        assert incoming.clear() == 1
        assert incoming.qsize() == 0


def test_oldest_first(connection: Connection) -> None:
    with connection.SimpleQueue(queue_named("work")) as line:
        for number in range(5):
            line.put(number)
        assert [line.get(timeout=1).payload for _ in range(5)] == [0, 1, 2, 3, 4]


def test_D3_messages_sent_after_the_folder_was_wiped_arrive(connection: Connection, tmp_path: Path) -> None:
    with connection.SimpleQueue(queue_named("work")) as line:
        line.put("lost")
        shutil.rmtree(tmp_path / "in")
        line.put("kept")
        assert line.get(timeout=1).payload == "kept"
