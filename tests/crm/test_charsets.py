"""Charsets that break Django's own reading of a request never reach it."""

import io

import pytest

from crm.wsgi import application


def ask(content_type: str) -> str:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/test_connection",
        "QUERY_STRING": "a=%C3%A9",
        "CONTENT_TYPE": content_type,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "HTTP_HOST": "localhost",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
    }
    told = []
    response = application(environ, lambda status, headers: told.append(status))
    response.close()
    return told[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "charset", ["base64", "undefined", "idna", '"rot13"', "hex", "nothing", "utf-16", "x\x00y", "UTF-8", "latin-1", ""]
)
def test_U1_no_charset_breaks_a_request(charset):
    assert ask(f"application/x-www-form-urlencoded; charset={charset}") == "200 OK"
