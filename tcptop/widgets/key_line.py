"""The last line: the keys that matter most."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import Ledger
from tcptop.text_line import Line, Piece
from tcptop.widgets.choices import Choices
from tcptop.widgets.line import width
from tcptop.widgets.pane import Pane

KEYS: tuple[tuple[str, str], ...] = (
    ("?", "help"),
    ("q", "quit"),
    ("m", "full/TIME_WAIT"),
    ("0-9 [ ] =", "node"),
    ("ENTER i", "explain"),
    ("z", "pause"),
    ("c o a n …", "sort"),
    ("SPACE", "sample"),
    ("+ -", "interval"),
    ("y", "blocks/bytes"),
    ("Tab ↑ ↓", "scroll"),
)
"""The most wanted first: the line is cut where it ends."""


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
    """The keys that fit whole into the width."""
    pieces: list[Piece] = []
    for key, meaning in KEYS:
        entry: list[Piece] = [(f" {key}", "accent"), (f" {meaning} ", "text")]
        if width(tuple(pieces + entry)) > columns:
            break
        pieces += entry
    return tuple(pieces)
