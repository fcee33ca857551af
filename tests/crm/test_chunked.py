"""Bodies without a length reach the views whole, through the application that the server runs."""

import json
from io import BytesIO

import pytest
from django.test import RequestFactory

from crm.chunked import MeasuredBodies
from crm.wsgi import application
from tests.crm.test_createclient import run


class Terminated(BytesIO):
    """A server's input: it ends by itself and cannot be measured."""

    def seek(self, *args):
        raise OSError


def environ(path, body, **headers):
    made = RequestFactory().post(path, headers=headers, content_type="application/json").environ
    del made["CONTENT_LENGTH"]
    return made | {"wsgi.input": Terminated(body), "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}


def call(path, body, **headers):
    answered = []
    chunks = application(environ(path, body, **headers), lambda status, headers: answered.append(status))
    return answered[0], json.loads(b"".join(chunks))


@pytest.mark.django_db(transaction=True)  # the real application closes the connection at the start of a request
def test_a_chunked_body_is_read_and_bounded():
    client = json.loads(run("--json", "--simulation", "--sender-id", "HOSPITAL")[0])
    path, key = f"/api/{client['client_id']}/messages/send", {"X-API-KEY": client["api_key"]}
    body = {"channel": "sms", "recipient": "254712345678", "body": "Karibu"}
    status, answer = call(path, json.dumps(body).encode(), **key)
    assert (status, answer["sender"]) == ("200 OK", "HOSPITAL")
    status, answer = call(path, b"{" + b" " * (2 << 20), **key)
    assert (status[:3], answer["error_code"]) == ("413", "PAYLOAD_TOO_LARGE")


def test_the_largest_upload_is_where_a_body_is_cut(settings):
    settings.MAX_IMPORT_BYTES = 1000
    seen = []

    def reader(environ, start_response):
        seen.append((environ["CONTENT_LENGTH"], len(environ["wsgi.input"].read())))
        return []

    MeasuredBodies(reader)(environ("/", b"x" * (5 << 20)), None)
    length, read = seen[0]
    assert int(length) == read
    assert (1 << 20) < read < (1 << 20) + 1000 + (1 << 16) + 1


def test_a_body_with_a_length_is_left_alone():
    given = environ("/", b"abc") | {"CONTENT_LENGTH": "3"}
    source = given["wsgi.input"]
    MeasuredBodies(lambda environ, _: [] if environ["wsgi.input"] is source else pytest.fail("replaced"))(given, None)
