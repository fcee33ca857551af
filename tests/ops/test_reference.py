"""What is generated or written beside the code agrees with the code."""

import tomllib

import pytest
from django.core.management import CommandError, call_command

from crm.management.commands.settings_reference import make_page, read_variables
from tests.ops.installation import ROOT


def test_the_settings_page_is_fresh() -> None:
    call_command("settings_reference", check=True)


def test_a_setting_without_a_meaning_is_refused() -> None:
    source = (ROOT / "crm" / "settings.py").read_text() + '\nNEW = env.int("NEW_LIMIT", 5)\n'
    with pytest.raises(CommandError, match="differ in: NEW_LIMIT"):
        make_page(read_variables(source))


def test_the_fixed_names_are_there() -> None:
    """DESIGN.md, "How it runs": scripts rely on these."""
    names = read_variables((ROOT / "crm" / "settings.py").read_text())
    fixed = "PORT SANDBOX_PORT DATABASE_URL CELERY_BROKER_URL CACHE_URL PUBLIC_URL SECRET_KEY ENCRYPTION_KEY"
    assert set(fixed.split()) | {"AFRICASTALKING_BASE_URL", "WEBHOOK_ALLOWED_NETWORKS"} <= set(names)


def test_every_requirement_is_locked_with_a_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = (ROOT / "requirements.lock").read_text()
    for requirement in project["project"]["dependencies"]:
        name = requirement.split(">")[0].split("[")[0].lower()
        assert f"\n{name}==" in f"\n{locked}".replace("[", "==["), f"{name} is not locked"
    entries = [line for line in locked.splitlines() if line and not line.startswith((" ", "#"))]
    assert locked.count("--hash=sha256:") >= len(entries)
