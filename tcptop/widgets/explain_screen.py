"""Explain screen (`i`, Enter): the explanation pages, drawn again with each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tcptop.explanation.pages import PAGES, Page
from tcptop.ledger import Ledger
from tcptop.text.line import Line, text_of
from tcptop.text.printable import printable_name
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import first_fitting
from tcptop.widgets.overlay_screen import OverlayScreen
from tcptop.widgets.prompt import Prompt
from tcptop.widgets.scroll_pane import Content, ScrollPane

FIND_KEYS = ("slash", "f3", "f4")
MAX_LINES_ABOVE = 8
"""Maximum number of lines that stay visible above a found line, such as the word to which the line belongs."""


def find_lines(lines: Sequence[Line], text: str) -> list[int]:
    """The indices of the lines in which a text begins; upper and lower case are not distinguished.

    A text that is broken over two lines is found, too.
    """
    wanted = " ".join(text.casefold().split())
    if not wanted:
        return []
    texts = [" ".join(text_of(line).casefold().split()) for line in lines]
    joined = zip(texts, [*texts[1:], ""], strict=True)
    return [index for index, (line, after) in enumerate(joined) if 0 <= f"{line} {after}".find(wanted) < len(line)]


def first_found(lines: Sequence[Line], found: Sequence[int], text: str) -> int:
    """The found line that is shown first: a heading that begins with the text, or else the first of the lines."""
    wanted = " ".join(text.casefold().split())
    for index in found:
        if lines[index][0][1] == "head" and text_of(lines[index]).strip().casefold().startswith(wanted):
            return index
    return found[0]


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
        self._text = ""
        """The text that is searched for; empty if the user does not search."""
        self._found: list[int] = []
        """The lines of the page that have the text."""
        self._chosen: int | None = None
        """The found line that is shown; None if the page has none, or if the page was turned."""
        self._must_choose = False
        self._origin = first_index
        """The page from which the search began."""
        self._is_nowhere = False
        """True if no page has the text."""

    @property
    def is_searching(self) -> bool:
        """True if the user searches for a text."""
        return bool(self._text)

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The page's title; then the place of the found line, or the number of the page and the number of pages."""
        title = self._pages[self._page_index].title
        if not self._text:
            return f"{title} ─ page {self._page_index + 1} of {len(self._pages)}"
        number = f"{self._found.index(self._chosen) + 1} of " if self._chosen in self._found else ""
        absent = "on no page" if self._is_nowhere else "not on this page"
        places = f"line {number}{len(self._found)}" if self._found else absent
        return f"{title} ─ {printable_name(self._text)}: {places}"

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title for the upper edge, and the keys for the lower edge."""
        scroll = "↑ ↓ scroll, " if self.position else ""
        if self._text:
            notes = (
                "n N next, previous, / another text, ESC ends the search",
                "n N next, previous, ESC ends",
                "n N, ESC",
            )
        else:
            number = len(self._pages)
            before, after = (self._pages[(self._page_index + step) % number].name for step in (-1, 1))
            named = (f"← {before}, → {after}, {scroll}/ finds on all pages, ESC closes",) if number > 1 else ()
            notes = (
                *named,
                f"← → pages, {scroll}/ finds on all pages, ESC closes",
                f"← → pages, {scroll}/ finds, ESC closes",
                "/, ESC",
            )
        return super().edge_titles(ledger, choices)[0], first_fitting(notes, self.max_title_width)

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """All lines of the page, of which the found line is marked; since the head is empty, every line scrolls."""
        lines = self._pages[self._page_index].lines(ledger, columns)
        self._found = find_lines(lines, self._text)
        if self._must_choose:
            self._must_choose = False
            self._choose(first_found(lines, self._found, self._text) if self._found else None, lines)
        if self._chosen in self._found:
            lines = [
                ((text_of(line).ljust(columns), "cursor"),) if index == self._chosen else line
                for index, line in enumerate(lines)
            ]
        return [], lines

    def _choose(self, index: int | None, lines: Sequence[Line]) -> None:
        """Marks a found line, and scrolls to the beginning of its paragraph."""
        self._chosen = index
        if index is not None:
            above = range(index - 1, max(-1, index - 1 - MAX_LINES_ABOVE), -1)
            empty = next((each for each in above if not text_of(lines[each]).strip()), index - 1)
            self._first = max(0, empty + 1)

    def begin_search(self) -> None:
        """Makes the page that is shown the first one to search."""
        self._origin = self._page_index

    def find(self, text: str) -> None:
        """Shows the first line with a text, on the page where the search began or on one after it.

        An empty text ends the search, and the page stays where it is.
        """
        self._text, self._chosen, self._must_choose = text, None, bool(text)
        if text:
            index = self._page_with_text(self._origin, 1)
            self._is_nowhere = index is None
            self._show_page(self._origin if index is None else index)
        self.redraw()

    def _page_with_text(self, first_index: int, step: int) -> int | None:
        """The first page with the text that is searched for, from the given page on; None if no page has the text."""
        if self._ledger is None:
            return first_index
        for number in range(len(self._pages)):
            index = (first_index + step * number) % len(self._pages)
            if find_lines(self._pages[index].lines(self._ledger, self.size.width), self._text):
                return index
        return None

    def _show_page(self, index: int) -> None:
        if index != self._page_index:
            self._page_index, self._first = index, 0

    def find_next(self, step: int) -> None:
        """Shows the next line with the text if `step` is 1, or the previous line if `step` is -1.

        The lines of the next page follow the last one, and the first page follows the last page.
        """
        if self._ledger is None or self._is_nowhere:
            return
        start = self._first if self._chosen is None else self._chosen
        if step > 0:
            others = [index for index in self._found if index > start or (self._chosen is None and index == start)]
        else:
            others = [index for index in self._found if index < start]
        if not others:
            page_index = self._page_with_text((self._page_index + step) % len(self._pages), step)
            if page_index is None:
                return
            self._show_page(page_index)
        lines = self._pages[self._page_index].lines(self._ledger, self.size.width)
        others = others or find_lines(lines, self._text)
        self._choose(others[0 if step > 0 else -1], lines)
        self.redraw_after_key()

    def action_turn_page(self, step: int) -> None:
        """Shows the first line of the next page if `step` is 1, or of the previous page if `step` is -1."""
        self._page_index = (self._page_index + step) % len(self._pages)
        self._first, self._chosen, self._must_choose = 0, None, self.is_searching
        self.redraw()


class ExplainScreen(OverlayScreen):
    """Screen of explanation pages that covers the whole terminal until a key closes the screen.

    `/` searches this page and then the others for a text; during a search, `n` and `N` go from line to line, and ESC
    ends the search.
    """

    PASSED_ON_KEYS = ("ctrl+c", "ctrl+l", "ctrl+o", "ctrl+y", "space", "z")

    def __init__(self, first: Page | None, ledger: Ledger, view: View, finds: bool = False) -> None:
        """Takes the page that is shown first; if `finds` is True, the screen asks at once for a text to find.

        If the first page is about a cache or about a part of the figure, the first page precedes the pages of `PAGES`.
        """
        own = [first] if first is not None and first not in PAGES else []
        pages = [*own, *PAGES]
        self._pages = ExplainPane(pages, pages.index(first) if first is not None else 0)
        super().__init__(self._pages, ledger, view)
        self._finds = finds

    def on_mount(self) -> None:
        """Asks for a text to find, if the screen is opened for that."""
        if self._finds:
            self._ask_text()

    def _ask_text(self) -> None:
        pane = self._pages
        pane.begin_search()
        self.app.push_screen(Prompt("find:", on_change=pane.find), lambda text: None if text else pane.find(""))

    def acts_on(self, key: str) -> bool:
        """Acts on the keys of the search."""
        pane = self._pages
        if key in FIND_KEYS:
            self._ask_text()
        elif pane.is_searching and key in ("n", "N"):
            pane.find_next(1 if key == "n" else -1)
        elif pane.is_searching and key == "escape":
            pane.find("")
        else:
            return False
        return True
