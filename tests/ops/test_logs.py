"""Log lines as JSON (crm/logs.py)."""

import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

from django.test import RequestFactory

from crm.celery import app
from crm.common.acting import Actor, acting_as, key_acts, request_acts
from crm.logs import JsonFormatter
from tests.ops.installation import manage


def line(message: str = "hello %s", *args: object, **extra: object) -> dict:
    record = logging.getLogger("tests").makeRecord(
        "tests", logging.WARNING, __file__, 1, message, args or ("you",), None, extra=extra
    )
    written = JsonFormatter().format(record)
    assert "\n" not in written
    return json.loads(written)


def test_a_line_has_time_level_logger_message_and_whatever_else_was_given() -> None:
    found = line(message_id=7, account_id=3)
    assert found.pop("time").endswith("+00:00")
    assert found == {"level": "warning", "logger": "tests", "message": "hello you", "message_id": 7, "account_id": 3}


def test_within_a_request_a_line_names_it_and_its_key_and_client() -> None:
    with request_acts(RequestFactory().get("/")) as number:
        assert line()["request"] == number
        assert "client" not in line()
        key_acts(SimpleNamespace(pk=5, client_id=9))
        assert {"request": number, "client": 9, "key": 5}.items() <= line().items()
    assert "request" not in line()


def test_a_page_names_the_organisation_and_work_for_somebody_its_request() -> None:
    request = RequestFactory().get("/")
    request.client = SimpleNamespace(pk=4)
    with request_acts(request):
        assert line()["client"] == 4
    with acting_as(Actor("user", 1, "amina@acme.test", "", "abc")):
        assert line()["request"] == "abc"


def test_within_a_task_a_line_names_it() -> None:
    found: list[dict] = []

    @app.task(name="tests.says")
    def says() -> None:
        found.append(line())

    try:
        says.apply(task_id="id-of-the-task")
    finally:
        app.tasks.pop("tests.says")
    assert (found[0]["task"], found[0]["task_name"]) == ("id-of-the-task", "tests.says")


def test_an_exception_and_strange_values_stay_on_one_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info(), "where": Path("a")})
    found = json.loads(JsonFormatter().format(record))
    assert "two\nlines" in found["exception"]
    assert found["where"] == "a"


def test_a_process_writes_json_when_it_is_told_to(tmp_path: Path) -> None:
    code = "import logging; logging.getLogger('tests').error('hello')"
    ended = manage(tmp_path, "shell", "--no-imports", "-c", code, LOG_FORMAT="json")
    assert json.loads(ended.stderr.strip().splitlines()[-1])["message"] == "hello"
