"""Table of hosts: one row for each machine, the most urgent first.

The table fills the screen, and has its own head and key line. Every text from a machine, such as its name or the
message of ssh, is drawn as plain text.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message

from tcptop.explanation.host_rows import (
    AGE_KEY,
    COLUMNS,
    NAME_KEY,
    SORT_TITLES,
    URGENCY_KEY,
    HostColumn,
    TableOrder,
    age_text,
    alarm_count_text,
    answering_rows,
    count_text,
    host_name,
    is_late,
    lost_text,
    row_role,
    sort_looks,
)
from tcptop.ledger.host_row import HostLook
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, Piece, Role, text_of
from tcptop.text.table import DIGIT_GROUP, fit_text
from tcptop.widgets.cell_width import cell_width, crop_line, first_fitting_line, join_ends, line_width, shorten_line
from tcptop.widgets.key_line import KeyHint, key_line
from tcptop.widgets.pane import Pane
from tcptop.widgets.scroll_pane import WHEEL_LINES

GAP = " "
AGE_WIDTH = 5
MIN_NAME, MAX_NAME = 8, 40
SHOWN_FIRST = (
    "SOCKETS",
    "NEAREST LIMIT",
    "FITS MORE",
    "TCP MEMORY",
    "+BUF",
    "RATE",
    "TIME_WAIT",
    "B/CONN",
    "BUFFERS",
    "EVENTS",
)
"""The columns, the most important first; a narrow terminal omits the last ones."""
AGE_AT = 5
"""Number of columns that are more important than the column of the age. If the more important columns fit, the column
of the age is placed next."""
WIDER = (
    ("NEAREST LIMIT", 25),
    ("EVENTS", 22),
    ("NEAREST LIMIT", 30),
    ("EVENTS", 40),
    ("FITS MORE", 13),
    ("SOCKETS", 12),
    ("TIME_WAIT", 12),
)
"""Columns that grow to the given width if there is room, in this order."""
HOLD_S = 5.0
"""Time in seconds for which the rows keep their order, unless the user changes it."""
MIN_ROWS_WITH_KEYS = 8
KEYS: tuple[KeyHint, ...] = (
    ("?", "help", "help"),
    ("q", "quit", "quit"),
    ("ENTER", "open the host", "open"),
    ("s", "sort by the next column", "sort"),
    ("/", "find hosts", "find"),
    ("r", "reverse", "reverse"),
    ("SPACE", "look now", "look"),
)


class Columns(NamedTuple):
    """The columns that fit into a width."""

    name_width: int
    shown: Sequence[tuple[HostColumn, int]]
    """The visible columns with their widths, in their order."""
    has_age: bool


class HostsPane(Pane, can_focus=True):
    """Pane of the table with a cursor; Enter opens the machine of the row with the cursor."""

    DEFAULT_CSS = """
    HostsPane { width: 100%; height: 100%; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move_pages(-1)", show=False),
        Binding("pagedown", "move_pages(1)", show=False),
        Binding("home", "move_to_end(-1)", show=False),
        Binding("end", "move_to_end(1)", show=False),
        Binding("enter", "open", show=False),
    ]

    class Opened(Message):
        """Message to open the machine of the row with the cursor."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, interval_s: float, order: TableOrder, cursor: str | None = None) -> None:
        """`interval_s` is the time between two rounds of reads; `cursor` is the name of the machine with the cursor.

        If `cursor` is None, the first machine has the cursor.
        """
        super().__init__(id="hosts")
        self.order = order
        self.cursor = cursor
        self._interval_s = interval_s
        self._looks: Sequence[HostLook] = ()
        self._shown: list[HostLook] = []
        self._names: list[str] = []
        self._sorted_s = 0.0
        self._first = 0
        self._height = 0
        self._columns: Columns | None = None

    def show_looks(self, looks: Sequence[HostLook]) -> None:
        """Lays out the machines; `render_changes` or `refresh_changes` must draw the changed lines afterwards."""
        self._looks = looks
        columns, rows = self.size
        if columns:
            self._keep_order(looks)
            self.set_lines(self._screen(columns, rows), rows)

    def redraw(self) -> None:
        """Draws the machines again, for the present size, order and cursor."""
        self.show_looks(self._looks)
        self.refresh_changes()

    def set_order(self, order: TableOrder) -> None:
        """Changes the order or the filter, and draws the table again."""
        self.order = order
        self._names = []
        self.redraw_after_key()

    def text_to_copy(self) -> str:
        """The text that is copied to the clipboard: the name of the machine with the cursor."""
        return self.cursor or ""

    def _keep_order(self, looks: Sequence[HostLook]) -> None:
        """Sorts the rows, but at most every HOLD_S seconds, so that the row with the cursor does not jump away."""
        by_name = {look.name: look for look in looks}
        now_s = time.monotonic()
        if not self._names or now_s - self._sorted_s >= HOLD_S:
            self._names = [look.name for look in sort_looks(looks, self.order)]
            self._sorted_s = now_s
        self._shown = [by_name[name] for name in self._names if name in by_name]

    def _screen(self, columns: int, rows: int) -> list[Line]:
        """All lines: the head, the titles, the rows that fit, the sums and the keys."""
        has_keys = rows >= MIN_ROWS_WITH_KEYS
        self._height = max(1, rows - 3 - has_keys)
        self._place_cursor()
        layout = self._columns = fit_table(self._looks, columns)
        lines = [self._head(columns), self._heading_line(layout)]
        visible = self._shown[self._first : self._first + self._height]
        for look in visible:
            line = row_line(look, layout, columns, self._interval_s)
            if look.name == self.cursor:
                line = ((fit_text(text_of(line), columns, width_of=cell_width), "cursor"),)
            lines.append(line)
        if not visible:
            lines.append(
                crop_line(
                    ((f" no host has {self.order.text!r} in its name: / changes it, ESC ends it", "text"),), columns
                )
            )
        lines += [EMPTY_LINE] * (self._height + 2 - len(lines))
        lines.append(total_line(self._shown, layout, columns))
        return [*lines, key_line(columns, KEYS)] if has_keys else lines

    def _head(self, columns: int) -> Line:
        looks = self._looks
        left: list[Piece] = [(" tcptop  ", "accent"), (count_text(looks), "strong")]
        alarms = alarm_count_text(looks)
        gap: Piece = ("  ", "text")
        alarm: list[Piece] = [gap, (alarms, "warning")] if alarms else []
        title = SORT_TITLES[self.order.sort]
        order = f"by {title}{', reversed' if self.order.reverse else ''}"
        last = min(self._first + self._height, len(self._shown))
        position = f"{self._first + 1}–{last} of {len(self._shown)}" if len(self._shown) > self._height else ""
        found = f"with {self.order.text!r}" if self.order.text else ""
        every = f"every {units.seconds(self._interval_s)}"
        rights = [[found, position, order, every], [found, position, order], [found, position], [position], []]
        texts = [" · ".join(filter(None, right)) for right in rights]
        candidates = [join_ends([*left, *alarm], [(text, "text"), (" ", "text")], columns) for text in texts]
        wide_enough = [
            line
            for line, text in zip(candidates, texts, strict=True)
            if line_width((*left, *alarm)) + cell_width(text) + 3 <= columns
        ]
        short: Line = ((f" {count_text(looks)}", "strong"), *alarm)
        return wide_enough[0] if wide_enough else first_fitting_line([(*left, *alarm), short], columns)

    def _heading_line(self, layout: Columns) -> Line:
        cells = [("HOST", NAME_KEY, layout.name_width, True)]
        cells += [(column.title, column.key, width, column.left) for column, width in layout.shown]
        if layout.has_age:
            cells.append(("AGE", AGE_KEY, AGE_WIDTH, False))
        pieces: list[Piece] = [(" ", "head")]
        for number, (title, key, width, is_left) in enumerate(cells):
            is_sorted = key == self.order.sort
            shown = f"{title}{'▴' if self.order.reverse else '▾'}" if is_sorted and len(title) < width else title
            role: Role = "accent" if is_sorted else "head"
            pieces.append(((GAP if number else "") + fit_text(shown, width, is_left, cell_width), role))
        return tuple(pieces)

    def _place_cursor(self) -> None:
        """Moves the cursor to an existing row, and scrolls the rows so that the cursor is visible."""
        names = [look.name for look in self._shown]
        if names and self.cursor not in names:
            self.cursor = names[0]
        at = names.index(self.cursor) if self.cursor in names else 0
        self._first = max(0, min(self._first, len(names) - self._height))
        self._first = min(max(self._first, at - self._height + 1), at)

    def action_move(self, rows: int) -> None:
        """Moves the cursor."""
        names = [look.name for look in self._shown]
        if names:
            at = names.index(self.cursor) if self.cursor in names else 0
            self.cursor = names[max(0, min(len(names) - 1, at + rows))]
        self.redraw_after_key()

    def action_move_pages(self, pages: int) -> None:
        """Moves the cursor by a page."""
        self.action_move(pages * self._height)

    def action_move_to_end(self, direction: int) -> None:
        """Moves the cursor to the first row if the argument is -1, or to the last row if it is 1."""
        self.action_move(direction * len(self._shown))

    def action_open(self) -> None:
        """Sends `Opened` for the row with the cursor."""
        if self._shown and self.cursor is not None:
            self.post_message(self.Opened(self.cursor))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Moves the cursor down."""
        event.stop()
        self.action_move(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Moves the cursor up."""
        event.stop()
        self.action_move(-WHEEL_LINES)

    def on_click(self, event: Click) -> None:
        """Moves the cursor to the clicked row, or sorts by the clicked column."""
        row = self._first + event.y - 2
        if event.y == 1 and self._columns is not None:
            end = 1 + self._columns.name_width
            key = NAME_KEY
            for column, width in self._columns.shown:
                if event.x < end:
                    break
                end, key = end + len(GAP) + width, column.key
            self.set_order(self.order._replace(sort=key, reverse=key == self.order.sort and not self.order.reverse))
        elif 2 <= event.y < 2 + self._height and row < len(self._shown):
            self.cursor = self._shown[row].name
            self.redraw_after_key()


def fit_table(looks: Sequence[HostLook], columns: int) -> Columns:
    """The columns that fit: as many of SHOWN_FIRST as possible.

    The remaining width makes some columns and the names wider.
    """
    longest = max((cell_width(host_name(look)) for look in looks), default=0)
    name = max(MIN_NAME, min(longest, MAX_NAME, columns // 4))
    by_title = {column.title: column for column in COLUMNS}
    free = columns - 2 - name
    widths: dict[str, int] = {}
    has_age = False
    for number, title in enumerate(SHOWN_FIRST):
        if number == AGE_AT:
            has_age = free >= AGE_WIDTH + len(GAP)
            free -= AGE_WIDTH + len(GAP) if has_age else 0
        width = by_title[title].width
        if free < width + len(GAP):
            break
        widths[title] = width
        free -= width + len(GAP)
    for title, most in WIDER:
        if title in widths:
            more = max(0, min(free, most - widths[title]))
            widths[title] += more
            free -= more
    name += max(0, min(free, longest - name))
    return Columns(name, [(column, widths[column.title]) for column in COLUMNS if column.title in widths], has_age)


def row_line(look: HostLook, layout: Columns, columns: int, interval_s: float) -> Line:
    """The row of a machine: its figures, or the reason why the figures are unknown."""
    late = is_late(look, interval_s)
    name: Piece = (f" {fit_text(host_name(look), layout.name_width, width_of=cell_width)}", "strong")
    if look.row is None or not look.answers:
        role: Role = "warning" if look.lost_because is not None else "dim"
        return shorten_line((name, (f"{GAP}{lost_text(look)}", role)), columns)
    pieces: list[Piece] = [name]
    for column, width in layout.shown:
        role = "dim" if late else row_role(look.row) if column.key == URGENCY_KEY else "text"
        role = "warning" if column.title == "EVENTS" and not late else role
        pieces.append((f"{GAP}{fit_text(column.text(look.row), width, column.left, cell_width)}", role))
    if layout.has_age:
        age = fit_text(age_text(look, interval_s), AGE_WIDTH, False, cell_width)
        pieces.append((f"{GAP}{age}", "warning" if late else "dim"))
    return shorten_line(tuple(pieces), columns)


def total_line(looks: Sequence[HostLook], layout: Columns, columns: int) -> Line:
    """The number of machines that answer, followed by the sums of their figures.

    A sum that is wider than its column begins before the column, and moves the sums before it to the left.
    """
    rows = answering_rows(looks)
    ends = accumulate((len(GAP) + width for _, width in layout.shown), initial=layout.name_width + 1)
    next(ends)
    sums: list[tuple[int, str]] = []
    limit = columns
    for (column, _), end in reversed([*zip(layout.shown, ends, strict=True)]):
        text = "" if column.total is None else column.total(rows) if rows else units.UNKNOWN
        if text:
            start = min(end, limit) - cell_width(text)
            sums.insert(0, (start, text))
            # Behind a single space, three digits could belong to the sum before them.
            limit = start - len(GAP) - bool(DIGIT_GROUP.match(text))
    # If the first column has no sum, the number of machines may extend into its cell.
    line = fit_text(f" {count_text(looks)}", max(0, limit), width_of=cell_width).rstrip()
    for start, text in sums:
        line += " " * (start - cell_width(line)) + text
    return crop_line(((line, "strong"),), columns)
