"""Key line: the most used keys, in the last line of the screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from textual.events import Click
from textual.keys import _character_to_key

from tcptop.ledger import Ledger
from tcptop.text.line import Line, Piece
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import cell_width, first_fitting_line
from tcptop.widgets.palette import has_room
from tcptop.widgets.pane import Pane

KeyHint = tuple[str, str, str]
"""A key, its meaning, and the meaning in one word."""

KEYS: tuple[KeyHint, ...] = (
    ("?", "help", "help"),
    ("q", "quit", "quit"),
    ("W", "who holds it", "who"),
    ("m", "open sockets/TIME_WAIT", "TIME_WAIT"),
    ("M", "plan", "plan"),
    ("ENTER", "explain", "explain"),
    ("Tab", "pane", "pane"),
    (":", "more", "more"),
    ("=", "all nodes", "nodes"),
    ("k", "mark", "mark"),
    ("i", "info", "info"),
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
"""Key hints, the most used keys first, because a narrow terminal omits the last keys."""

WIDE_GAP_COLUMNS = 50
"""The smallest width of a line with two spaces between its hints."""
MODE_HINT, NODES_HINT = (next(hint for hint in KEYS if hint[0] == key) for key in ("m", "="))
BACK_HINT: KeyHint = ("m", "open sockets/TIME_WAIT", "sockets")
"""Hint that replaces MODE_HINT while TIME_WAIT is shown."""
TABLE_HINT: KeyHint = ("q", "table of hosts", "table")
"""Hint that replaces the hint to quit if `q` leads back to the table of hosts."""
FROM_TABLE_CLASS = "-from-table"
"""CSS class of an app in which `q` leads back to the table of hosts."""
LIVE_ONLY_KEYS = ("+-", "SPACE", "z")
"""Keys that have another meaning, or no meaning, in a recording."""
ZOOM_HINT: KeyHint = ("ESC", "all panes", "panes")
FILTER_HINT: KeyHint = ("ESC", "end filter", "end filter")
MARK_HINT: KeyHint = ("k", "end the mark", "end mark")
"""ZOOM_HINT is shown only while a pane fills the screen, FILTER_HINT while a name filter is set, MARK_HINT while a mark
is.
"""
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


NAMED_KEYS = {"SPACE": "space", "ENTER": "enter", "Tab": "tab", "ESC": "escape"}
"""Maps the key of a hint to Textual's name of the key. A key that is a single character needs no entry."""
NO_FOCUS_PANES = frozenset({"head", "keys", "timeline"})
"""Ids of the panes that Tab skips."""


class Moment(NamedTuple):
    """Facts that decide which keys have an effect now."""

    ledger: Ledger
    view: View
    enter: str
    """Name of what ENTER does in the pane with the focus; empty if ENTER does nothing."""
    has_palette: bool

    @property
    def panes(self) -> frozenset[str]:
        """Ids of the visible panes that Tab reaches."""
        return self.view.panes - NO_FOCUS_PANES

    @property
    def is_saved(self) -> bool:
        """True if there is only one sample, which never changes."""
        return not self.ledger.live and self.view.player is None

    @property
    def has_nodes(self) -> bool:
        """True if the machine has several nodes."""
        return len(self.ledger.nodes) > 1

    @property
    def has_nodes_beside(self) -> bool:
        """True if the table of the nodes is visible beside other panes."""
        return {"nodes", "caches"} <= self.panes

    @property
    def has_steps(self) -> bool:
        """True if a recording has more than one sample."""
        return self.view.player is not None and self.view.player.last_index > 0


WORKS: Mapping[str, Callable[[Moment], bool]] = {
    "W": lambda now: now.view.player is None or now.ledger.holders is not None,
    "ENTER": lambda now: bool(now.enter),
    "Tab": lambda now: len(now.panes) > 1,
    ":": lambda now: now.has_palette,
    "=": lambda now: now.has_nodes and (now.view.choices.node is not None or not now.has_nodes_beside),
    "k": lambda now: not now.is_saved,
    "/": lambda now: "caches" in now.panes,
    "0-9[]": lambda now: now.has_nodes,
    "c n …": lambda now: "caches" in now.panes,
    "r": lambda now: "caches" in now.panes,
    "z": lambda now: not now.is_saved,
    "SPACE": lambda now: not now.is_saved and (now.view.player is None or now.view.looking_back or now.has_steps),
    "x": lambda now: not now.is_saved,
    "y": lambda now: "buddy" in now.panes and now.ledger.host.page_size_bytes is not None,
    "+-": lambda now: not now.is_saved and (now.view.player is None or now.has_steps),
    "t T": lambda now: now.has_steps,
    "< >": lambda now: now.has_steps,
}
"""For each key that does not always have an effect, a function that tells if the key has an effect now."""


def working_hints(hints: Sequence[KeyHint], now: Moment) -> tuple[KeyHint, ...]:
    """The hints whose keys have an effect now."""
    shown = [hint for hint in hints if hint[0] not in WORKS or WORKS[hint[0]](now)]
    enter: KeyHint = ("ENTER", now.enter, now.enter.partition(" ")[0])
    shown = [enter if hint[0] == "ENTER" else hint for hint in shown]
    if now.view.mark is not None:
        shown = [MARK_HINT, *(hint for hint in shown if hint[0] != "k")]
    if len(now.panes) == 1 or "figure" not in now.panes:
        shown.insert(0, ZOOM_HINT)
    elif now.view.choices.name_filter:
        shown.insert(0, FILTER_HINT)
    return tuple(shown)


class KeyLine(Pane):
    """The last line of the screen."""

    DEFAULT_CSS = """
    KeyLine { height: 1; background: $panel; }
    """

    def on_click(self, event: Click) -> None:
        """Presses the clicked key; a click on the meaning in a hint presses the first key of the hint."""
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
        """The keys that have an effect now, as many as fit.

        If the table of the nodes is not visible, the key of the nodes comes early.
        """
        hints = KEYS if self._view.player is None else REPLAY_KEYS
        if self._view.looking_back:
            hints = LOOKING_BACK_KEYS
        focused = self.screen.focused
        enter = focused.enter_meaning if isinstance(focused, Pane) else ""
        hints = working_hints(hints, Moment(ledger, self._view, enter, has_room(self.app.size)))
        nodes_early = NODES_HINT in hints
        if self.app.has_class(FROM_TABLE_CLASS):
            hints = tuple(TABLE_HINT if hint[0] == "q" else hint for hint in hints)
        return [key_line(columns, hints, nodes_early, choices.mode == "time_wait")]


@lru_cache(32)
def key_line(
    columns: int, hints: tuple[KeyHint, ...] = KEYS, nodes_early: bool = False, in_time_wait: bool = False
) -> Line:
    """The keys that fit into `columns`.

    If `nodes_early` is true, the key of the nodes precedes the key of the accounting. If all keys fit with their full
    meanings, the full meanings are shown. If not all keys fit with their full meanings, each meaning is only one word.
    """
    if nodes_early:
        others = [hint for hint in hints if hint != NODES_HINT]
        others.insert(others.index(MODE_HINT), NODES_HINT)
        hints = tuple(others)
    if in_time_wait:
        hints = tuple(BACK_HINT if hint == MODE_HINT else hint for hint in hints)
    full = _line([(key, meaning) for key, meaning, _ in hints])
    entries = [(key, word) for key, _, word in hints]
    gap = " " if columns < WIDE_GAP_COLUMNS else "  "
    return first_fitting_line([full, *(_line(entries[:end], gap) for end in range(len(entries), -1, -1))], columns)


def _line(entries: Sequence[tuple[str, str]], gap: str = "  ") -> Line:
    pieces: list[Piece] = []
    for key, meaning in entries:
        pieces += [(f"{gap if pieces else ' '}{key}", "accent"), (f" {meaning}", "text")]
    return tuple(pieces)
