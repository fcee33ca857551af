"""Migrations take no long lock on tables that are large: what the first release did is listed for operators, and
whatever comes after it makes its indexes live."""

from typing import Any

import pytest
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader

from crm.common.live_migrations import AddIndexLive, DropReferencesLive
from messaging.models import Message
from tests.ops.installation import ROOT

GUIDE = ROOT / "docs/operating/upgrading.md"
LARGE = {
    "message", "messageevent", "ledgerentry", "contact", "providercallback", "campaignrecipient", "webhookdelivery",
    "auditentry", "inboundmessage",
}  # fmt: skip
# The last of each app that reached installations in one step, with a pause: docs/operating/upgrading.md.
WITH_A_PAUSE = {"accounts": 16, "contacts": 7, "messaging": 21, "wallet": 6}
LIVE = (AddIndexLive, DropReferencesLive)
LOCKING = (migrations.AddIndex, migrations.AddConstraint, migrations.AlterField)


def on_large_tables() -> list[tuple[str, str, Any]]:
    """App, name and operation, of every step that reads a whole large table under a lock."""
    found = []
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        if app not in WITH_A_PAUSE:
            continue
        made = {step.name_lower for step in migration.operations if isinstance(step, migrations.CreateModel)}
        for step in migration.operations:
            table = getattr(step, "model_name_lower", "")
            if isinstance(step, LOCKING) and table in LARGE - made and not isinstance(step, LIVE):
                found.append((app, name, step))
    return found


def test_steps_that_read_a_large_table_are_of_the_first_release_and_in_the_guide() -> None:
    guide = GUIDE.read_text()
    for app, name, step in on_large_tables():
        assert int(name[:4]) <= WITH_A_PAUSE[app], f"{app}.{name}: make it live, or in steps ({GUIDE.name})"
        if isinstance(step, migrations.AddIndex):
            assert f"`{step.index.name}`" in guide, f"{app}.{name} is not listed in {GUIDE.name}"


def indexes() -> dict[str, Any]:
    with connection.cursor() as cursor:
        return connection.introspection.get_constraints(cursor, Message._meta.db_table)


@pytest.mark.django_db(transaction=True)
def test_an_index_is_made_live_once_and_taken_away_again() -> None:
    index = models.Index(fields=["sender"], name="message_by_sender_try")
    step = AddIndexLive("message", index)
    state = MigrationLoader(None).project_state()
    after = state.clone()
    step.state_forwards("messaging", after)
    for _ in range(2 if connection.vendor == "postgresql" else 1):  # again, as after an interruption
        with connection.schema_editor(atomic=False) as editor:
            step.database_forwards("messaging", editor, state, after)
        assert "message_by_sender_try" in indexes()
    with connection.schema_editor(atomic=False) as editor:
        step.database_backwards("messaging", editor, after, state)
    assert "message_by_sender_try" not in indexes()


@pytest.mark.django_db
def test_messages_and_timelines_refer_to_nothing_that_the_database_checks() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite keeps its references")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND ("
            "conrelid::regclass::text LIKE 'messaging_messageevent%%' OR conrelid = 'messaging_message'::regclass)", []
        )  # fmt: skip
        assert cursor.fetchall() == []


def test_the_guide_names_the_steps_to_use() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    assert all(step.__name__ in guide for step in LIVE)
