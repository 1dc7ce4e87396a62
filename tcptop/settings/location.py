"""Path of the settings file; a report imports only this module if the file does not exist."""

from __future__ import annotations

import os
from collections.abc import Mapping


def settings_file(environment: Mapping[str, str] = os.environ) -> str | None:
    """The path of the settings file, by the XDG Base Directory specification; None if the user has no home folder."""
    base = environment.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.config")  # noqa: PTH111 (Path raises RuntimeError without a home folder)
    return None if base.startswith("~") else os.path.join(base, "tcptop", "config.toml")  # noqa: PTH118
