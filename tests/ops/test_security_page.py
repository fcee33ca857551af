"""docs/security.md names tests: each of them is there."""

import re
from pathlib import Path

import pytest
from django.conf import settings

PAGE = Path(settings.BASE_DIR, "docs/security.md").read_text()
NAMED = sorted(set(re.findall(r"`([a-z_/]+\.py)(?:::(test_\w+)…?)?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_what_the_page_refers_to_exists(path, name):
    root = Path(settings.BASE_DIR)
    found = root / "tests" / path if (root / "tests" / path).exists() else root / path
    assert found.is_file()
    assert not name or f"def {name}" in found.read_text()


def test_every_chapter_has_its_place():
    chapters = set(map(int, re.findall(r"^## V(\d+)", PAGE, re.M))) | {17}
    assert chapters == set(range(1, 18))
