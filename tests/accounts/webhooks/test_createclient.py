"""`manage.py createclient --webhook-url`: the client is told of every event, signed with the secret printed."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Client, WebhookEndpoint

pytestmark = pytest.mark.django_db
BASICS = ["--name", "Acme", "--email", "owner@acme.test", "--password", "kikombe cha chai 7", "--credit", "5", "--json"]


def run(*options):
    out = StringIO()
    call_command("createclient", *BASICS, *options, stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def test_a_webhook_with_a_made_or_a_given_secret():
    told = run("--webhook-url", "https://example.com/h")
    made = WebhookEndpoint.objects.for_client(told["client_id"]).get()
    assert (made.pk, made.secret, made.events, made.url) == (
        told["webhook_id"], told["webhook_secret"], ["*"], "https://example.com/h",
    )  # fmt: skip


def test_the_given_secret_is_kept():
    assert run("--webhook-url", "https://example.com/h", "--webhook-secret", "x" * 20)["webhook_secret"] == "x" * 20


@pytest.mark.parametrize(
    "options",
    [
        ("--webhook-url", "https://127.0.0.1/h"),
        ("--webhook-url", "https://example.com/h", "--webhook-secret", "short"),
        ("--webhook-secret", "x" * 20),
    ],
)
def test_a_refused_webhook_opens_no_client(options):
    with pytest.raises(CommandError):
        run(*options)
    assert not Client.objects.exists()
