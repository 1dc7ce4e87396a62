"""The date of this version, as the manual pages and the Debian package print it."""

from __future__ import annotations

import re
from pathlib import Path

from tcptop import __version__

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"


def release_date() -> str:
    """The date of this version in the changelog, such as 2026-11-27."""
    found = re.search(rf"^## {re.escape(__version__)} - (\S+)", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"CHANGELOG.md has no section of {__version__}"
    return found[1]
