"""Looks through the tracked files for what must never be published: secrets, paths of a machine, package hosts.

Prints each finding as file:line and exits 1 when there is one.
"""

import re
import subprocess
import sys
from pathlib import Path

LOCK_FILES = {"requirements.lock", "requirements-dev.lock", "package-lock.json"}
EVERYWHERE = {
    "private key": re.compile(r"-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----"),
    "access token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|xox[abpr]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16})\b"),
    "password in an address": re.compile(r"\b[a-z][a-z+]+://[^\s:/@'\"{}$]+:[^\s:/@'\"{}$…]{3,}@(?!example|localhost)"),
    "path of a machine": re.compile(r"(?<![\w.$}/-])/(?:home|root|Users|work)/[A-Za-z0-9_.-]+"),
    "package index option": re.compile(r"--(?:extra-)?index-url[ =]\S*:|--find-links[ =]\S*[:/]"),
}
IN_LOCKS = {"address in a lock file": re.compile(r"https?://|file:|--index|--find-links")}


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True, text=True).stdout
    found = [line for name in listed.split("\0") if name for line in findings(Path(name))]
    print("\n".join(found) or "nothing found")
    return 1 if found else 0


def findings(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return []
    rules = IN_LOCKS if path.name in LOCK_FILES else EVERYWHERE
    return [
        f"{path}:{number}: {what}"
        for number, line in enumerate(text.splitlines(), start=1)
        for what, pattern in rules.items()
        if pattern.search(line)
    ]


if __name__ == "__main__":
    sys.exit(main())
