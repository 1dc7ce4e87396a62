"""Help screen (`?`, `h`): what each pane shows, the keys (from the app's bindings), and the columns of the caches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.screen import ModalScreen

from tcptop.explanation.glossary.find import find_entries
from tcptop.ledger import Ledger
from tcptop.text.cache_columns import COLUMNS
from tcptop.text.line import Line, paragraph
from tcptop.text.table import fact_lines
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.explain_screen import FIND_KEYS
from tcptop.widgets.overlay_screen import OverlayScreen
from tcptop.widgets.scroll_pane import Content, ScrollPane

GROUP_WIDTH, PANE_WIDTH, KEY_WIDTH, COLUMN_WIDTH = 9, 21, 14, 13
PANES: tuple[tuple[str, str], ...] = (
    ("Bytes per connection", "what a TCP socket takes in the kernel: on average, one more, its parts"),
    ("TCP in the kernel", "the memory of all sockets, how fast it grows, and their counts"),
    ("Limits", "how many more sockets fit; alarms first; a full TIME_WAIT is no alarm"),
    ("Nodes, Graphs", "where the memory sits, by NUMA node; the last minutes"),
    ("TCP caches", "the slab caches behind a socket; ENTER explains the selected one"),
    ("Free blocks", "the free memory for slabs: free_area by order and migrate type"),
)
"""The panes of the screen, each with what it shows."""
WORDS_HINT = "In this help, i: what a socket is made of; /: any word, as tcptop explain [--root DIR] WORD."
RATES_HINT = "Graphs, rates and growth change every 5 s; TCP's growth is that of the last half minute."

OTHER_KEYS: tuple[tuple[str, str], ...] = (
    ("Tab", "the next pane"),
    ("↑ ↓ PgUp PgDn", "scroll it; Home and End, too"),
    ("ENTER", "explain the chosen cache, part of the bar (← →) or limits"),
)
"""Keys that are bound by Textual or by a pane, and not by the app."""

HOLDER_KEYS: tuple[tuple[str, str], ...] = (
    ("↑ ↓ PgUp PgDn", "choose a row; Home and End, too"),
    ("ENTER", "open the row: what it means, its other groupings, listeners and cgroups"),
    ("i", "what to do: the verdicts with their remedies, and the sums, in full"),
    ("d", "on the page of a row: single sockets with their tcp_info"),
    ("← →", "group by owner, process, cgroup, netns, port, state or user"),
    ("s", "sort by the next column, as a click on a heading does"),
    ("< >", "scroll the columns, where not all fit; Shift-← Shift-→, too"),
    ("/", "only rows with a text"),
    ("SPACE", "look now"),
    ("ESC q W", "back, and close"),
)
HOLDER_WORDS = ("≈", "look", "verdict", "one look", "not seen", "no process", "not asked")
HOLDER_COLUMNS = (
    *("OWNER", "SERVICE", "Δ", "MEMORY", "SHARE", "UNREAD", "UNSENT", "BUFFERS", "DROPS", "USER", "NETNS"),
    *("CGROUP", "SOCK", "KERNEL"),
)
"""Words of the glossary that the help about the table of holders explains."""

KeyGroups = Sequence[tuple[str, Sequence[tuple[str, str]]]]
"""Groups of keys. A group has a name and, for each of its keys, a pair: the name of the key and its meaning."""


class HelpPane(ScrollPane):
    """Pane with the text of the help."""

    DEFAULT_CSS = """
    HelpPane { width: 96; max-width: 100%; height: 90%; border: round $secondary; background: $surface; }
    """

    OPENS_PAGES: ClassVar[bool] = True
    """True if `i` and `/` open the explanation pages."""

    def __init__(self, keys: KeyGroups = ()) -> None:
        super().__init__(id="help")
        self._keys = tuple(keys)

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The title of the help, with what its keys do."""
        keys = [*(["↑ ↓ scroll"] if self.position else []), *(["i / explain"] if self.OPENS_PAGES else [])]
        return f"Help ─ {', '.join([*keys, 'any other key closes' if keys else 'any key closes'])}"

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """An empty head, and a body with the purpose of each pane, the keys and the columns."""
        lines: list[Line] = [(("What am I looking at", "head"),)]
        for name, text in PANES:
            lines += fact_lines(name, text, columns, PANE_WIDTH, "accent")
        lines += [line for text in (RATES_HINT, WORDS_HINT) for line in paragraph(f" {text}", columns - 1, "dim")]
        lines += [(), (("Keys of the main screen", "head"),)]
        for group, entries in (("Move", OTHER_KEYS), *self._keys):
            for number, (key, text) in enumerate(entries):
                name = f" {'' if number else group:<{GROUP_WIDTH}}"
                for line in fact_lines(key, text, columns - len(name), KEY_WIDTH, "accent"):
                    lines.append(((name, "dim"), *line))
                    name = " " * len(name)
        lines += [(), (("Columns of the caches, each with the key that sorts by it", "head"),)]
        for each in COLUMNS:
            title = f"{each.heading.title:<{COLUMN_WIDTH - 2}}{each.sort_key or ''}"
            lines += fact_lines(title, each.help, columns, COLUMN_WIDTH, "accent")
        return [], lines


class HoldersHelpPane(HelpPane):
    """Pane with the help about the table of who holds the sockets."""

    OPENS_PAGES = False

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """An empty head, and a body with the keys, the signs and the columns of the table."""
        lines: list[Line] = [(("Who holds the sockets: keys", "head"),)]
        for key, text in HOLDER_KEYS:
            lines += fact_lines(key, text, columns, KEY_WIDTH, "accent")
        lines += [(), (("Words and signs", "head"),)]
        for word in HOLDER_WORDS:
            lines += entry_lines(word, columns)
        lines += [(), (("Columns", "head"),)]
        for word in HOLDER_COLUMNS:
            lines += entry_lines(word, columns)
        return [], lines


def entry_lines(word: str, columns: int, title: str | None = None, width: int = COLUMN_WIDTH) -> list[Line]:
    """The glossary's entry on a word, as lines. The title of the entry is `title` or, if `title` is empty, the word."""
    entry = find_entries(word)[0]
    return fact_lines(title or word, f"{entry.meaning} {entry.more}".rstrip(), columns, width, "accent")


class HelpScreen(OverlayScreen, ModalScreen[None]):
    """Screen that shows the help over the panes.

    Scrolling keys scroll the help, `i` and `/` open the explanation pages, and any other key closes the screen.
    """

    CSS = "HelpScreen { align: center middle; }"

    def __init__(
        self, pane: HelpPane, ledger: Ledger, view: View, explain: Callable[[str, bool], None] | None = None
    ) -> None:
        """Takes what opens the explanation pages at a page, with or without the question for a text to find.

        None if the help has no keys that open pages.
        """
        super().__init__(pane, ledger, view)
        self._open_pages = explain

    def acts_on(self, key: str) -> bool:
        """Opens the explanation pages in place of the help: `i` what a socket is made of, `/` a text to find."""
        if self._open_pages is None or not (key == "i" or key in FIND_KEYS) or not self.is_current:
            return False
        name, finds = ("socket", False) if key == "i" else ("glossary", True)
        self.dismiss()
        self.app.call_later(self._open_pages, name, finds)
        return True
