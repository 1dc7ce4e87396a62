"""Copy of the screen as text or SVG, in a new file in the current folder."""

from __future__ import annotations

import io
import time
from contextlib import suppress
from typing import Literal

from rich.console import Console
from textual.app import App

from tcptop.named_files import write_new_bytes

MAX_NAMES = 100
"""Maximum number of file names that are tried in one second."""


def screen_as_text(app: App[int]) -> str:
    """The lines of the screen, without trailing spaces."""
    lines = _draw(app).export_text().splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def screen_as_svg(app: App[int]) -> str:
    """The screen as an SVG picture."""
    return _draw(app).export_svg(title=app.title)


def write_screen_file(text: str, ending: Literal["txt", "svg"]) -> str:
    """Writes a new file into the current folder; returns its name, which contains the time of day.

    An existing file is never replaced, and a link is never followed. Raises OSError if the file cannot be written.
    """
    stem = time.strftime("tcptop-%Y%m%d-%H%M%S")
    data = text.encode("utf-8", errors="replace")
    for number in range(1, MAX_NAMES):
        name = f"{stem}{f'-{number}' if number > 1 else ''}.{ending}"
        with suppress(FileExistsError):
            write_new_bytes(name, data)
            return name
    write_new_bytes(name, data)  # raises FileExistsError
    return name


def _draw(app: App[int]) -> Console:
    """A Rich console that has recorded the whole screen, as in Textual's App.export_screenshot()."""
    width, height = app.size
    console = Console(
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        record=True,
        legacy_windows=False,
    )
    screens = app._background_screens
    console.print(app.screen._compositor.render_update(full=True, screen_stack=screens))
    return console
