"""Key line: the most used keys, in the last line of the screen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from textual.events import Click
from textual.keys import _character_to_key

from tcptop.ledger import Ledger
from tcptop.text.line import Line, Piece
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import cell_width, first_fitting_line
from tcptop.widgets.pane import Pane

KeyHint = tuple[str, str, str]
"""A key, its meaning, and the meaning in one word."""

KEYS: tuple[KeyHint, ...] = (
    ("?", "help", "help"),
    ("q", "quit", "quit"),
    ("m", "open sockets/TIME_WAIT", "TIME_WAIT"),
    ("M", "plan", "plan"),
    ("W", "who holds it", "who"),
    ("ENTER", "explain", "explain"),
    ("Tab", "pane", "pane"),
    (":", "more", "more"),
    ("=", "all nodes", "nodes"),
    ("k", "mark", "mark"),
    ("i", "explain", "info"),
    ("/", "find", "find"),
    ("0-9[]", "node", "node"),
    ("c n …", "sort", "sort"),
    ("r", "all caches", "all"),
    ("z", "pause", "pause"),
    ("SPACE", "sample", "sample"),
    ("x", "graphs", "graphs"),
    ("y", "blocks/bytes", "unit"),
    ("+-", "interval", "interval"),
)
"""Key hints, the most used keys first, since a narrow terminal leaves out the last keys."""

MODE_HINT, NODES_HINT = (next(hint for hint in KEYS if hint[0] == key) for key in ("m", "="))
BACK_HINT: KeyHint = ("m", "open sockets/TIME_WAIT", "sockets")
"""In place of MODE_HINT while TIME_WAIT is shown."""
LIVE_ONLY_KEYS = ("+-", "SPACE", "z")
"""Keys that have another meaning, or no meaning, in a recording."""
COMMON_KEYS = tuple(hint for hint in KEYS if hint[0] not in LIVE_ONLY_KEYS)

REPLAY_KEYS: tuple[KeyHint, ...] = (
    ("t T", "later/earlier", "step"),
    ("j", "jump", "jump"),
    ("SPACE", "play", "play"),
    ("+-", "speed", "speed"),
    ("< >", "first/last", "ends"),
    *COMMON_KEYS,
)
LOOKING_BACK_KEYS: tuple[KeyHint, ...] = (
    ("t T", "later/earlier", "step"),
    ("j", "jump", "jump"),
    ("Z", "live", "live"),
    *COMMON_KEYS,
)


NAMED_KEYS = {"SPACE": "space", "ENTER": "enter", "Tab": "tab"}
"""Names of the hints that are no single characters."""


class KeyLine(Pane):
    """The last line of the screen."""

    DEFAULT_CSS = """
    KeyLine { height: 1; background: $panel; }
    """

    def on_click(self, event: Click) -> None:
        """Presses the key that is clicked; on the meaning of several keys, presses the first."""
        end, keys = 0, ""
        for text, role in self._lines[0] if self._lines else ():
            start, end = end, end + cell_width(text)
            keys = text.strip() if role == "accent" else keys
            if event.x < end:
                at = event.x - start - (len(text) - len(text.lstrip()))
                character = keys[at] if role == "accent" and 0 <= at < len(keys) and keys[at] != " " else keys[:1]
                self.app.simulate_key(NAMED_KEYS.get(keys) or _character_to_key(character))
                return

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The line with the keys that fit; that of the nodes comes early if their table is not on the screen."""
        hints = KEYS if self._view.player is None else REPLAY_KEYS
        if self._view.looking_back:
            hints = LOOKING_BACK_KEYS
        nodes_early = len(ledger.nodes) > 1 and "nodes" not in self._view.panes
        return [key_line(columns, hints, nodes_early, choices.mode == "time_wait")]


@lru_cache(32)
def key_line(
    columns: int, hints: tuple[KeyHint, ...] = KEYS, nodes_early: bool = False, in_time_wait: bool = False
) -> Line:
    """The keys that fit in `columns`; with `nodes_early`, the key of the nodes stands before the accounting's.

    If all keys fit with their full meanings, each key has its full meaning; otherwise each key has a one-word meaning.
    """
    if nodes_early:
        others = [hint for hint in hints if hint != NODES_HINT]
        others.insert(others.index(MODE_HINT), NODES_HINT)
        hints = tuple(others)
    if in_time_wait:
        hints = tuple(BACK_HINT if hint == MODE_HINT else hint for hint in hints)
    full = _line([(key, meaning) for key, meaning, _ in hints])
    entries = [(key, word) for key, _, word in hints]
    return first_fitting_line([full, *(_line(entries[:end]) for end in range(len(entries), -1, -1))], columns)


def _line(entries: Sequence[tuple[str, str]]) -> Line:
    pieces: list[Piece] = []
    for key, meaning in entries:
        pieces += [(f"{'  ' if pieces else ' '}{key}", "accent"), (f" {meaning}", "text")]
    return tuple(pieces)
