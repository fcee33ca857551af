"""Installations of a test's own, on the kind of database that the test run is on, for one command after another."""

import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
from django.db import connection

from tests.ops.installation import ROOT, own_environment


class Place:
    """An installation of its own: a folder, and on PostgreSQL a database."""

    def __init__(self, folder: Path, **extra: str) -> None:
        self.folder = folder
        self.name = ""
        self.extra = extra
        if connection.vendor == "postgresql":
            facts = connection.settings_dict
            self.name = f"backup_{uuid.uuid4().hex[:12]}"
            with _server() as server:
                server.execute(f'CREATE DATABASE "{self.name}"')
            secret = f":{facts['PASSWORD']}" if facts["PASSWORD"] else ""
            address = f"{facts['USER']}{secret}@{facts['HOST']}:{facts['PORT'] or 5432}"
            self.extra["DATABASE_URL"] = f"postgres://{address}/{self.name}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = own_environment(self.folder, **self.extra, PYTHONPATH=str(ROOT))
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900,
        )  # fmt: skip

    def manage(self, *words: str) -> str:
        ended = self.run(*words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def close(self) -> None:
        if self.name:
            with _server() as server:
                server.execute(f'DROP DATABASE "{self.name}" WITH (FORCE)')


def _server() -> psycopg.Connection:
    facts = connection.settings_dict
    return psycopg.connect(
        host=facts["HOST"], port=facts["PORT"] or 5432, user=facts["USER"], password=facts["PASSWORD"] or None,
        dbname="postgres", autocommit=True,
    )  # fmt: skip
