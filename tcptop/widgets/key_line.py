"""The last line: the keys that matter most."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import Ledger
from tcptop.text_line import Line, Piece
from tcptop.widgets.choices import Choices
from tcptop.widgets.line import width
from tcptop.widgets.pane import Pane

KEYS: tuple[tuple[str, str, str], ...] = (
    ("?", "help", "help"),
    ("q", "quit", "quit"),
    ("m", "full/TIME_WAIT", "mode"),
    ("0-9[]=", "node", "node"),
    ("i", "explain", "info"),
    ("/", "find", "find"),
    ("c n …", "sort", "sort"),
    ("r", "all caches", "all"),
    ("k", "mark", "mark"),
    ("z", "pause", "pause"),
    ("SPACE", "sample", "sample"),
    ("x", "graphs", "graphs"),
    ("y", "blocks/bytes", "unit"),
    ("+-", "interval", "interval"),
    ("Tab↑↓", "scroll", "scroll"),
    ("ENTER", "explain", "explain"),
    (":", "more", "more"),
)
"""Each key with what it does, in full and in one word. The most wanted come first: the line is cut where it ends."""


class KeyLine(Pane):
    """One line without a box."""

    DEFAULT_CSS = """
    KeyLine { height: 1; background: $panel; }
    """

    def titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """A line has no edges."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """As many keys as fit whole."""
        return [keys(columns)]


def keys(columns: int) -> Line:
    """The keys that fit whole into the width; in few words where not all fit in full."""
    full = _line([(key, meaning) for key, meaning, _ in KEYS])
    if width(full) <= columns:
        return full
    entries = [(key, word) for key, _, word in KEYS]
    fits = (_line(entries[:end]) for end in range(len(entries), 0, -1))
    return next((line for line in fits if width(line) <= columns), ())


def _line(entries: Sequence[tuple[str, str]]) -> Line:
    pieces: list[Piece] = []
    for key, meaning in entries:
        pieces += [(f"{'  ' if pieces else ' '}{key}", "accent"), (f" {meaning}", "text")]
    return tuple(pieces)
