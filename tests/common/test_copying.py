"""Rows by COPY arrive as rows by INSERT do."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction

from crm.common import copying, sql
from messaging.models import Message
from tests.factories import make_client

COLUMNS = (
    "id", "client_id", "recipient", "sender", "text", "content", "reference", "simulated", "units", "created_at",
    "next_attempt_at", "status", "provider_message_id", "network_code", "error_code", "error_message",
    "channel", "source", "priority", "segments", "encoding", "cost_micros", "attempts", "unconfirmed",
)  # fmt: skip
AT = datetime(2026, 3, 1, 12, 30, 5, 123456, tzinfo=UTC)
TEXTS = ["plain", "", "\\N", "tab\there", "two\nlines\rand \\ more", "“é” 😀", '{"a": 1}', "\\."]


def _rows(client, first):
    for number, text in enumerate(TEXTS):
        content = None if number % 2 else {"subject": text, "headers": {"a\tb": 'c"\\'}}
        moment = None if number % 3 else AT
        given = (first + number, client.pk, f"+2547000000{number:02}", "ACME", text, content, "", bool(number % 2))
        yield (*given, number, AT, moment, "held", *[""] * 4, "sms", "api", 0, 1, "gsm7", 10**15, 0, False)


@pytest.mark.django_db
def test_rows_arrive_as_they_were_given(monkeypatch):
    client = make_client()
    monkeypatch.setattr(sql, "WORTH_IT", len(TEXTS))
    with transaction.atomic():
        first = sql.allocate_ids(Message, len(TEXTS))[0]
        sql.insert_rows(Message, COLUMNS, list(_rows(client, first)))
    found = Message.objects.for_client(client).order_by("pk").values_list(*COLUMNS)
    assert [tuple(row) for row in found] == list(_rows(client, first))


@pytest.mark.django_db
def test_what_the_table_refuses_is_an_integrity_error():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no COPY")
    client = make_client()
    rows = list(_rows(client, 1))
    with pytest.raises(IntegrityError), transaction.atomic():
        copying.copy_rows(Message, COLUMNS, [*rows, rows[0]])
    assert not Message.objects.for_client(client).exists()
