"""What `web`, `worker`, `beat`, `prepare` and `serve` refuse to start with (crm/checks.py)."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from crm.checks import check_production
from tests.ops.installation import manage

SAFE = {
    "PUBLIC_URL": "https://crm.example.com", "HTTPS": True, "DEBUG": False, "ALLOWED_HOSTS": ["crm.example.com"],
    "SECURE_SSL_REDIRECT": True, "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
    "TRUSTED_PROXY_COUNT": 1, "STAFF_SECOND_FACTOR": True, "CELERY_BROKER_URL": "redis://10.0.0.2:6379/0",
    "CACHE_URL": "redis://10.0.0.2:6379/1", "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
    "DEFAULT_FROM_EMAIL": "crm@example.com", "SECRET_KEY": "k8Qz3wXv7RpLmN2sTbYc5Hd9Jf0GaEu4Wq6ZxVtBnM1PoIrSyD",
    "ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
    "DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "10.0.0.3"}},
}  # fmt: skip


@pytest.fixture
def codes(settings, monkeypatch: pytest.MonkeyPatch):
    """The ids that these settings earn beside safe ones; a name in capitals with `env_` goes to the environment."""

    def ask(**changes: object) -> list[str]:
        environment = {"SECRET_KEY": "given", "ENCRYPTION_KEY": "given", "EMAIL_URL": "smtp://mail.example.com"}
        environment |= {name[4:]: str(value) for name, value in changes.items() if name.startswith("env_")}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        facts = SAFE | {name: value for name, value in changes.items() if not name.startswith("env_")}
        for name, value in facts.items():
            setattr(settings, name, value)
        return [str(message.id).removeprefix("tarishi.") for message in check_production()]

    return ask


def test_a_careful_installation_has_nothing_to_hear(codes) -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"SECRET_KEY": "a" * 60}, ["E001"]),
        ({"SECRET_KEY": "django-insecure-k8Qz3wXv7RpLmN2sTbYc5Hd9Jf0GaEu4Wq6ZxVtBn"}, ["E001"]),
        ({"ENCRYPTION_KEYS": ["k8Qz3wXv7RpLmN2sTbYc5Hd9Jf0GaEu4Wq6ZxVtBnM1PoIrSyD"]}, ["E002"]),
        ({"DEBUG": True}, ["E003"]),
        ({"PUBLIC_URL": "http://crm.example.com", "HTTPS": False}, ["E004"]),
        ({"PUBLIC_URL": "http://192.168.1.20:8000", "HTTPS": False}, ["W004"]),
        ({"PUBLIC_URL": "http://server", "HTTPS": False}, ["W004"]),
        ({"ALLOWED_HOSTS": ["*"]}, ["E005"]),
        ({"SECURE_PROXY_SSL_HEADER": None}, ["W006"]),
        ({"TRUSTED_PROXY_COUNT": 0}, ["W007"]),
        ({"STAFF_SECOND_FACTOR": False}, ["W008"]),
        ({"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}}}, ["E009"]),
        ({"CELERY_BROKER_URL": "safefs://localhost"}, ["W010"]),
        ({"env_SECRET_KEY": ""}, ["E011"]),
        ({"env_ENCRYPTION_KEY": ""}, ["E011"]),
        ({"env_EMAIL_URL": "", "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}, ["E012"]),
        ({"env_EMAIL_URL": "consolemail://", "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}, []),
        ({"DEFAULT_FROM_EMAIL": "tarishi@localhost"}, ["W013"]),
    ],
)
def test_each_unsafe_setting_is_named(codes, change: dict[str, object], expected: list[str]) -> None:
    assert codes(**change) == expected


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_on_ones_own_machine_only_secrets_matter(codes, address: str) -> None:
    assert codes(PUBLIC_URL=address, HTTPS=False, DEBUG=True, ALLOWED_HOSTS=["*"]) == []
    assert codes(PUBLIC_URL=address, HTTPS=False, SECRET_KEY="a" * 60) == ["E001"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["web", "worker", "beat", "prepare", "serve"])
def test_an_unsafe_installation_does_not_start(tmp_path: Path, command: str) -> None:
    ended = manage(tmp_path, command, PUBLIC_URL="http://crm.example.com")
    assert ended.returncode != 0
    assert "PUBLIC_URL is plain http://" in ended.stderr
    assert not (tmp_path / "tarishi.sqlite3").exists(), "it touched the database before it looked"


def test_a_replica_of_sqlite_and_traces_without_their_packages_are_refused(
    codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.checks.replica.is_configured", lambda: True)
    assert codes() == []
    here = {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}}, "CELERY_BROKER_URL": "safefs://"}
    assert codes(**here, CACHE_URL="") == ["E015"]
    monkeypatch.setattr("crm.checks.replica.is_configured", lambda: False)
    assert codes(OTEL_EXPORTER_OTLP_ENDPOINT="http://10.0.0.4:4318") == ["E014"]
