"""What the log may not hold (GUARANTEES.md S2): keys, message texts, whole phone numbers."""

import logging

import pytest
from django.test import Client as Browser

from tests.api.caller import refusal

pytestmark = pytest.mark.django_db


def test_S2_no_secret_reaches_the_log(acme, caplog):
    with caplog.at_level(logging.DEBUG):
        acme.send(body="siri kubwa")
        acme.post("messages/send", {"channel": "sms", "recipient": "254712345678", "body": "siri kubwa"},
                  Idempotency_Key="siri-ya-oda")  # fmt: skip
        refusal(acme.send(body="siri kubwa", recipient="254712345678", sender="NOTMINE"), 400, "INVALID_REQUEST")
        refusal(
            acme.post("messages/send", '{"body": "siri kubwa", "recipient": "254712345678"'), 400, "INVALID_REQUEST"
        )
        refusal(acme.get("nothing", {"api_key": acme.key}), 404, "NOT_FOUND")
        wrong = acme.key[:-1] + "_"
        refusal(Browser().get(acme.url("client/balance"), headers={"X-API-KEY": wrong}), 401, "INVALID_API_KEY")
    shown = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("django.db"))
    for secret in (acme.key, wrong, acme.key.rsplit("_", 1)[1], "siri kubwa", "254712345678", "siri-ya-oda"):
        assert secret not in shown
