"""Base class of panes that scroll: a fixed head, and a body that may be longer than the box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import MouseScrollDown, MouseScrollUp

from tcptop.ledger import Ledger
from tcptop.text.line import EMPTY_LINE, Line, text_of
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import first_fitting
from tcptop.widgets.pane import Pane

Content = tuple[Sequence[Line], Sequence[Line]]
"""The lines of the fixed head, and the lines of the body, which scrolls."""

WHEEL_LINES = 3

TITLE_SEPARATOR = " ─ "
"""Separator between the parts of a title."""


def shorten_title(title: str, position: str, columns: int) -> str:
    """The title with the scroll position as its last part, shortened to fit `columns`.

    If the title is too long, its first part is cut to one word. A title that is still too long loses its other parts,
    beginning with the last. If there is no scroll position, the title is returned unchanged.
    """
    parts = title.split(TITLE_SEPARATOR)
    word = parts[0].partition(" ")[0]
    candidates = [parts, *([word, *parts[1:end]] for end in range(len(parts), 0, -1))] if position else [parts]
    texts = [TITLE_SEPARATOR.join([*each, position] if position else each) for each in candidates]
    return first_fitting(texts, columns)


def is_heading(line: Line) -> bool:
    """True if a line has the column titles of a table."""
    roles = [role for text, role in line if text.strip()]
    return bool(roles) and all(role in ("head", "accent") for role in roles) and "head" in roles


def heading_above(lines: Sequence[Line], index: int) -> Line | None:
    """The column titles that belong to the line with the given index; None if the line is not in a table."""
    for above in range(index - 1, -1, -1):
        if not text_of(lines[index]).strip() or not text_of(lines[above]).strip():
            return None
        if is_heading(lines[above]):
            return lines[above]
    return None


def without_last_heading(lines: Sequence[Line]) -> Sequence[Line]:
    """The lines; if the last line has column titles, it is replaced by a blank line.

    Column titles on the last line are of no use, because the rows below them are not visible.
    """
    return [*lines[:-1], EMPTY_LINE] if lines and is_heading(lines[-1]) else lines


class ScrollPane(Pane, can_focus=True):
    """Pane that shows as much of the body as fits. The title tells which lines of the body are shown: `1–9 of 40`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_by(-1)", "scroll", show=False),
        Binding("down", "scroll_by(1)", "scroll", show=False),
        Binding("pageup", "scroll_pages(-1)", "scroll a page", show=False),
        Binding("pagedown", "scroll_pages(1)", "scroll a page", show=False),
        Binding("home", "scroll_to_end(-1)", "first, last line", show=False),
        Binding("end", "scroll_to_end(1)", "first, last line", show=False),
    ]

    KEEPS_HEADINGS: ClassVar[bool] = False
    """If True, the column titles of a table stay visible. When the titles would be scrolled out of sight, the titles
    replace the first visible line.

    If True, column titles on the last visible line are left out, too, because the rows below them are not visible.
    """

    _first = 0
    _body_length = 0
    _body_height = 0
    _kept_line: int | None = None
    """Index of the body's line that must stay visible, set by `content()`; None if every line may scroll out of
    sight."""

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:
        """The fixed lines of the head, and the lines of the body, which scroll."""
        raise NotImplementedError

    def title(self, ledger: Ledger, choices: Choices) -> str:
        """The title, without the scroll position."""
        raise NotImplementedError

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title, followed by the scroll position if not all of the body fits."""
        return shorten_title(self.title(ledger, choices), self.position, self.max_title_width), ""

    @property
    def position(self) -> str:
        """The numbers of the visible lines of the body, such as `1–9 of 40`; empty if all of the body fits."""
        if not self._body_length > self._body_height > 0:
            return ""
        last = min(self._first + self._body_height, self._body_length)
        return f"{self._first + 1}–{last} of {self._body_length}"

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The head and the visible part of the body."""
        head, body = self.content(ledger, choices, columns)
        self.place(len(body), rows - len(head))
        shown = [*body[self._first : self._first + self._body_height]]
        if self.KEEPS_HEADINGS and self._first and len(shown) > 1:
            shown[0] = heading_above(body, self._first) or shown[0]
        goes_on = self._first + len(shown) < len(body)
        return [*head, *(without_last_heading(shown) if self.KEEPS_HEADINGS and goes_on else shown)]

    def place(self, length: int, height: int) -> None:
        """Sets the first visible line of a body with `length` lines, of which `height` lines are visible."""
        self._body_length, self._body_height = length, max(0, height)
        self._first = max(0, min(self._first, self._body_length - self._body_height))
        if self._kept_line is not None and self._body_height:
            self._first = max(min(self._first, self._kept_line), self._kept_line - self._body_height + 1)

    def text_to_copy(self) -> str:
        """The text that is copied to the clipboard: the head and the whole body."""
        if self._ledger is None:
            return ""
        head, body = self.content(self._ledger, self._view.choices, self.size.width)
        return "\n".join(text_of(line).rstrip() for line in (*head, *body)).rstrip()

    def action_scroll_by(self, lines: int) -> None:
        """Scrolls down by `lines` lines, or up if `lines` is negative."""
        self._first = max(0, min(self._first + lines, self._body_length - self._body_height))
        self.redraw_after_key()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Scrolls down by WHEEL_LINES lines."""
        event.stop()
        self.action_scroll_by(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Scrolls up by WHEEL_LINES lines."""
        event.stop()
        self.action_scroll_by(-WHEEL_LINES)

    def action_scroll_pages(self, pages: int) -> None:
        """Scrolls down by `pages` times the visible height of the body, or up if `pages` is negative."""
        self.action_scroll_by(pages * max(1, self._body_height))

    def action_scroll_to_end(self, end: int) -> None:
        """Scrolls to the last line if `end` is 1, or to the first line if `end` is -1."""
        self.action_scroll_by(end * self._body_length)
