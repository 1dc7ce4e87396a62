"""The last line: the keys that matter most."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import Ledger
from tcptop.text.line import Line, Piece
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import line_width
from tcptop.widgets.pane import Pane

KeyHint = tuple[str, str, str]

KEYS: tuple[KeyHint, ...] = (
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

LIVE_ONLY_KEYS = ("+-", "SPACE", "z")
"""Keys that do something else, or nothing, in a recording."""
COMMON_KEYS = tuple(each for each in KEYS if each[0] not in LIVE_ONLY_KEYS)

REPLAY_KEYS: tuple[KeyHint, ...] = (
    ("t T", "next/before", "step"),
    ("j", "jump", "jump"),
    ("SPACE", "play", "play"),
    ("+-", "speed", "speed"),
    ("< >", "first/last", "ends"),
    *COMMON_KEYS,
)
LOOKING_BACK_KEYS: tuple[KeyHint, ...] = (
    ("t T", "next/before", "step"),
    ("j", "jump", "jump"),
    ("Z", "live", "live"),
    *COMMON_KEYS,
)


class KeyLine(Pane):
    """One line without a box."""

    DEFAULT_CSS = """
    KeyLine { height: 1; background: $panel; }
    """

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """A line has no edges."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """As many keys as fit whole."""
        if choices.looking_back:
            return [key_line(columns, LOOKING_BACK_KEYS)]
        return [key_line(columns, KEYS if choices.player is None else REPLAY_KEYS)]


def key_line(columns: int, shown: Sequence[KeyHint] = KEYS) -> Line:
    """The keys that fit whole into the width; in few words where not all fit in full."""
    full = _line([(key, meaning) for key, meaning, _ in shown])
    if line_width(full) <= columns:
        return full
    entries = [(key, word) for key, _, word in shown]
    fits = (_line(entries[:end]) for end in range(len(entries), 0, -1))
    return next((line for line in fits if line_width(line) <= columns), ())


def _line(entries: Sequence[tuple[str, str]]) -> Line:
    pieces: list[Piece] = []
    for key, meaning in entries:
        pieces += [(f"{'  ' if pieces else ' '}{key}", "accent"), (f" {meaning}", "text")]
    return tuple(pieces)
