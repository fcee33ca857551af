"""Charsets that break Django's own reading of a request never reach it."""

import io

import pytest
from django.core.handlers.wsgi import WSGIRequest

from crm.charsets import KnownCharsets
from crm.wsgi import application


def read(content_type: str) -> tuple[str, str]:
    """What Django is told the content type is, and how it then reads a parameter."""
    told = []

    def inner(environ, start_response):
        told.append(environ["CONTENT_TYPE"])
        return [WSGIRequest(environ).GET["a"].encode()]

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "a=%C3%A9",
        "CONTENT_TYPE": content_type,
        "wsgi.input": io.BytesIO(),
    }
    (answer,) = KnownCharsets(inner)(environ, lambda *args: None)
    return told[0], answer.decode()


@pytest.mark.parametrize(
    "charset", ["base64", "undefined", "idna", '"rot13"', "hex", "nothing", "utf-16", "x\x00y", ""]
)
def test_U1_no_charset_breaks_a_request(charset):
    assert read(f"text/plain; charset={charset}") == ("text/plain", "é")
    assert read(f"text/plain;CHARSET={charset}; a=b") == ("text/plain", "é")


@pytest.mark.parametrize("content_type", ["text/plain; charset=UTF-8", "text/plain", "", 'a/b; charset="utf8"'])
def test_what_programs_really_send_stays_as_it_is(content_type):
    assert read(content_type) == (content_type, "é")


def test_the_server_is_given_it_first():
    assert isinstance(application, KnownCharsets)
