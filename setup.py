"""Puts templates, styles, translations and documentation, which lie beside the packages here, into the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
FOLDERS = ("templates", "static", "locale", "docs")


class BuildWithFolders(build_py):
    """`crm/bundle/<folder>` in the wheel; crm/settings.py looks there first."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for folder in FOLDERS:
            target = Path(self.build_lib, "crm", "bundle", folder)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(HERE / folder, target, ignore=shutil.ignore_patterns("*.po", "__pycache__"))


setup(cmdclass={"build_py": BuildWithFolders})
