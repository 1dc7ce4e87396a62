"""One line of the settings file. Apart from the settings, since most people have no such file."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def values(line: str) -> dict[str, Any]:
    """What a line sets.

    Raises:
        ValueError: when it is not TOML.
    """
    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        raise ValueError("not TOML") from None
