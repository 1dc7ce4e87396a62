"""The end of an app after an error in tcptop itself: a short traceback."""

from __future__ import annotations

import traceback

from rich.text import Text
from textual.app import App

from tcptop.text.printable import printable

REPORT = "A fault of tcptop itself. Please report it with these lines."


def end_with_traceback(app: App[int]) -> None:
    """Ends the app because of the exception that is being handled, and prints the traceback after the screen is closed.

    Textual's own traceback also shows the values of variables, which takes minutes for the figures of a machine.
    """
    lines = [printable(line) for line in traceback.format_exc().splitlines()]
    app._exit_renderables.append(Text("\n".join((*lines, REPORT))))
    app._close_messages_no_wait()
