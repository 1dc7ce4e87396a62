"""Cache explanation pane: the explanation page of the cache that the cursor of the caches pane selects."""

from __future__ import annotations

from tcptop.explanation import find_page
from tcptop.ledger import Ledger
from tcptop.view.choices import Choices
from tcptop.widgets.scroll_pane import Content, ScrollPane


class CacheExplanationPane(ScrollPane):
    """Pane of the explanation page that Enter on the selected cache opens."""

    cache = ""
    """Name of the selected cache; empty before a cache is selected."""

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The title of the page."""
        page = find_page(ledger, self.cache) if self.cache else None
        return "Explanation" if page is None else page.title

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """The lines of the page."""
        page = find_page(ledger, self.cache) if self.cache else None
        return [], [] if page is None else page.lines(ledger, columns)
