"""Caches pane: the slab caches that hold objects of TCP, or all slab caches (`r`), for the machine or for one node."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tcptop.ledger import CacheLine, Ledger
from tcptop.text import cache_columns
from tcptop.text.cache_columns import CacheRow, Column, Scope, select_columns
from tcptop.text.line import EMPTY_LINE, WARNING, Line, paragraph, text_of
from tcptop.text.table import Heading, Layout, fit_columns
from tcptop.text.units import UNKNOWN
from tcptop.view.choices import Choices, lacks_counts_by_node, node_title, table_node
from tcptop.widgets.cell_width import cell_width
from tcptop.widgets.scroll_pane import Content, ScrollPane

SORTED_IMPORTANCE = 98
"""Importance of the column by which the table is sorted.

Of the columns that may be dropped, the sorted column is dropped last.
"""


MEASURED_ROWS = 300
"""The widths of the columns are computed from this many rows at the top of the table and from the visible rows.

Nearly every machine has fewer rows.
"""

_RowKey = tuple[str, int]
"""Key of a row: the name in the row, and the number of rows with the same name further up."""


@dataclass(slots=True)
class _DrawnRow:
    """A row, the texts of its cells, and its drawn line. The line is empty until the columns are laid out."""

    row: CacheRow
    texts: list[str]
    line: Line = EMPTY_LINE


@contextmanager
def no_collection() -> Iterator[None]:
    """Context manager that suspends garbage collection.

    A collection would visit all caches of the sample, but would free no cache.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class CachesPane(ScrollPane):
    """Table with one row for each row of slabinfo; `⊃` marks a cache merged with others.

    The arrow keys move a cursor. The cursor stays visible, and stays on its row when the rows are sorted differently.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "explain", show=False)]

    class RowSelected(Message):
        """Sent when Enter is pressed on a row."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (as Textual)
        super().__init__(id=id, classes=classes)
        self._cursor_key: _RowKey | None = None
        self._layout: Layout | None = None
        self._rows: list[CacheRow] = []
        """All rows, sorted."""
        self._caches: Sequence[CacheLine] = ()
        self._by_name: list[CacheLine] = []
        """`_caches`, sorted by name."""
        self._source: tuple[object, ...] = ()
        """Everything that the selection of rows depends on: the caches and the mark (by identity), and the choices."""
        self._selected: list[CacheRow] = []
        self._order: tuple[str, bool] | None = None
        """The column by which `_rows` are sorted, and whether the direction is reversed."""
        self._cursor_index = 0
        self._drawn: dict[_RowKey, _DrawnRow] = {}
        """Rows formatted for `_columns`.

        The rows are kept, because most rows do not change from one sample to the next.
        """
        self._columns: list[Column] = []

    def title(self, ledger: Ledger, choices: Choices) -> str:
        """The title: node, name filter, mark, and the age of stale slabinfo.

        If the sort column is not among the visible columns, the title also names the sort column.
        """
        title = f"{'All' if choices.all_caches else 'TCP'} caches ─ {node_title(ledger, choices)}"
        if choices.name_filter:
            title += f" ─ /{choices.name_filter}"
        if self._view.mark is not None:
            title += " ─ since the mark"
        stale = ledger.sources["slabinfo"].staleness(choices.interval_s)
        if stale and ledger.caches and ledger.sources["slabinfo"].state != "refused":
            title += f" ─ slabinfo {stale}"
        if choices.sort not in {column.id for column in visible_columns(ledger, choices)}:
            title += f" ─ by {cache_columns.find_column(choices.sort).heading.title}"
        return title

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:
        """The head with notes and column titles, and the body with the rows.

        If there are no rows, the body has the reason.

        The lines of rows out of sight are empty. While the table has the focus, the cursor is on one of the rows.
        """
        self._order_rows(ledger, choices)
        rows, notes = self._rows, _notes(ledger, choices, columns)
        self._kept_line = self._cursor_index if rows and self._cursor_key is not None else None
        if not rows:
            return [], _empty_lines(ledger, choices, columns)
        self.place(len(rows), self.size.height - len(notes) - 1)
        in_sight = range(self._first, min(self._first + self._body_height, len(rows)))
        measured = [*range(min(MEASURED_ROWS, len(rows))), *range(max(MEASURED_ROWS, in_sight.start), in_sight.stop)]
        self._draw_rows([rows[index] for index in measured], visible_columns(ledger, choices))
        # A column whose cells are all unknown is left out.
        texts = list(zip(*(drawn.texts for drawn in self._drawn.values()), strict=True))
        shown = [index for index, cells in enumerate(texts) if any(text != UNKNOWN for text in cells)]
        headings = [_heading(self._columns[index], choices) for index in shown]
        cells = list(zip(*(texts[index] for index in shown), strict=True))
        layout = fit_columns(headings, cells, columns, narrow_gap=" ", width_of=cell_width).cut_first(columns)
        layout = _steady(layout, self._layout, columns)
        is_new = layout != self._layout
        self._layout = layout
        drawn_rows = list(self._drawn.values())
        lines = [EMPTY_LINE] * len(rows)
        for drawn, texts_of_row, index in zip(drawn_rows, cells, measured, strict=True):
            if is_new:
                drawn.line = EMPTY_LINE
            if index in in_sight:
                drawn.line = drawn.line or ((layout.text(texts_of_row), "dim" if _is_idle(drawn.row) else "text"),)
                lines[index] = drawn.line
        if self.has_focus:
            index = self._cursor_index
            lines[index] = ((text_of(lines[index]).ljust(columns), "cursor"),)
        return [*notes, ((layout.text(layout.titles), "head"),)], lines

    def _order_rows(self, ledger: Ledger, choices: Choices) -> None:
        """Selects and sorts the rows; does nothing if caches, mark and choices have not changed since the last call."""
        mark, node = self._view.mark, table_node(ledger, choices)
        selection = (node, not choices.all_caches, choices.name_filter)
        order = (choices.sort, choices.reverse)
        is_selected = self._source == (id(ledger.caches), id(mark), selection)
        if is_selected and order == self._order:
            return
        with no_collection():
            if not is_selected:
                if self._caches is not ledger.caches:
                    # Sorting by another column is faster if the rows are already sorted by name.
                    self._caches, self._by_name = ledger.caches, sorted(ledger.caches, key=attrgetter("name"))
                at_mark = None if mark is None else mark.caches
                self._selected = cache_columns.select_rows(self._by_name, *selection, at_mark)
                self._source = (id(ledger.caches), id(mark), selection)
            self._rows = cache_columns.sort_rows(self._selected, *order)
        self._order = order
        self._cursor_index = self._find_cursor()

    def _draw_rows(self, rows: Sequence[CacheRow], columns: list[Column]) -> None:
        """Formats the cells of the rows that changed; an unchanged row keeps its texts and its line."""
        before = self._drawn if columns == self._columns else {}
        self._columns, self._drawn = columns, {}
        names: Counter[str] = Counter()
        for row in rows:
            key = row.cache.name, names[row.cache.name]
            names[row.cache.name] += 1
            drawn = before.get(key)
            if drawn is None or drawn.row != row:
                drawn = _DrawnRow(row, [_cell_text(column, row) for column in columns])
            self._drawn[key] = drawn

    def _find_cursor(self) -> int:
        """Index of the cursor's row; 0 if the row no longer exists."""
        if self._cursor_key is None:
            return 0
        name, number = self._cursor_key
        indices = (index for index, row in enumerate(self._rows) if row.cache.name == name)
        return next(islice(indices, number, None), 0)

    def action_scroll_by(self, lines: int) -> None:
        """Moves the cursor up or down."""
        if self._rows:
            self._cursor_index = max(0, min(len(self._rows) - 1, self._cursor_index + lines))
            name = self._rows[self._cursor_index].cache.name
            above = self._rows[: self._cursor_index]
            self._cursor_key = name, sum([row.cache.name == name for row in above])
        self.redraw_after_key()

    def action_choose(self) -> None:
        """Sends `RowSelected` for the cursor's row."""
        if self._rows:
            self.post_message(self.RowSelected(self._rows[self._cursor_index].cache.name))


def _empty_lines(ledger: Ledger, choices: Choices, columns: int) -> Sequence[Line]:
    """The reason why the table has no rows."""
    reason = ledger.sources["slabinfo"].reason or "no cache of TCP's is known"
    if choices.name_filter:
        which, elsewhere = ("no cache", "") if choices.all_caches else ("none of TCP's caches", "r looks in all, ")
        reason = f"{which} has {choices.name_filter!r} in its name: {elsewhere}/ changes it, ESC ends it"
    return paragraph(reason, columns, "text", WARNING)


def _notes(ledger: Ledger, choices: Choices, columns: int) -> Sequence[Line]:
    """Reasons why sources of the table could not be read; for the table of a single node, also a note on the counts.

    The note says that the table has no counts, or that it has the counts of TCP's caches only.
    """
    # Only root may read slabinfo and the attributes below /sys/kernel/slab, so a single reason is shown for both.
    refused = ledger.sources["slabinfo"].state == "refused"
    names = ("slabinfo", "slab_links") if refused else ("slabinfo", "slab_links", "slab_counts")
    sources = [ledger.sources[name] for name in names]
    reasons = dict.fromkeys(source.reason for source in sources if source.reason and source.state != "waiting")
    lines = [line for reason in reasons for line in paragraph(reason, columns, "text", WARNING)]
    if table_node(ledger, choices) is None:
        return lines
    if lacks_counts_by_node(ledger):
        lines += paragraph("there are no counts by node here; = has the machine's", columns, "dim")
    elif choices.all_caches:
        lines += paragraph("by node, the kernel is asked for TCP's caches only; = has the machine's", columns, "dim")
    return lines


def visible_columns(ledger: Ledger, choices: Choices) -> list[Column]:
    """The columns for the machine or for the chosen node, without columns that the user switched off."""
    scope: Scope = "machine" if table_node(ledger, choices) is None else "node"
    return select_columns(scope, ledger.live, choices.extras, choices.columns)


def _heading(column: Column, choices: Choices) -> Heading:
    """The heading of a column; the sorted column's heading has a mark for the direction."""
    heading = column.heading
    if column.id != choices.sort:
        return heading
    mark = "▾" if column.descending != choices.reverse else "▴"
    return heading._replace(title=heading.title + mark, importance=heading.importance and SORTED_IMPORTANCE)


def _cell_text(column: Column, row: CacheRow) -> str:
    text = column.text(row)
    return f"{text} ⊃" if column.is_name and row.cache.aliases else text


def _is_idle(row: CacheRow) -> bool:
    return row.counts is not None and row.counts.objects == 0


def _steady(layout: Layout, previous: Layout | None, columns: int) -> Layout:
    """Keeps each column at least as wide as before, as long as the columns fit.

    A shorter figure then moves no column.
    """
    if previous is None or layout._replace(widths=()) != previous._replace(widths=()):
        return layout
    widest = layout._replace(widths=list(map(max, layout.widths, previous.widths)))
    return widest if widest.width <= columns else layout
