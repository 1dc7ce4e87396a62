"""Help screen (`?`, `h`): the keys (from the app's bindings), the figures, and the columns of the cache table."""

from __future__ import annotations

from collections.abc import Sequence

from textual.screen import ModalScreen

from tcptop.ledger import Ledger
from tcptop.text.cache_columns import COLUMNS
from tcptop.text.line import Line
from tcptop.text.table import fact_lines
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.overlay_screen import OverlayScreen
from tcptop.widgets.scroll_pane import Content, ScrollPane

KEY_WIDTH = 14

OTHER_KEYS: tuple[tuple[str, str], ...] = (
    ("Tab", "the next table"),
    ("↑ ↓ PgUp PgDn", "scroll it; Home and End, too"),
    ("ENTER", "explain the cache, or the part of the bar that ← → chose"),
)
"""Keys that are bound by Textual or by a pane, not by the app."""

FIGURES: tuple[tuple[str, str], ...] = (
    ("connection", "one endpoint: one socket of this kernel; over loopback, two"),
    ("next", "what one more socket takes: its objects' shares of full slab pages"),
    ("now", "what a socket costs on average now: the TCP caches ÷ sockets, and the shared parts"),
    ("accepted", "a server's socket: sock, inode, dentry, file and what security modules hang on them"),
    ("outgoing", "a client's: up to a bind and a bind2 bucket more, for a local port of its own"),
    ("objects", "the same without the packing of slabs"),
    ("TIME_WAIT", "the mini-socket that remains; also FIN_WAIT2 after close()"),
    (
        "≥  ≤  ≈  –",
        "at least: parts are missing · at most · the low end of an estimate · not known, which never means 0",
    ),
    (
        "TCP in the kernel",
        "all kernel memory used by TCP; ≈ if its range is wide; /s beside it is the growth over the last "
        "minutes, and `no trend` means that the noise is larger than the growth",
    ),
    (
        "this netns",
        "in use and TIME_WAIT count one network namespace; sockets, orphans, buffers and slabs count the machine",
    ),
    (
        "5 s",
        "graphs, rates, growth, RAM available and CPU change once in five seconds; counts and sizes with each sample",
    ),
    ("⊃", "a row that the kernel merged with other caches; its counts are those of all of them"),
    ("▸", "the order of the blocks that TCP's slabs are made of"),
    ("headroom", "sockets that the free blocks hold, above the low watermark; types may be taken over"),
)


class HelpPane(ScrollPane):
    """Pane with the text of the help."""

    DEFAULT_CSS = """
    HelpPane { width: 96; max-width: 100%; height: 90%; border: round $secondary; background: $surface; }
    """

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__(id="help")
        self._keys = tuple(keys)

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The title of the help."""
        return "Help ─ arrows scroll, any other key closes"

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """An empty head, and a body with the help on keys, figures and columns."""
        columns_help = [(each.heading.title, each.help) for each in COLUMNS]
        lines: list[Line] = []
        for title, entries in (("Keys", (*OTHER_KEYS, *self._keys)), ("Figures", FIGURES), ("Columns", columns_help)):
            lines.append(((title, "head"),))
            for key, text in entries:
                lines += fact_lines(key, text, columns, KEY_WIDTH, "accent")
            lines.append(())
        return [], lines


class HelpScreen(OverlayScreen, ModalScreen[None]):
    """Screen that shows the help over the panes; scrolling keys scroll the help, any other key closes the screen."""

    CSS = "HelpScreen { align: center middle; }"

    def __init__(self, keys: Sequence[tuple[str, str]], ledger: Ledger, view: View) -> None:
        super().__init__(HelpPane(keys), ledger, view)
