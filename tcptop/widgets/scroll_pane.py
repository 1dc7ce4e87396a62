"""A pane that is longer than its box: a head that stays, and a body that scrolls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType

from tcptop.ledger import Ledger
from tcptop.text.line import Line
from tcptop.view.choices import Choices
from tcptop.widgets.pane import Pane

TITLE_SEPARATOR = " ─ "
"""What stands between the parts of a title."""


def shorten_title(title: str, position: str, columns: int) -> str:
    """A title that fits and keeps its last part, the place: its name is cut to a word, then its later parts go."""
    parts = title.split(TITLE_SEPARATOR)
    word = parts[0].partition(" ")[0]
    tried = [parts, *([word, *parts[1:end]] for end in range(len(parts), 0, -1))] if position else [parts]
    texts = [TITLE_SEPARATOR.join([*each, position] if position else each) for each in tried]
    return next((text for text in texts if cell_len(text) <= columns), texts[-1])


class ScrollPane(Pane, can_focus=True):
    """Shows as much of the body as fits, and says in its edge which part that is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_by(-1)", "scroll", show=False),
        Binding("down", "scroll_by(1)", "scroll", show=False),
        Binding("pageup", "scroll_pages(-1)", "scroll a page", show=False),
        Binding("pagedown", "scroll_pages(1)", "scroll a page", show=False),
        Binding("home", "scroll_to_end(-1)", "first, last line", show=False),
        Binding("end", "scroll_to_end(1)", "first, last line", show=False),
    ]

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (as Textual)
        super().__init__(id=id, classes=classes)
        self._first = 0
        self._body_length = 0
        self._body_height = 0

    def head(self, ledger: Ledger, choices: Choices, columns: int) -> Sequence[Line]:
        """The lines that stay."""
        raise NotImplementedError

    def body(self, ledger: Ledger, choices: Choices, columns: int) -> Sequence[Line]:
        """The lines that scroll."""
        raise NotImplementedError

    def title(self, ledger: Ledger, choices: Choices) -> str:
        """What stands in the upper edge, before the part that is shown."""
        raise NotImplementedError

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title, with what part of the body is in sight where not all is."""
        position = ""
        if self._body_length > self._body_height > 0:
            last = min(self._first + self._body_height, self._body_length)
            position = f"{self._first + 1}–{last} of {self._body_length}"
        return shorten_title(self.title(ledger, choices), position, self.max_title_width), ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The head, and the part of the body that is scrolled to."""
        head, body = self.head(ledger, choices, columns), self.body(ledger, choices, columns)
        self._body_length, self._body_height = len(body), max(0, rows - len(head))
        self._first = max(0, min(self._first, self._body_length - self._body_height))
        self.set_titles(*self.edge_titles(ledger, choices))
        return [*head, *body[self._first : self._first + self._body_height]]

    def action_scroll_by(self, lines: int) -> None:
        """Scrolls up or down."""
        self._first += lines
        self.redraw()

    def action_scroll_pages(self, pages: int) -> None:
        """Scrolls by what is in sight."""
        self.action_scroll_by(pages * max(1, self._body_height))

    def action_scroll_to_end(self, end: int) -> None:
        """Scrolls to the first or the last line."""
        self.action_scroll_by(end * self._body_length)
