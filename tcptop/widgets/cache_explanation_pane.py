"""Cache explanation pane: the explanation page of the cache that is selected in the caches pane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcptop.ledger import Ledger
from tcptop.view.choices import Choices
from tcptop.widgets.scroll_pane import TITLE_SEPARATOR, Content, ScrollPane

if TYPE_CHECKING:
    from tcptop.explanation.pages import Page


class CacheExplanationPane(ScrollPane):
    """Pane with the explanation page that Enter opens for the selected cache."""

    _cache = ""
    """Name of the selected cache; empty until a cache is selected."""

    def explain(self, cache: str) -> None:
        """Shows the page of another cache, beginning with its first line."""
        self._cache, self._first = cache, 0
        self.redraw_after_key()

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The title of the page, and the key that opens the whole page if not all of it fits."""
        page = self._page(ledger)
        if page is None:
            return "Explanation"
        return f"{page.title}{TITLE_SEPARATOR}ENTER: all" if self.position else page.title

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """The lines of the page."""
        page = self._page(ledger)
        return [], [] if page is None else page.lines(ledger, columns)

    def _page(self, ledger: Ledger) -> Page | None:
        if not self._cache:
            return None
        from tcptop.explanation.pages import find_page  # the pages, with the glossary, are needed only where shown

        return find_page(ledger, self._cache)
