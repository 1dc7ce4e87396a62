"""Caches pane: the slab caches with objects of TCP, or all slab caches (`r`), for the machine or for one node."""

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
from textual.events import Click
from textual.message import Message

from tcptop.ledger import AccountingMode, CacheLine, Ledger
from tcptop.text import cache_columns, units
from tcptop.text.cache_columns import Column, Scope, select_columns
from tcptop.text.cache_rows import CacheRow, select_rows
from tcptop.text.line import EMPTY_LINE, WARNING, Line, paragraph, text_of
from tcptop.text.table import Heading, Layout
from tcptop.view.choices import Choices, lacks_counts_by_node, node_title, table_node
from tcptop.view.node_shares import node_shares
from tcptop.widgets.cell_width import cell_width, first_fitting
from tcptop.widgets.pane import TITLE_GAP
from tcptop.widgets.scroll_pane import Content, ScrollPane

GAP = 2
WIDER: Sequence[tuple[str, int]] = (("cache", 20), ("object", 44), ("cache", 40))
"""Columns that grow to the given width if there is room, in this order."""
EVEN_SHARES = 0.02
"""If the largest and the smallest of the nodes' shares differ by at most this much, the title calls the shares even."""
SHARES_ROOM = 38
"""Number of columns in the title line that stay free beside the nodes' shares, for the scroll position, the signs and
the note."""
OUTDATED_ROOM = 14
"""Number of columns in the title line that stay free beside the age of outdated rows, for the scroll position."""
SAMPLED_ROWS = 100
"""A column counts as known if at least one of the first SAMPLED_ROWS caches has a known value in it."""
MERGED = "*"
"""Sign after the name of a cache that the kernel has merged with others."""


_RowKey = tuple[str, int]
"""Key of a row: the name in the row, and the number of rows above it with the same name."""


@dataclass(slots=True)
class _DrawnRow:
    """A row of the table, and its drawn line."""

    row: CacheRow
    line: Line


@contextmanager
def no_collection() -> Iterator[None]:
    """Context manager that suspends garbage collection.

    A garbage collection would visit all caches of the sample without freeing any.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class CachesPane(ScrollPane):
    """Table with one row for each row of slabinfo; `*` marks a cache merged with others.

    The arrow keys move a cursor. The cursor stays visible, and stays on its row when the rows are sorted in another
    way.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "explain", show=False)]

    class RowSelected(Message):
        """Sent when Enter is pressed on a row."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class HeadingClicked(Message):
        """Sent when the heading of a column is clicked."""

        def __init__(self, column_id: str, button: int) -> None:
            super().__init__()
            self.column_id, self.button = column_id, button

    class CursorMoved(Message):
        """Sent when the cursor moves to the row of another cache."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (as Textual)
        super().__init__(id=id, classes=classes)
        self._cursor_cache = ""
        """Name of the cache in the cursor's row."""
        self._cursor_key: _RowKey | None = None
        self._layout: Layout | None = None
        self._rows: list[CacheRow] = []
        """All rows, sorted."""
        self._caches: Sequence[CacheLine] = ()
        self._by_name: list[CacheLine] = []
        """The caches in `_caches`, sorted by name."""
        self._source: tuple[object, ...] = ()
        """The values that decided which rows were last selected. The rows are selected again only if one of these
        values has changed. The caches, the mark and the rates are compared by identity."""
        self._selected: list[CacheRow] = []
        self._order: tuple[str, bool, AccountingMode] | None = None
        """The order of `_rows`: the sort column, whether the direction is reversed, and the accounting mode.

        In TIME_WAIT accounting, the caches of mini-sockets come first, unless they have none or their value is 0.
        """
        self._cursor_index = 0
        self._drawn: dict[_RowKey, _DrawnRow] = {}
        """The drawn rows that are visible. Drawn rows are kept, because most rows do not change from one sample to the
        next."""
        self._shares_of: Sequence[CacheLine] | None = None
        self._shares: list[str] = []
        self._known: list[Column] = []
        """The columns that have known values, whether the columns are visible or not."""
        self._columns: list[Column] = []
        """The columns that are visible."""
        self._skipped = 0
        """Index of the first visible column after the name; 0 if the most important columns are shown."""

    def title(self, ledger: Ledger, choices: Choices) -> str:
        """The title: node, name filter, mark, the visible columns if they are scrolled, and the age of stale slabinfo.

        If the machine has several nodes and all are chosen, the title has each node's share of TCP's slabs. If the sort
        column is hidden, the title also names the sort column.
        """
        title = f"{'All' if choices.all_caches else 'TCP'} caches ─ {node_title(ledger, choices)}"
        if choices.name_filter:
            title += f" ─ /{choices.name_filter}"
        if self._view.mark is not None:
            title += " ─ since the mark"
        shares = self._node_shares(ledger) if choices.node is None else []
        if shares:
            free_columns = self.max_title_width - cell_width(title) - SHARES_ROOM
            title += f" ─ {first_fitting(shares, free_columns)}"
        is_average_held = ledger.costs[choices.mode].now_held_because is not None
        stale = ledger.sources["slabinfo"].staleness(choices.interval_s, is_noticed=is_average_held)
        if ledger.tcp_memory.outdated_because is not None and ledger.caches:
            # Many sockets came or went since: the rows count others than the pane of TCP above.
            because = ledger.tcp_memory.outdated_because
            short = because.replace(" is ", " ").replace(" the ", " ")
            texts = (because, short, because.partition(" is ")[2].replace(" the ", " "))
            title += f" ─ {first_fitting(texts, self.max_title_width - cell_width(title) - OUTDATED_ROOM)}"
        elif stale and ledger.caches and ledger.sources["slabinfo"].state != "refused":
            title += f" ─ slabinfo {stale}"
        shown = [column.id for column in self._columns]
        every = [column.id for column in self._known]
        if self._skipped and 1 < len(shown) < len(every):
            title += f" ─ columns {every.index(shown[1]) + 1}–{every.index(shown[-1]) + 1} of {len(every)}"
        if self._rows and choices.sort not in shown:
            title += f" ─ by {cache_columns.find_column(choices.sort).heading.title}"
        if any(drawn.row.cache.aliases for drawn in self._drawn.values()):
            title += f" ─ {MERGED} merged"
        return title

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title, and a note with the number of hidden columns and the key that scrolls to them.

        The note is left out if it does not fit.
        """
        title, _ = super().edge_titles(ledger, choices)
        hidden = len(self._known) - len(self._columns)
        # In a recording, < and > go to the first and the last sample, so the note names Shift with an arrow instead.
        left, right = ("<", ">") if self._view.player is None or self._view.looking_back else ("Shift-←", "Shift-→")
        if self._skipped:
            notes: tuple[str, ...] = (f"{left} {right} columns", f"{left} {right}")
        elif hidden:
            word = "column" if hidden == 1 else "columns"
            notes = (f"{right} {hidden} more {word}", f"{right} {hidden} more", f"{right} +{hidden}")
        else:
            notes = ()
        return title, first_fitting((*notes, ""), self.max_title_width - cell_width(title) - TITLE_GAP)

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:
        """The head with notes and column titles, and the body with the rows.

        If there are no rows, the body shows the reason.

        Only the visible rows are drawn; the line of any other row is empty. The cursor is drawn while the table has the
        focus, and while the explanation of the selected cache is visible beside the table.
        """
        self._order_rows(ledger, choices)
        rows, notes = self._rows, _notes(ledger, choices, columns)
        self._kept_line = self._cursor_index if rows and self._cursor_key is not None else None
        if not rows:
            self._drawn = {}
            return [], _empty_lines(ledger, choices, columns)
        # On a low screen, the notes are left out first, then the titles, because the rows are more useful than both.
        notes = notes[: max(0, self.size.height - 2)]
        titles_height = min(1, self.size.height - 1)
        self.place(len(rows), self.size.height - len(notes) - titles_height)
        in_sight = range(self._first, min(self._first + self._body_height, len(rows)))
        self._known = known = _known_columns(ledger, choices)
        self._skipped = max(0, min(self._skipped, len(known) - 1))
        layout = lay_out_columns(known, choices, columns, self._skipped)
        shown = [known[index] for index in layout.visible]
        layout = layout._replace(visible=range(len(shown)), headings=[_heading(column, choices) for column in shown])
        self._draw_rows([rows[index] for index in in_sight], shown, layout)
        lines = [EMPTY_LINE] * len(rows)
        for drawn, index in zip(self._drawn.values(), in_sight, strict=True):
            lines[index] = drawn.line
        index = self._cursor_index
        if rows[index].cache.name != self._cursor_cache:
            self._cursor_cache = rows[index].cache.name
            self.post_message(self.CursorMoved(self._cursor_cache))
        if self.has_focus or "explanation" in self._view.panes:
            lines[index] = ((text_of(lines[index]).ljust(columns), "cursor"),)
        titles: list[Line] = [((layout.text(layout.titles), "head"),)]
        return [*notes, *titles[:titles_height]], lines

    def _node_shares(self, ledger: Ledger) -> list[str]:
        """The texts of `node_shares_texts()`, made only once for each sample, because a machine may have many nodes."""
        if self._shares_of is not ledger.caches:
            self._shares_of, self._shares = ledger.caches, node_shares_texts(ledger)
        return self._shares

    def _order_rows(self, ledger: Ledger, choices: Choices) -> None:
        """Selects and sorts the rows.

        If nothing that the rows depend on has changed since the last call, does nothing.
        """
        mark, node = self._view.mark, table_node(ledger, choices)
        selection = (node, not choices.all_caches, choices.name_filter)
        order = (choices.sort, choices.reverse, choices.mode)
        is_selected = self._source == (id(ledger.caches), id(mark), id(self._view.rates), selection)
        if is_selected and order == self._order:
            return
        with no_collection():
            if not is_selected:
                if self._caches is not ledger.caches:
                    # Sorting by another column is faster if the rows are already sorted by name.
                    self._caches, self._by_name = ledger.caches, sorted(ledger.caches, key=attrgetter("name"))
                at_mark = None if mark is None else mark.caches
                rates = self._view.rates
                self._selected = select_rows(
                    self._by_name, *selection, at_mark, None if rates is None else rates.caches
                )
                self._source = (id(ledger.caches), id(mark), id(self._view.rates), selection)
            self._rows = cache_columns.sort_rows(self._selected, choices.sort, choices.reverse)
            if choices.mode == "time_wait":
                value_of = cache_columns.find_column(choices.sort).sort_value
                self._rows.sort(key=lambda row: not _has_mini_sockets(row) or _is_idle(row) or value_of(row) == 0)
        if self._order is not None and self._order[-1] != choices.mode:
            self._cursor_key = None  # the mode has changed, and other caches come first
        self._order = order
        self._cursor_index = self._find_cursor()

    def _draw_rows(self, rows: Sequence[CacheRow], columns: list[Column], layout: Layout) -> None:
        """Draws the rows that have changed; an unchanged row keeps its line."""
        before = self._drawn if layout == self._layout else {}
        self._columns, self._layout, self._drawn = columns, layout, {}
        names: Counter[str] = Counter()
        for row in rows:
            key = row.cache.name, names[row.cache.name]
            names[row.cache.name] += 1
            drawn = before.get(key)
            if drawn is None or drawn.row != row:
                texts = [_cell_text(column, row, width) for column, width in zip(columns, layout.widths, strict=True)]
                drawn = _DrawnRow(row, ((layout.text(texts), "dim" if _is_idle(row) else "text"),))
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

    def on_click(self, event: Click) -> None:
        """Moves the cursor to the clicked row, or sends `HeadingClicked` for the clicked column."""
        offset = event.get_content_offset(self)
        if offset is None or not self._rows or self._layout is None:
            return
        row = offset.y - (self.size.height - self._body_height)
        if 0 <= row < self._body_height and self._first + row < len(self._rows) and event.button == 1:
            self.action_scroll_by(self._first + row - self._cursor_index)
        elif row == -1:
            end = 0
            for column, width in zip(self._columns, self._layout.widths, strict=True):
                end += width + len(self._layout.gap)
                if offset.x < end:
                    self.post_message(self.HeadingClicked(column.id, event.button))
                    return

    def text_to_copy(self) -> str:
        """The text that is copied to the clipboard: the cells of the selected row, separated by tabs."""
        if not self._rows or self._ledger is None:
            return ""
        row = self._rows[self._cursor_index]
        columns = _known_columns(self._ledger, self._view.choices)
        return "\t".join(column.text(row) for column in columns)

    def action_scroll_columns(self, step: int) -> bool:
        """Scrolls the columns after the name to the right if `step` is 1, or to the left if `step` is -1.

        Returns whether there is a column to scroll to.
        """
        all_shown = not self._skipped and len(self._columns) == len(self._known)
        last = 0 if all_shown else len(self._known) - 1
        before, self._skipped = self._skipped, max(0, min(self._skipped + step, last))
        self.redraw_after_key()
        return self._skipped != before

    @property
    def enter_meaning(self) -> str:
        """ENTER explains the cache in the cursor's row, if there are rows."""
        is_drawn, is_known = self._order is not None, self._ledger is not None and bool(self._ledger.caches)
        return super().enter_meaning if (self._rows if is_drawn else is_known) else ""

    def action_choose(self) -> None:
        """Sends `RowSelected` for the cursor's row."""
        if self._rows:
            self.post_message(self.RowSelected(self._rows[self._cursor_index].cache.name))


def _empty_lines(ledger: Ledger, choices: Choices, columns: int) -> Sequence[Line]:
    """The reason why the table has no rows."""
    reason = ledger.sources["slabinfo"].reason or "no cache of TCP's is known"
    if choices.name_filter:
        which, elsewhere = ("no cache", "") if choices.all_caches else ("none of TCP's caches", "r looks in all, ")
        keys = f"{elsewhere}/ changes it, ESC ends it; ? then / finds words"
        reason = f"{which} has {choices.name_filter!r} in its name: {keys}"
    return paragraph(reason, columns, "text", WARNING)


def _notes(ledger: Ledger, choices: Choices, columns: int) -> Sequence[Line]:
    """Notes that say why sources of the table could not be read.

    The table of a single node may have an additional note.

    The additional note says that there are no counts for a node, or that there are counts for TCP's caches only.
    """
    # Only root may read slabinfo and the attributes below /sys/kernel/slab, so a single reason is shown for both.
    refused = ledger.sources["slabinfo"].state == "refused"
    names = ("slabinfo", "slab_links") if refused else ("slabinfo", "slab_links", "slab_counts")
    sources = [ledger.sources[name] for name in names]
    reasons = dict.fromkeys(source.reason for source in sources if source.reason and source.state != "waiting")
    lines = [line for reason in reasons for line in paragraph(reason, columns, "text", WARNING)]
    if table_node(ledger, choices) is None:
        return lines
    if ledger.has_child_caches:
        lines += paragraph("/sys/kernel/slab leaves out slabs of memory cgroups; = has the machine's", columns, "dim")
    elif lacks_counts_by_node(ledger):
        lines += paragraph("there are no counts by node here; = has the machine's", columns, "dim")
    elif choices.all_caches:
        lines += paragraph("by node, the kernel is asked for TCP's caches only; = has the machine's", columns, "dim")
    return lines


def visible_columns(ledger: Ledger, choices: Choices) -> list[Column]:
    """The columns for the machine or for the chosen node, without those that the user has switched off."""
    scope: Scope = "machine" if table_node(ledger, choices) is None else "node"
    return select_columns(scope, ledger.live, choices.extras, choices.columns)


def _heading(column: Column, choices: Choices) -> Heading:
    """The heading of a column; the heading of the sort column has a mark for the direction."""
    heading = column.heading
    if column.id != choices.sort:
        return heading
    mark = "▾" if column.descending != choices.reverse else "▴"
    return heading._replace(title=heading.title + mark)


def _cell_text(column: Column, row: CacheRow, width: int) -> str:
    """The text of a cell. A count that is too wide is shortened, but its sign `≤` or `≥` is kept."""
    text = column.text(row)
    if column.is_name:
        return f"{text}{MERGED}" if row.cache.aliases else text
    value = column.shown_value(row)
    if len(text) <= width or not isinstance(value, (int, float)):
        return text
    sign = text[: len("≤ ")] if text.startswith(("≤ ", "≥ ")) else ""
    return f"{sign}{units.short_count(round(value), width - len(sign), up=sign == '≤ ')}"


def _has_mini_sockets(row: CacheRow) -> bool:
    return any(name.endswith("timewait_sock") for name in row.cache.objects_of)


def _is_idle(row: CacheRow) -> bool:
    return row.counts is not None and row.counts.objects == 0


def _known_columns(ledger: Ledger, choices: Choices) -> list[Column]:
    """The columns of the table that have known values. Without root's privileges, some columns have no known values.

    The first sample has no rates yet, but later samples have rates. The column of rates is therefore included if the
    counts are known.
    """
    columns = visible_columns(ledger, choices)
    sample = [CacheRow(cache, table_node(ledger, choices)) for cache in ledger.caches[:SAMPLED_ROWS]]
    return [
        column
        for column in columns
        if column.is_name
        or any((row.object_count if column.is_rate else column.value(row)) is not None for row in sample)
    ]


def lay_out_columns(known: Sequence[Column], choices: Choices, columns: int, skipped: int) -> Layout:
    """The columns that a table of a given width shows: the most important ones that fit, in the order of the table.

    If `skipped` is not 0, the table shows the name, and then the columns from index `skipped` on. If `skipped` is not
    0, the importance of the columns does not matter.
    """
    order = sorted(known, key=attrgetter("rank"))
    shown, free_columns = _fitting(order if not skipped else [known[0], *known[skipped:]], columns)
    if not skipped and choices.sort not in shown:
        # The sort column takes the place of less important columns.
        sorted_first = sorted(order, key=lambda column: not column.is_name and column.id != choices.sort)
        shown, free_columns = _fitting(sorted_first, columns)
    widths = {column.id: column.width for column in known if column.id in shown}
    for name, most in WIDER:
        if name in widths:
            more = max(0, min(free_columns, most - widths[name]))
            widths[name] += more
            free_columns -= more
    headings = [_heading(column, choices) for column in known]
    visible = [index for index, column in enumerate(known) if column.id in shown]
    return Layout(headings, visible, [widths[known[index].id] for index in visible], " " * GAP, cell_width)


def _fitting(candidates: Sequence[Column], columns: int) -> tuple[set[str], int]:
    """The ids of the first candidates that fit into `columns`, and the remaining width.

    The first candidate is always included, even if it does not fit.
    """
    shown: set[str] = set()
    free_columns = columns + GAP
    for column in candidates:
        left_columns = free_columns - column.width - GAP
        if left_columns < 0 and shown:
            break
        shown.add(column.id)
        free_columns = left_columns
    return shown, free_columns


def node_shares_texts(ledger: Ledger) -> list[str]:
    """Texts on the spread of TCP's slabs over the nodes, from long to short; empty for a machine with one node.

    If the largest and the smallest share differ by at most EVEN_SHARES, the texts say that the spread is even. If the
    spread is not even, the long text has the share of each node, and the short texts name the node with the largest.
    """
    amounts = {node.node: ledger.tcp_bytes_on(node.node) for node in ledger.nodes}
    known = {node: amount for node, amount in amounts.items() if amount is not None}
    total = sum(known.values())
    if len(amounts) < 2 or len(known) < len(amounts) or not total:
        return []
    shares = node_shares(ledger, " ")
    most = max(known, key=lambda node: known[node])
    each = ", ".join(f"{node}: {share}" for node, share in shares.items())
    if max(known.values()) - min(known.values()) <= EVEN_SHARES * total:
        return [f"TCP even on {len(known)} nodes", "TCP even"]
    return [f"TCP on node {each}", f"most on node {most}, {shares[most]}", f"most on {most}: {shares[most]}"]
