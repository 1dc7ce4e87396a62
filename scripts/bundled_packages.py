"""Installs packages into a folder for a distribution of tcptop: the single file or the Debian package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LEFT_OUT = ("bin", "share")
"""Folders of programs, manuals and completions, which the Debian package installs elsewhere."""
LEFT_OUT_FILES = ("RECORD", "REQUESTED", "INSTALLER", "direct_url.json")
"""Files that only pip needs."""


def install_packages(requirement: str, place: Path, *options: str) -> None:
    """Installs a requirement and its dependencies, without bytecode."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*command, *options, "--target", place, requirement], check=True)
    for path in sorted(place.rglob("*"), reverse=True):
        if path.relative_to(place).parts[0] in LEFT_OUT or path.name in LEFT_OUT_FILES:
            path.rmdir() if path.is_dir() else path.unlink()
