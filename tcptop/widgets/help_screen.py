"""Help screen (`?`, `h`): the keys (from the app's bindings), and the words and columns, from the glossary."""

from __future__ import annotations

from collections.abc import Sequence

from textual.screen import ModalScreen

from tcptop.explanation.glossary import HELP_WORDS, find_entries
from tcptop.ledger import Ledger
from tcptop.text.cache_columns import COLUMNS
from tcptop.text.line import Line
from tcptop.text.table import fact_lines
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.overlay_screen import OverlayScreen
from tcptop.widgets.scroll_pane import Content, ScrollPane

KEY_WIDTH, WORD_WIDTH = 14, max(map(len, HELP_WORDS))
WORDS_TITLE = "Words (all of them: tcptop explain words, or the last page of i)"

OTHER_KEYS: tuple[tuple[str, str], ...] = (
    ("Tab", "the next table"),
    ("↑ ↓ PgUp PgDn", "scroll it; Home and End, too"),
    ("ENTER", "explain the cache, or the part of the bar that ← → chose"),
)
"""Keys that are bound by Textual or by a pane, not by the app."""


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
        keys, words = (*OTHER_KEYS, *self._keys), [(word, find_entries(word)[0].meaning) for word in HELP_WORDS]
        columns_help = [(each.heading.title, each.help) for each in COLUMNS]
        lines: list[Line] = []
        for title, entries, width in (
            ("Keys", keys, KEY_WIDTH),
            (WORDS_TITLE, words, WORD_WIDTH),
            ("Columns of the caches", columns_help, KEY_WIDTH),
        ):
            lines.append(((title, "head"),))
            for key, text in entries:
                lines += fact_lines(key, text, columns, width, "accent")
            lines.append(())
        return [], lines


class HelpScreen(OverlayScreen, ModalScreen[None]):
    """Screen that shows the help over the panes; scrolling keys scroll the help, any other key closes the screen."""

    CSS = "HelpScreen { align: center middle; }"

    def __init__(self, keys: Sequence[tuple[str, str]], ledger: Ledger, view: View) -> None:
        super().__init__(HelpPane(keys), ledger, view)
