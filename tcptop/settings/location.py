"""Finds the path of the settings file.

If the file does not exist, a report imports no other module of tcptop.settings.
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
