"""Amina owns Acme and Baraka is her colleague who may only read; Zuri owns another organisation and is a stranger."""

import csv
import io
import shutil
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.test import Client as Browser

from accounts.models import Client, Membership, User
from contacts.models import ContactImport
from contacts.services import begin_import, configure_import, run_import, start_import


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.IMPORT_HOLD_CONSECUTIVE = 0  # many tests count numbers up; test_review.py has those that are held for it
    yield
    shutil.rmtree(settings.MEDIA_ROOT, ignore_errors=True)


def member(client: Client, email: str, role: str) -> User:
    user = User.objects.create_user(email, "a-long-password-7")
    Membership.objects.create(client=client, user=user, role=role)
    return user


@pytest.fixture
def acme(db) -> Client:
    return Client.objects.create(name="Acme", country="KE")


@pytest.fixture
def zuri_ltd(db) -> Client:
    return Client.objects.create(name="Zuri Ltd", country="KE")


def browser_for(user: User) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser


@pytest.fixture
def amina(acme) -> Browser:
    return browser_for(member(acme, "amina@acme.test", "owner"))


@pytest.fixture
def baraka(acme) -> Browser:
    return browser_for(member(acme, "baraka@acme.test", "viewer"))


@pytest.fixture
def zuri(zuri_ltd) -> Browser:
    return browser_for(member(zuri_ltd, "zuri@zuri.test", "owner"))


def upload(content: str | bytes, name: str = "people.csv") -> ContentFile:
    return ContentFile(content.encode() if isinstance(content, str) else content, name=name)


def csv_text(rows: list[list[str]], delimiter: str = ",") -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    return buffer.getvalue()


def started(client: Client, content: str | bytes, name: str = "people.csv") -> ContactImport:
    return start_import(client=client, by=None, upload=upload(content, name))


def load(client: Client, content: str | bytes, name: str = "people.csv", **settings) -> ContactImport:
    """Upload, configure and run a file to its end, as the page and the worker do."""
    batch = started(client, content, name)
    if settings:
        configure_import(contact_import=batch, **settings)
    begin_import(contact_import=batch, background=False)
    assert run_import(import_id=batch.pk)
    return ContactImport.objects.for_client(client).get(pk=batch.pk)


def counts(batch: ContactImport) -> tuple[int, int, int, int, int, int]:
    """(total, imported, updated, skipped, duplicates, failed)."""
    return (
        batch.rows_total, batch.imported, batch.updated, batch.skipped, batch.duplicate_rows, batch.failed,
    )  # fmt: skip


def stored_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
