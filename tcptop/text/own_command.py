"""Shell command that starts this program again as root, for messages that advise the user to do so."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tcptop.text.printable import printable

PROGRAM = "tcptop"
NAMES = (PROGRAM, "tcpmemtop")
ONE_FILE = ".pyz"
"""Suffix of the file if all of tcptop is in a single file. A single file of tcptop runs only with the Python version
for which the file was made.
"""
PLAIN_PATH = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%:,=")


def own_command(arguments: Sequence[str], interpreter: str) -> str:
    """The command that runs this program, with full paths.

    A name without a path might run another program, because root may have another PATH than the user.

    Args:
        arguments: the arguments of the process, the first of which is the path of the program.
        interpreter: the path of the Python interpreter; empty if unknown.

    """
    started = arguments[0] if arguments else ""
    if started.endswith(ONE_FILE) and os.path.isfile(started):  # noqa: PTH113
        return f"{_quote(interpreter)} {_quote(os.path.abspath(started))}"  # noqa: PTH100
    beside = os.path.join(os.path.dirname(interpreter), PROGRAM)  # noqa: PTH118, PTH120 (pathlib takes 15 ms to import)
    for path in (started, beside):
        if os.path.basename(path) in NAMES and os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113, PTH119
            return _quote(os.path.abspath(path))  # noqa: PTH100
    return f"{_quote(interpreter or 'python3')} -m {PROGRAM}"


def as_root() -> str:
    """The command that starts this program again as root."""
    return f"sudo {own_command(sys.argv, sys.executable)}"


def shell_words(arguments: Sequence[str]) -> str:
    """The arguments as a shell command line, each quoted if necessary."""
    return " ".join(map(_quote, arguments))


def _quote(path: str) -> str:
    """The path, quoted if necessary, so that a shell reads it as one word."""
    text = printable(path)
    return text if PLAIN_PATH.issuperset(text) else "'" + text.replace("'", "'\\''") + "'"
