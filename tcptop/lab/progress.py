"""A progress bar on standard error, only where that is a terminal."""

from __future__ import annotations

import sys

WIDTH = 30


class ProgressBar:
    """One line that is written over itself, and wiped away at the end."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""

    def show(self, title: str, share: float) -> None:
        """Draws what is being done and how much of all is done, 0 to 1."""
        filled = round(WIDTH * share)
        line = f"lab [{'#' * filled}{' ' * (WIDTH - filled)}] {100 * share:3.0f} %  {title.rstrip('/')}"
        if self._terminal and line != self._shown:
            sys.stderr.write(f"\r{line.ljust(len(self._shown))}")
            sys.stderr.flush()
            self._shown = line

    def wipe(self) -> None:
        """Leaves the line empty for what comes next."""
        if self._shown:
            sys.stderr.write(f"\r{' ' * len(self._shown)}\r")
            sys.stderr.flush()
            self._shown = ""
