"""Finds the path of the settings file.

The search is a module of its own, so that a report imports the parser of the file only if the file exists.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


def settings_file(environment: Mapping[str, str] = os.environ) -> str | None:
    """The path of the settings file; None if the user has no home folder.

    The path follows the XDG Base Directory specification.
    """
    base = environment.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.config")  # noqa: PTH111 (Path raises RuntimeError without a home folder)
    return None if base.startswith("~") else os.path.join(base, "tcptop", "config.toml")  # noqa: PTH118
