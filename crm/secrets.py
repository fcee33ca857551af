"""Secrets of an installation that was given none: made once, kept beside its data, readable by its owner alone."""

import os
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.management.utils import get_random_secret_key


def local_secret(folder: Path, name: str) -> str:
    """The value of `name` kept in `folder`/secrets; made on first use. Safe when several processes start at once."""
    path = folder / "secrets" / name.lower()
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        value = Fernet.generate_key().decode() if name == "ENCRYPTION_KEY" else get_random_secret_key()
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            handle.write(value)
        try:
            os.link(draft, path)  # fails where another process was first; its value then holds for both
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
