"""The command, on the same engine as the page."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from contacts.models import Contact, ContactImport, Group

pytestmark = pytest.mark.django_db
TEXT = "Name,Phone\nAnn,0712345678\nBen,12\nAnn,0712345678\n"


def run(*args) -> str:
    out = StringIO()
    call_command("loadcontacts", *map(str, args), stdout=out)
    return out.getvalue()


def test_loads_into_a_group_and_says_what_was_refused(acme, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text(TEXT)

    out = run(file, "--client", acme.pk, "--group", "New ones")

    assert out.startswith("3 rows: 1 new, 0 updated, 0 as they were, 1 duplicates in the file, 1 rejected.")
    assert "row 3: Too short" in out
    assert Group.objects.for_client(acme).get().members.filter(client=acme).count() == 1
    assert "1 as they were" in run(file, "--client", acme.pk, "--group", "new ones")
    assert Group.objects.for_client(acme).count() == 1


def test_dry_run_writes_nothing(acme, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text(TEXT)

    out = run(file, "--client", acme.pk, "--group", "New ones", "--dry-run")

    assert out.startswith("3 rows: 1 new, 0 to update, 0 left as they are, 1 duplicates in the file, 1 to reject.")
    assert not Contact.objects.for_client(acme).exists()
    assert not ContactImport.objects.for_client(acme).exists()
    assert not Group.objects.for_client(acme).exists()


def test_refusals_are_sentences(acme, tmp_path):
    with pytest.raises(CommandError, match="There is no client 999"):
        run(tmp_path / "x", "--client", 999)
    with pytest.raises(CommandError, match="There is no file"):
        run(tmp_path / "x", "--client", acme.pk)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(CommandError, match="This file is empty"):
        run(empty, "--client", acme.pk)
