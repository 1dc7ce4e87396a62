"""Explain screen (`i`, Enter): the explanation pages, drawn again with each sample."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Key
from textual.screen import Screen

from tcptop.explanation import PAGES, Page
from tcptop.ledger import Ledger
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.scroll_pane import Content, ScrollPane

SCROLLING_KEYS = ("up", "down", "pageup", "pagedown", "home", "end")
PAGING_KEYS = {"right": 1, "left": -1}
PASSED_ON_KEYS = ("ctrl+c", "ctrl+l", "space", "z")
"""Keys that are left to the app, which handles them as on the main screen."""


class ExplainPane(ScrollPane):
    """Pane that shows one explanation page at a time."""

    DEFAULT_CSS = """
    ExplainPane { width: 100%; height: 100%; border: round $secondary; padding: 0 1; background: $background; }
    """

    def __init__(self, pages: Sequence[Page], first_index: int) -> None:
        super().__init__(id="explain")
        self._pages = tuple(pages)
        self._page_index = first_index

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The page's title, its number, and the number of pages."""
        return f"{self._pages[self._page_index].title} ─ page {self._page_index + 1} of {len(self._pages)}"

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title for the upper edge, and the keys for the lower edge."""
        return super().edge_titles(ledger, choices)[0], "← → pages, ↑ ↓ scroll, ESC closes"

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """No head, and the lines of the page."""
        return [], self._pages[self._page_index].lines(ledger, columns)

    def turn_page(self, step: int) -> None:
        """Shows the next page, or the previous one if `step` is -1, from its first line."""
        self._page_index = (self._page_index + step) % len(self._pages)
        self._first = 0
        self.redraw()


class ExplainScreen(Screen[None]):
    """Screen of explanation pages that covers the whole terminal until a key closes the screen."""

    BINDINGS = [  # noqa: RUF012 (as Textual declares it)
        # Without these bindings Tab would move the focus, and there is only one pane to focus.
        Binding("tab", "turn(1)", show=False, priority=True),
        Binding("shift+tab", "turn(-1)", show=False, priority=True),
    ]

    def __init__(self, first: Page | None, ledger: Ledger, view: View) -> None:
        super().__init__()
        self._page, self._ledger, self._view = first, ledger, view

    def compose(self) -> ComposeResult:
        """Yields the pane of all pages; a page of a cache or of a part of the figure comes before `PAGES`."""
        own = [self._page] if self._page is not None and self._page not in PAGES else []
        pages = [*own, *PAGES]
        yield ExplainPane(pages, pages.index(self._page) if self._page is not None else 0)

    def on_mount(self) -> None:
        """Shows the page and focuses the pane."""
        pane = self.query_one(ExplainPane)
        pane.show(self._ledger, self._view)
        pane.focus()

    def action_turn(self, step: int) -> None:
        """Turns `step` pages."""
        self.query_one(ExplainPane).turn_page(step)

    def on_key(self, event: Key) -> None:
        """Turns pages, leaves scrolling keys to the pane and some keys to the app; any other key closes the screen."""
        if event.key in PAGING_KEYS:
            event.stop()
            self.action_turn(PAGING_KEYS[event.key])
        elif event.key not in (*SCROLLING_KEYS, *PASSED_ON_KEYS):
            event.stop()
            # A second key press may arrive before the first key press has closed the screen.
            if self.is_current:
                self.dismiss()
