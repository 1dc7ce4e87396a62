"""A progress bar on standard error, only where that is a terminal."""

from __future__ import annotations

import os
import sys

MAX_BAR_COLUMNS = 30
MIN_BAR_COLUMNS = 6
DEFAULT_COLUMNS = 80


class ProgressBar:
    """One line that is written over itself, and wiped away at the end."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""

    def show(self, title: str, share: float) -> None:
        """Draws what is being done and how much of all is done, 0 to 1."""
        line = progress_line(title, share, stderr_columns())
        if self._terminal and line != self._shown:
            sys.stderr.write(f"\r{line.ljust(len(self._shown))}")
            sys.stderr.flush()
            self._shown = line

    def clear(self) -> None:
        """Leaves the line empty for what comes next."""
        if self._shown:
            sys.stderr.write(f"\r{' ' * len(self._shown)}\r")
            sys.stderr.flush()
            self._shown = ""


def progress_line(title: str, share: float, terminal_columns: int) -> str:
    """The line, one column narrower than the terminal, which would wrap it otherwise; the bar gives way first."""
    spare = terminal_columns - 1 - len(f"lab []  99 %  {title}")
    width = max(MIN_BAR_COLUMNS, min(MAX_BAR_COLUMNS, spare))
    filled = int(width * share)
    # Rounded down: it is over when the line is gone, never before.
    return f"lab [{'#' * filled}{' ' * (width - filled)}] {int(100 * share):3d} %  {title}"[: terminal_columns - 1]


def stderr_columns() -> int:
    """How wide the terminal is."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or DEFAULT_COLUMNS
    except (OSError, ValueError):
        return DEFAULT_COLUMNS
