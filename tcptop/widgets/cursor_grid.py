"""Table with a cursor on one of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tcptop.ledger import Ledger
from tcptop.text.line import Line, text_of
from tcptop.view.choices import Choices
from tcptop.widgets.grid import Grid

DUPLICATE_MARK = "\0"
"""Appended to the key of a row, once for each earlier row of the same name."""


class CursorGrid(Grid):
    """A table whose cursor the arrow keys move. The cursor stays visible, and on its row when the order changes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "explain", show=False)]

    class RowSelected(Message):
        """Sent when Enter is pressed on a row."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (as Textual)
        super().__init__(id=id, classes=classes)
        self._cursor_key: str | None = None

    def _layout(self, ledger: Ledger, choices: Choices, columns: int) -> None:
        super()._layout(ledger, choices, columns)
        seen: list[str] = []
        for key in self._keys:
            seen.append(key + DUPLICATE_MARK * sum(earlier.rstrip(DUPLICATE_MARK) == key for earlier in seen))
        self._keys = seen

    @property
    def _cursor_index(self) -> int:
        """The index of the cursor's row; 0 if the row is gone."""
        return self._keys.index(self._cursor_key) if self._cursor_key in self._keys else 0

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The table, scrolled to the cursor, whose row is marked while the table has the focus."""
        lines = [*super().lines(ledger, choices, columns, rows)]
        if not self._keys:
            return lines
        below = self._cursor_index - (self._first + self._body_height - 1) if self._body_height else 0
        if self._cursor_key is not None and (below > 0 or self._cursor_index < self._first):
            self._first += below if below > 0 else self._cursor_index - self._first
            lines = [*super().lines(ledger, choices, columns, rows)]
        body_start = len(lines) - min(self._body_height, len(self._keys) - self._first)
        y = body_start + self._cursor_index - self._first
        if self.has_focus and 0 <= y < len(lines):
            lines[y] = ((text_of(lines[y]).ljust(columns), "cursor"),)
        return lines

    def action_scroll_by(self, lines: int) -> None:
        """Moves the cursor up or down."""
        if self._keys:
            self._cursor_key = self._keys[max(0, min(len(self._keys) - 1, self._cursor_index + lines))]
        self.redraw()

    def action_choose(self) -> None:
        """Sends `RowSelected` for the cursor's row."""
        if self._keys:
            self.post_message(self.RowSelected(self._keys[self._cursor_index].rstrip(DUPLICATE_MARK)))

    def watch_has_focus(self, has_focus: bool) -> None:
        """Shows or hides the mark on the cursor's row."""
        super().watch_has_focus(has_focus)
        self.redraw()
