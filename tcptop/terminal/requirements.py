"""Requirements of the screen: a terminal that can position its cursor."""

from __future__ import annotations

import os
import sys

from tcptop.errors import TcptopError


def require_terminal() -> None:
    """Checks that the screen can be drawn.

    Raises:
        TcptopError: if a standard stream is no terminal, or the terminal cannot position its cursor (TERM=dumb).

    """
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise TcptopError("the screen needs a terminal (ssh -t); use -o for a text report or --json for JSON")
    if os.environ.get("TERM") == "dumb":
        raise TcptopError(
            "this terminal can only be written line by line (TERM=dumb); use -o for a text report or --json for JSON"
        )
