"""Explain screen (`i`, Enter): the explanation pages, drawn again with each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tcptop.explanation import PAGES, Page
from tcptop.ledger import Ledger
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.overlay_screen import OverlayScreen
from tcptop.widgets.scroll_pane import Content, ScrollPane


class ExplainPane(ScrollPane):
    """Pane that shows one explanation page at a time."""

    DEFAULT_CSS = """
    ExplainPane { width: 100%; height: 100%; border: round $secondary; padding: 0 1; background: $background; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        # The key bindings of this screen have priority over those of Textual. Without priority, Tab would move the
        # focus instead of turning the page.
        Binding("tab,right", "turn_page(1)", show=False, priority=True),
        Binding("shift+tab,left", "turn_page(-1)", show=False, priority=True),
    ]

    def __init__(self, pages: Sequence[Page], first_index: int) -> None:
        super().__init__(id="explain")
        self._pages = tuple(pages)
        self._page_index = first_index

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The page's title, its number, and the number of pages."""
        return f"{self._pages[self._page_index].title} ─ page {self._page_index + 1} of {len(self._pages)}"

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title for the upper edge, and the keys for the lower edge."""
        scroll = "↑ ↓ scroll, " if self.position else ""
        return super().edge_titles(ledger, choices)[0], f"← → pages, {scroll}ESC closes"

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """All lines of the page; since the head is empty, every line scrolls."""
        return [], self._pages[self._page_index].lines(ledger, columns)

    def action_turn_page(self, step: int) -> None:
        """Shows the first line of the next page if `step` is 1, or of the previous page if `step` is -1."""
        self._page_index = (self._page_index + step) % len(self._pages)
        self._first = 0
        self.redraw()


class ExplainScreen(OverlayScreen):
    """Screen of explanation pages that covers the whole terminal until a key closes the screen."""

    PASSED_ON_KEYS = ("ctrl+c", "ctrl+l", "ctrl+o", "ctrl+y", "space", "z")

    def __init__(self, first: Page | None, ledger: Ledger, view: View) -> None:
        """Takes the page that is shown first.

        If the first page is about a cache or about a part of the figure, the first page precedes the pages of `PAGES`.
        """
        own = [first] if first is not None and first not in PAGES else []
        pages = [*own, *PAGES]
        super().__init__(ExplainPane(pages, pages.index(first) if first is not None else 0), ledger, view)
