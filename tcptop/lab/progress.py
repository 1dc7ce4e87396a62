"""A progress bar on standard error; draws nothing if standard error is not a terminal."""

from __future__ import annotations

import os
import sys

from tcptop.standard_streams import write_stderr

MAX_BAR_COLUMNS = 30
MIN_BAR_COLUMNS = 6
DEFAULT_COLUMNS = 80


class ProgressBar:
    """One line of the terminal, overwritten in place and cleared at the end."""

    def __init__(self) -> None:
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = ""

    def show(self, title: str, share: float) -> None:
        """Draws the title of the current run, and the progress of the lab; `share` is the progress from 0 to 1."""
        line = progress_line(title, share, stderr_columns())
        if self._terminal and line != self._shown:
            write_stderr(f"\r{line.ljust(len(self._shown))}")
            self._shown = line

    def clear(self) -> None:
        """Clears the line and moves the cursor to its start."""
        if self._shown:
            write_stderr(f"\r{' ' * len(self._shown)}\r")
            self._shown = ""


def progress_line(title: str, share: float, terminal_columns: int) -> str:
    """The bar and the title in one line, which is narrower than the terminal so that the line does not wrap.

    On a narrow terminal, the bar is shortened first. If the line is still too long with the shortest bar, the title is
    cut off.
    """
    spare = terminal_columns - 1 - len(f"lab []  99 %  {title}")
    width = max(MIN_BAR_COLUMNS, min(MAX_BAR_COLUMNS, spare))
    filled = int(width * share)
    # The percentage is rounded down, so that 100 % is never shown before the lab has ended.
    return f"lab [{'#' * filled}{' ' * (width - filled)}] {int(100 * share):3d} %  {title}"[: terminal_columns - 1]


def stderr_columns() -> int:
    """Width of the terminal on standard error, in columns; `DEFAULT_COLUMNS` if the width is unknown."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or DEFAULT_COLUMNS
    except (OSError, ValueError, AttributeError):  # AttributeError is raised if standard error is closed
        return DEFAULT_COLUMNS
