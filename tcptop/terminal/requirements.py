"""Requirements of the screen: a terminal that can position its cursor."""

from __future__ import annotations

import os
import sys

from tcptop.errors import TcptopError

COLOR_SYSTEMS = ("auto", "standard", "256", "truecolor", "windows")
TERMINAL_VARIABLES = ("TEXTUAL_COLOR_SYSTEM", "TEXTUAL_DISABLE_KITTY_KEY")
"""Textual's environment variables that describe the terminal."""
MIN_OPEN_FILES = 16
"""Number of open files that the screen needs."""


def require_terminal() -> None:
    """Checks that the screen can be drawn.

    Raises:
        TcptopError: if a standard stream is no terminal, if the terminal cannot position its cursor (TERM=dumb), if the
            limit on open files is too low, or if TEXTUAL_COLOR_SYSTEM has an unknown value.

    """
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise TcptopError("the screen needs a terminal (ssh -t); use -o for a text report or --json for JSON")
    if os.environ.get("TERM") == "dumb":
        raise TcptopError(
            "this terminal can only be written line by line (TERM=dumb); use -o for a text report or --json for JSON"
        )
    if 0 <= os.sysconf("SC_OPEN_MAX") < MIN_OPEN_FILES:
        raise TcptopError("the screen needs more open files; raise the limit (ulimit -n 256)")
    if (colors := os.environ.get("TEXTUAL_COLOR_SYSTEM", "auto")) not in COLOR_SYSTEMS:
        raise TcptopError(f"TEXTUAL_COLOR_SYSTEM is one of {', '.join(COLOR_SYSTEMS)}, not {colors[:40]!r}")


def remove_textual_variables() -> None:
    """Removes environment variables for Textual that are not in TERMINAL_VARIABLES.

    The removed variables could make Textual press keys by itself, save screenshots, write logs, or use another driver.
    """
    for name in [*os.environ]:
        if name.startswith("TEXTUAL") and name not in TERMINAL_VARIABLES:
            del os.environ[name]
