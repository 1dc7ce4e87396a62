"""Holders screen (`W`): the table of who holds the sockets, its sums and verdicts, and a page for each row."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar, NamedTuple, Protocol

from rich.cells import set_cell_size
from textual.binding import Binding, BindingType
from textual.events import Click, Key

from tcptop.explanation.holder_page import NAME_COLUMN, TCP_INFO, SingleSockets, holder_page, warned_columns
from tcptop.explanation.holder_rows import (
    BY_PROCESS,
    CGROUP_COLUMNS,
    GROUPINGS,
    QUEUE_OF,
    SORTS,
    Grouping,
    HolderRow,
    RowFilter,
    SortKey,
    cgroup_variants,
    holder_rows,
    row_asks,
    short_cgroup,
)
from tcptop.explanation.holders_page import (
    TITLES,
    holder_cells,
    sum_lines,
    title_text,
    verdict_lines,
    verdict_paragraph,
)
from tcptop.ledger import Ledger
from tcptop.ledger.holders import Holders
from tcptop.recall import Same
from tcptop.snapshot.socket_table import RowAsk, SocketRows
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, WARNING, Line, Piece, Role, paragraph, text_of
from tcptop.text.table import Heading, Layout
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import cell_width, first_fitting, shorten_line
from tcptop.widgets.key_line import KeyHint, key_line
from tcptop.widgets.limits_pane import EIGHTHS
from tcptop.widgets.overlay_screen import SCROLLING_KEYS, OverlayScreen
from tcptop.widgets.pane import ASCII_CLASS
from tcptop.widgets.scroll_pane import TITLE_SEPARATOR, ScrollPane

SCREEN_GROUPINGS = tuple(grouping for grouping in GROUPINGS if grouping != "peer")
"""Groupings on the screen. The screen does not ask the kernel for the addresses of sockets, so it cannot group by
remote network."""
COLUMNS: Sequence[str] = (
    *("OWNER", "STATE", "SERVICE", "SOCKETS", "Δ", "MEMORY", "SLAB", "BUFFERS", "SHARE", "UNREAD", "UNSENT", "DROPS"),
    *("USER", "NETNS", "SOCK", "KERNEL", "CGROUP"),
)
"""All columns, in the order of the table. The column of the chosen grouping is moved to the front."""
FIRST_WIDTH = 18
WIDTHS: Mapping[str, int] = {
    "STATE": 11,
    "SOCKETS": 7,
    "SERVICE": 9,
    "MEMORY": 7,
    "BUFFERS": 7,
    "CGROUP": 8,
    "SLAB": 7,
    "OWNER": 12,
    "UNREAD": 6,
    "UNSENT": 6,
    "SHARE": 5,
    "Δ": 6,
    "DROPS": 5,
    "NETNS": 10,
    "": 30,
    "USER": 8,
    "SOCK": 7,
    "KERNEL": 7,
}
"""Maps each column, apart from the sort column, to its width; the most important columns come first. The name "" stands
for the first column, which has at least the width FIRST_WIDTH.

In a terminal of 40 columns, the first column, the sort column and the state are complete. STATE comes before SERVICE,
because the state tells what a socket waits for.
"""
TELLING_AT = list(WIDTHS).index("MEMORY")
"""Index in WIDTHS. Columns that tell similar rows apart are inserted at this index when they are needed."""
WIDER: Sequence[tuple[str, int]] = (
    *(("SERVICE", 13), ("CGROUP", 14), ("SHARE", 14), ("CGROUP", 32), ("OWNER", 24)),
    *(("", 40), ("CGROUP", 60), ("NETNS", 16), ("USER", 12), ("SHARE", 40), ("", 64)),
)
"""Columns that grow to the given width if there is room, in this order."""
GAP = " "
LEFT = frozenset({*TITLES.values(), "SHARE"})
SORT_OF: Mapping[str, SortKey] = {sort.upper(): sort for sort in SORTS}
FOOT_SHARE = 3
"""The sums and verdicts together take at most 1/FOOT_SHARE of the lines, or the lines that the rows leave free."""
UNWRAPPED = 10_000
"""A number of columns that is large enough for every verdict to fit on one line."""
MIN_ROWS_WITH_KEYS = 6
GROUP_KEY: KeyHint = ("← →", "group by", "by")
ASCII_GROUP_KEY: KeyHint = ("Left Right", "group by", "by")
"""Hint that replaces GROUP_KEY on a terminal that shows ASCII only. In ASCII, the arrows would look like `<` and `>`,
which are the keys that scroll the columns."""
HELP_KEY: KeyHint = ("?", "help", "help")
TABLE_KEYS: tuple[KeyHint, ...] = (
    ("ENTER", "open", "open"),
    GROUP_KEY,
    ("s", "sort", "sort"),
    ("/", "find", "find"),
)
COLUMNS_KEY: KeyHint = ("< >", "columns", "columns")
LIVE_KEY: KeyHint = ("SPACE", "look now", "look")
REPLAY_KEY: KeyHint = ("t T", "later/earlier", "step")
CLOSE_KEY: KeyHint = ("ESC", "close", "close")
END_FILTER_KEY: KeyHint = ("ESC", "all rows", "all")
BACK_KEY: KeyHint = ("ESC", "back to the table", "back")
SCROLL_KEY: KeyHint = ("↑ ↓", "scroll", "scroll")
FOOT_KEY: KeyHint = ("i", "what to do", "what to do")
WHOLE_FOOT_KEY: KeyHint = ("i", "in full", "in full")
"""Hint that replaces FOOT_KEY if no verdict has a remedy."""
SINGLE_KEY: KeyHint = ("d", "single sockets", "sockets")
ASKING = "asking the kernel for its sockets …"
PAUSED = "paused: SPACE asks the kernel for its sockets"
NOT_RECORDED = "this sample has no list of the sockets; tcptop record --who keeps one"


class TableChoice(NamedTuple):
    """The user's choices for the table, which are kept until the program ends."""

    by: Grouping = "owner"
    sort: SortKey = "memory"
    text: str = ""
    """Filter text. Only rows whose name, owner, cgroup or service contains the text are shown; an empty text shows all
    rows."""


class SocketSource(Protocol):
    """The feed that asks the kernel about the sockets and delivers the answers."""

    @property
    def asks_kernel(self) -> bool:
        """True if a running kernel can be asked for single sockets."""
        ...

    def ask_for_rows(self, asks: Sequence[RowAsk], use: Callable[[SocketRows], None]) -> None:
        """Reads single sockets once in the background, and passes them to `use`."""
        ...


class HoldersPane(ScrollPane):
    """Pane of the table with a cursor; Enter shows the page of the row with the cursor instead of the table."""

    DEFAULT_CSS = """
    HoldersPane { width: 100%; height: 100%; padding: 0 1; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", show=False),
        Binding("right", "step_grouping(1)", show=False),
        Binding("left", "step_grouping(-1)", show=False),
        Binding("s,S", "step_sort", show=False),
        Binding("i", "open_foot", show=False),
        Binding("slash", "ask_text", show=False),
        Binding("d,D", "ask_single", show=False),
        Binding("less_than_sign,shift+left", "scroll_columns(-1)", show=False),
        Binding("greater_than_sign,shift+right", "scroll_columns(1)", show=False),
    ]

    def __init__(self, choice: TableChoice, source: SocketSource) -> None:
        super().__init__(id="holders", classes="-titled")
        self.choice = choice
        self._source = source
        self._rows: list[HolderRow] = []
        self._changes: Mapping[str, float] | None = None
        """For each row, the number of sockets in the previous list of sockets; None until a second list has been
        read."""
        self._rows_of: tuple[object, ...] = ()
        self._total_bytes = 0.0
        """The values that `_rows` depends on."""
        self._needless: frozenset[str] = frozenset()
        """Columns that are left out because their values tell the user nothing."""
        self._telling: Sequence[str] = ()
        """Columns that tell apart rows that have the same name, state and service."""
        self._cursor = 0
        self._cursor_key = ""
        self._opened: str | None = None
        """Key of the row whose page is shown; None while the table is shown."""
        self._opened_name = ""
        self._shows_foot = False
        """True while the verdicts and the sums are shown in full."""
        self._asked: Sequence[RowAsk] = ()
        """The requests that the opened page last sent for single sockets."""
        self._answer: SocketRows | None = None
        self._answered_at_s = 0.0
        self._seeks_single = False
        """True if the page scrolls to the line of the single sockets when it is drawn next."""
        self._layout: Layout | None = None
        self._drawn: Sequence[Line] = ()
        self._drawn_of: tuple[object, ...] | None = None
        """The values that the lines in `_drawn` depend on; None if the lines must be drawn again."""
        self._skipped = 0
        """Number of columns that are scrolled out of sight at the left; the columns that never scroll are not
        counted."""
        self._hidden = 0
        """Number of columns that are not visible."""

    # What is shown

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title; if it is too wide, its last parts are left out."""
        title, note = super().edge_titles(ledger, choices)
        parts = title.split(TITLE_SEPARATOR)
        shorter = [TITLE_SEPARATOR.join(parts[:end]) for end in range(len(parts), 0, -1)]
        return first_fitting(shorter, self.max_title_width), note

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The grouping, sort order, filter and scope; the age of the figures, and the CPU time of the reads."""
        if ledger.holders is None:
            return "Who holds it"
        parts = title_text(ledger.holders, self.choice.by, self.choice.sort).split(TITLE_SEPARATOR)
        if self._shows_foot:
            parts[1] = "verdicts and sums"
        elif self._opened is not None:
            name = self._opened_name
            parts[1] = f"{self.choice.by} {short_cgroup(name, CGROUP_COLUMNS) if self.choice.by == 'cgroup' else name}"
        elif self.choice.text:
            parts[1] += f", with {self.choice.text!r}"
        return TITLE_SEPARATOR.join(parts)

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        """The table, the sums, the verdicts and the keys, or the page of the opened row.

        The lines are drawn again only if one of the values that they depend on has changed.
        """
        depends_on = self._lines_depend_on(ledger, columns, rows)
        if depends_on is None or depends_on != self._drawn_of:
            self._drawn = self._draw_lines(ledger, choices, columns, rows)
            # Drawing may move the cursor or scroll the columns, so `depends_on` may be out of date after the drawing.
            self._drawn_of = self._lines_depend_on(ledger, columns, rows)
        return self._drawn

    def _lines_depend_on(self, ledger: Ledger, columns: int, rows: int) -> tuple[object, ...] | None:
        """All values that the lines depend on; None if the sockets have not been read."""
        holders = ledger.holders
        if holders is None:
            return None
        look = map(Same, (holders.groups, holders.groups_before, holders.verdicts, holders.namespaces))
        single = (Same(self._asked), Same(self._answer), self._answer and round(self._answer_age_s))
        page = (self._opened, self._shows_foot)
        chosen = (self.choice, *page, self._cursor, self._first, self._skipped, self._step_keys())
        return (*look, holders.sums, holders.missing, *single, *chosen, columns, rows)

    def _draw_lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:
        holders = ledger.holders
        with_keys = rows >= MIN_ROWS_WITH_KEYS
        room = rows - with_keys
        self._layout = None
        again = self._source.asks_kernel
        if holders is None:
            drawn = self._fixed(self._reason_lines(ledger, choices, columns), room)
            keys: tuple[KeyHint, ...] = (CLOSE_KEY, *self._step_keys())
        elif self._shows_foot:
            drawn = self._fixed(
                [*verdict_lines(holders, columns, again), EMPTY_LINE, *sum_lines(holders, columns)], room
            )
            keys = (BACK_KEY, *([SCROLL_KEY] if self.position else []))
        elif self._opened is not None:
            self._find_rows(holders)
            row = self._opened_row()
            single = self._single(row)
            drawn = self._fixed(self._page(holders, row, single, columns), room)
            keys = (BACK_KEY, *([SCROLL_KEY] if self.position else []))
            keys += (SINGLE_KEY,) if single.can_ask and single.asks else ()
        else:
            self._find_rows(holders)
            below_rows = room - 2 - max(1, len(self._rows))
            foot = foot_lines(holders, columns, max(max(0, room - 1) // FOOT_SHARE, below_rows), again)
            table = self._table(holders, columns, room - len(foot))
            gap = [EMPTY_LINE] if foot and len(table) + len(foot) < room else []
            drawn = [*table, *gap, *foot]
            drawn += [EMPTY_LINE] * (room - len(drawn))
            is_cut = len(foot) < len(sum_lines(holders, columns)) + len(verdict_lines(holders, columns, again))
            has_remedy = any(verdict.remedy for verdict in holders.verdicts)
            keys = self._table_keys((FOOT_KEY if has_remedy else WHOLE_FOOT_KEY,) if is_cut else ())
        keys = keys if HELP_KEY in keys else (*keys, HELP_KEY)
        return [*drawn, key_line(columns, keys)] if with_keys else drawn

    def _reason_lines(self, ledger: Ledger, choices: Choices, columns: int) -> list[Line]:
        """The lines that say why there is no table. Waiting for the answer is no reason for a warning."""
        source = ledger.sources["socket_table"]
        if self._view.player is not None:
            return paragraph(NOT_RECORDED, columns, "text", WARNING)
        if source.state in ("off", "waiting", "late") or source.reason is None:
            return paragraph(PAUSED if choices.paused else ASKING, columns, "dim")
        return paragraph(source.reason, columns, "text", WARNING)

    def _fixed(self, lines: Sequence[Line], height: int) -> list[Line]:
        """The visible part of lines that scroll, followed by empty lines up to the given height."""
        self._kept_line = None
        self.place(len(lines), height)
        shown = lines[self._first : self._first + self._body_height]
        return [*shown, *[EMPTY_LINE] * (height - len(shown))]

    def _page(self, holders: Holders, row: HolderRow | None, single: SingleSockets, columns: int) -> Sequence[Line]:
        if row is None:
            return paragraph(f"{self._opened_name} has no socket in this list", columns, "text", WARNING)
        lines = holder_page(holders, row, columns, single)
        if self._seeks_single:
            self._seeks_single = False
            found = [at for at, line in enumerate(lines) if text_of(line).split()[:1] == [TCP_INFO]]
            self._first = found[0] if found and len(lines) > self._body_height else self._first
        return lines

    def _opened_row(self) -> HolderRow | None:
        return next((row for row in self._rows if row.key == self._opened), None)

    def _single(self, row: HolderRow | None) -> SingleSockets:
        """The request for the single sockets of the opened row, with the answer if the kernel has answered.

        If no request was sent yet, the result has the request that would be sent.
        """
        asks = self._asked or ([] if row is None else row_asks(row.groups))
        return SingleSockets(asks, self._source.asks_kernel, bool(self._asked), self._answer, self._answer_age_s)

    @property
    def _answer_age_s(self) -> float:
        return time.monotonic() - self._answered_at_s

    def _find_rows(self, holders: Holders) -> None:
        """Makes the rows again if the data or the user's choice has changed. The cursor stays on its row."""
        depends_on = (holders.taken_at_s, id(holders.groups), self.choice, self._opened is None)
        if depends_on == self._rows_of:
            return
        by, sort, text = self.choice
        chosen = RowFilter(text=text if self._opened is None else "")
        self._rows_of = depends_on
        self._rows = holder_rows(holders, by, chosen, sort)
        self._needless, self._telling = needless_columns(self._rows), telling_columns(self._rows)
        whole = holder_rows(holders, by, RowFilter(), sort) if chosen.text else self._rows
        self._total_bytes = sum(row.bytes or 0 for row in whole) if holders.sums.are_all_charged else 0
        self._changes = None
        if holders.groups_before is not None:
            before = holder_rows(holders._replace(groups=holders.groups_before), by)
            self._changes = {row.key: row.sockets for row in before}
        keys = [row.key for row in self._rows]
        if self._cursor_key in keys:
            self._cursor = keys.index(self._cursor_key)
        self._move_to(self._cursor)

    def _table(self, holders: Holders, columns: int, height: int) -> list[Line]:
        """The headings and the visible rows, in at most `height` lines."""
        layout, self._hidden, self._skipped = lay_out(
            self.choice.by, self.choice.sort, columns, self._needless, self._telling, self._skipped
        )
        self._layout = layout
        self._kept_line = self._cursor
        self.place(len(self._rows), height - 1)
        roles: list[Role] = ["accent" if SORT_OF.get(title) == self.choice.sort else "head" for title in layout.titles]
        lines = [layout.line(layout.titles, roles)]
        for index in range(self._first, min(len(self._rows), self._first + self._body_height)):
            row = self._rows[index]
            texts = self._cells(row, layout, self._total_bytes, not holders.sums.complete)
            warned = coloured_titles(warned_columns(holders, row), self.choice.by, layout.titles)
            line = layout.line(texts, ["warning" if title in warned else "text" for title in layout.titles])
            lines.append(under_cursor(line, columns) if index == self._cursor else line)
        if not self._rows:
            why = f"no row has {self.choice.text!r}: / changes it" if self.choice.text else "there is no TCP socket"
            lines += paragraph(why, columns, "dim")
        return lines[:height]

    def _cells(self, row: HolderRow, layout: Layout, total_bytes: float, is_at_most: bool) -> list[str]:
        titles = layout.titles
        known = [TITLES[self.choice.by], *CELL_TITLES]
        cells = dict(zip(known, holder_cells(row, self.choice.by, known), strict=True))
        widths = dict(zip(titles, layout.widths, strict=True))
        about = "≈" if row.is_estimated else ""
        if len(cells["SOCKETS"]) > widths.get("SOCKETS", 0):
            cells["SOCKETS"] = f"{about}{units.short_count(round(row.sockets), WIDTHS['SOCKETS'] - 1)}"
        if row.drops is not None and len(cells["DROPS"]) > WIDTHS["DROPS"]:
            cells["DROPS"] = units.short_count(round(row.drops), WIDTHS["DROPS"])
        share = None if row.bytes is None or not total_bytes else row.bytes / total_bytes
        for title, variants in VARIANTS.items():
            if title in widths:
                cells[title] = first_fitting(variants(cells[title], widths[title]), widths[title])
        cells["SHARE"] = share_text(share, widths.get("SHARE", 0), is_at_most)
        change = None if self._changes is None else row.sockets - self._changes.get(row.key, 0)
        cells["Δ"] = change_text(change, about)
        return [cells[title] for title in titles]

    def _step_keys(self) -> tuple[KeyHint, ...]:
        """The hint for the key that shows newer or older data; empty for a saved tree.

        On a running machine, the key asks the kernel again. In a recording, the key goes to another sample.
        """
        if self._view.player is not None:
            return (REPLAY_KEY,)
        return (LIVE_KEY,) if self._source.asks_kernel else ()

    def _table_keys(self, foot: tuple[KeyHint, ...]) -> tuple[KeyHint, ...]:
        """The keys that have an effect on the table; the hint of the key `s` also names the sort column.

        `foot` is the hint of the key that shows the verdicts and sums in full, if they are not.

        ESC comes first, as on the pages, so that no width leaves it out.
        """
        ascii_only = self.app.has_class(ASCII_CLASS)
        keys = [
            (key, f"{meaning}: {self.choice.sort}" if key == "s" else meaning, word)
            for key, meaning, word in (
                ASCII_GROUP_KEY if ascii_only and hint == GROUP_KEY else hint for hint in TABLE_KEYS
            )
            if key != "ENTER" or self._rows
        ]
        if self._hidden:
            keys.insert(-2, COLUMNS_KEY)
        keys.insert(-2, HELP_KEY)
        first = (END_FILTER_KEY if self.choice.text else CLOSE_KEY, *foot)
        return (*first, *keys, *self._step_keys())

    def text_to_copy(self) -> str:
        """The text that is copied to the clipboard.

        If a page is open, the text is the lines of the page. If no page is open, the text is the cells of the row with
        the cursor, separated by tabs.
        """
        if self._is_page or not self._rows:
            return super(ScrollPane, self).text_to_copy()
        return "\t".join(holder_cells(self._rows[self._cursor], self.choice.by, CELL_TITLES))

    # Keys

    @property
    def _is_page(self) -> bool:
        """True while a page is shown in place of the table."""
        return self._opened is not None or self._shows_foot

    def _move_to(self, index: int) -> None:
        self._cursor = max(0, min(len(self._rows) - 1, index))
        self._cursor_key = self._rows[self._cursor].key if self._rows else ""

    def action_scroll_by(self, lines: int) -> None:
        """Moves the cursor of the table, or scrolls the page."""
        if self._is_page:
            super().action_scroll_by(lines)
            return
        self._move_to(self._cursor + lines)
        self.redraw_after_key()

    def action_open(self) -> None:
        """Shows the page of the row with the cursor."""
        if not self._is_page and self._rows:
            self._opened, self._opened_name = self._cursor_key, self._rows[self._cursor].name
            self._asked, self._answer = (), None
            self._first = 0
            self.redraw()

    def action_open_foot(self) -> None:
        """Shows the verdicts and the sums in full, unless the page of a row is shown."""
        if not self._is_page:
            self._shows_foot = True
            self._first = 0
            self.redraw()

    def action_ask_single(self) -> None:
        """Requests the single sockets of the opened row, unless an answer is still to come."""
        row = self._opened_row()
        if row is None and not self._is_page:
            self.app.notify("d asks for the single sockets of a row: ENTER opens the row", timeout=4, markup=False)
        is_waiting = self._asked and self._answer is None
        if row is None or is_waiting or not self._source.asks_kernel:
            return
        self._asked = asked = row_asks(row.groups)
        self._answer = None

        def use(answer: SocketRows) -> None:
            if self._asked is asked and self.is_attached:
                self._answer, self._answered_at_s = answer, time.monotonic()
                self._seeks_single = True
                self.redraw()

        if asked:
            self._source.ask_for_rows(asked, use)
            self._seeks_single = True
            self.redraw()

    def back(self) -> bool:
        """Closes the open page.

        If no page is open, ends the filter. Returns False if there was neither a page nor a filter.
        """
        if self._is_page:
            self._opened, self._shows_foot = None, False
        elif self.choice.text:
            self.choice = self.choice._replace(text="")
        else:
            return False
        self.redraw()
        return True

    def choose(self, choice: TableChoice) -> None:
        """Shows the table with the changed choices of the user."""
        self.choice = choice
        self.redraw_after_key()

    def action_step_grouping(self, step: int) -> None:
        """Changes to the next or the previous grouping. If the page of a row is open, does nothing."""
        if not self._is_page:
            index = SCREEN_GROUPINGS.index(self.choice.by) + step
            self._cursor, self._cursor_key = 0, ""
            self.choose(self.choice._replace(by=SCREEN_GROUPINGS[index % len(SCREEN_GROUPINGS)]))

    def action_scroll_columns(self, step: int) -> None:
        """Scrolls the columns to the right if `step` is 1, or to the left if `step` is -1."""
        if not self._is_page:
            self._skipped = max(0, self._skipped + step)
            self.redraw_after_key()

    def action_step_sort(self) -> None:
        """Sorts by the next column, unless the page of a row is shown."""
        if self._is_page:
            return
        self.choose(self.choice._replace(sort=SORTS[(SORTS.index(self.choice.sort) + 1) % len(SORTS)]))

    def action_ask_text(self) -> None:
        """Asks the user for the filter text, and filters the rows with each typed character."""
        from tcptop.widgets.prompt import Prompt

        def use(text: str | None) -> None:
            self.choose(self.choice._replace(text=text or ""))

        if not self._is_page:
            self.app.push_screen(Prompt("only rows with:", self.choice.text, use), use)

    def on_click(self, event: Click) -> None:
        """A click on a row moves the cursor to the row, or opens the row if the row has the cursor already.

        A click on a heading sorts by its column.
        """
        offset, layout = event.get_content_offset(self), self._layout
        if offset is None or layout is None:
            return
        index = self._first + offset.y - 1
        if offset.y == 0:
            self._sort_at(layout, offset.x)
        elif offset.y <= self._body_height and index == self._cursor:
            self.action_open()
        elif offset.y <= self._body_height and index < len(self._rows):
            self.action_scroll_by(index - self._cursor)

    def _sort_at(self, layout: Layout, x: int) -> None:
        end = 0
        for title, width in zip(layout.titles, layout.widths, strict=True):
            end += width + len(GAP)
            if x < end:
                if title in SORT_OF:
                    self.choose(self.choice._replace(sort=SORT_OF[title]))
                return


class HoldersScreen(OverlayScreen):
    """Screen of the table. ESC, `q` and `W` close the screen; if a page is open, ESC and `q` close the page first."""

    PASSED_ON_KEYS = ("ctrl+c", "ctrl+l", "ctrl+o", "ctrl+y", "space", "z", "t", "T")
    HELP_KEYS = ("question_mark", "h", "H", "f1")
    COLUMN_KEYS = ("less_than_sign", "greater_than_sign", "shift+left", "shift+right")
    PANE_KEYS = (*SCROLLING_KEYS, "enter", "left", "right", "s", "S", "i", "slash", "d", "D", *COLUMN_KEYS)
    CLOSES_ON_CLICK = False

    def __init__(self, choice: TableChoice, source: SocketSource, ledger: Ledger, view: View) -> None:
        self._holders_pane = HoldersPane(choice, source)
        super().__init__(self._holders_pane, ledger, view)

    @property
    def choice(self) -> TableChoice:
        """The user's choices, which the app keeps when the screen is closed."""
        return self._holders_pane.choice

    def on_key(self, event: Key) -> None:
        """Goes back or closes the screen; any key without a meaning here does nothing."""
        event.prevent_default()  # otherwise, Textual would also call on_key() of the base class
        if event.key in (*self.PANE_KEYS, *self.PASSED_ON_KEYS):
            return
        event.stop()
        if event.key in self.HELP_KEYS:
            from tcptop.widgets.help_screen import HelpScreen, HoldersHelpPane

            self.app.push_screen(HelpScreen(HoldersHelpPane(), self._ledger, self._view))
        elif event.key == "W" or (event.key in ("escape", "q", "Q") and not self._holders_pane.back()):
            self._close()


CELL_TITLES = [title for title in COLUMNS if title not in ("Δ", "SHARE")]

SAYS_NOTHING: Mapping[str, tuple[Callable[[HolderRow], object], Collection[object]]] = {
    "CGROUP": (lambda row: row.cgroup, ("", "/")),
    "NETNS": (lambda row: row.namespace, ("here",)),
    "USER": (lambda row: row.user, ("",)),
    "SOCK": (lambda row: row.cgroup_sock_bytes, (None,)),
    "KERNEL": (lambda row: row.cgroup_kernel_bytes, (None,)),
}
"""For each column that may be left out: a function that returns the column's value in a row, and the values that tell
the user nothing."""


def needless_columns(rows: Sequence[HolderRow]) -> frozenset[str]:
    """The columns whose values tell the user nothing in any of the rows."""
    return frozenset(
        title for title, (value_of, nothing) in SAYS_NOTHING.items() if all(value_of(row) in nothing for row in rows)
    )


def telling_columns(rows: Sequence[HolderRow]) -> Sequence[str]:
    """The columns that are needed to tell apart rows with the same name, state and service."""
    alike: dict[tuple[str, ...], list[HolderRow]] = defaultdict(list)
    for row in rows:
        alike[row.name, row.state, row.service].append(row)
    return [
        title
        for title in ("NETNS", "CGROUP")
        if any(len({SAYS_NOTHING[title][0](row) for row in group}) > 1 for group in alike.values())
    ]


class LaidOut(NamedTuple):
    """The visible columns, and how many columns are hidden or scrolled out of sight."""

    layout: Layout
    hidden: int
    """Number of columns that are not visible."""
    skipped: int
    """Number of columns that are scrolled out of sight at the left. The number of columns out of sight is never larger
    than necessary to make the last column visible."""


def lay_out(
    by: Grouping,
    sort: SortKey,
    columns: int,
    needless: Collection[str] = (),
    telling: Sequence[str] = (),
    skipped: int = 0,
) -> LaidOut:
    """The columns of a table of a given width, without the columns in `needless`.

    The columns in `telling` are more important than the column MEMORY.

    The first column and the sort column are always visible. The remaining width shows the most important columns. If
    the user has scrolled to the right, the remaining width shows the next columns in the order of the table. The
    visible columns do not depend on the numbers in the rows, so the columns keep their places while the numbers change.
    """
    first, sorted_by = TITLES[by], sort.upper()
    without = {first, sorted_by, *needless, *(("OWNER",) if by in BY_PROCESS else ())}
    others = [title for title in COLUMNS if title not in without]
    order = list(WIDTHS)
    order[TELLING_AT:] = [*telling, *(title for title in order[TELLING_AT:] if title not in telling)]
    if skipped:
        room = columns - FIRST_WIDTH - WIDTHS[sorted_by] - len(GAP)
        needed = [sum(WIDTHS[title] + len(GAP) for title in others[start:]) for start in range(len(others) + 1)]
        skipped = min(skipped, next(start for start, width in enumerate(needed) if width <= max(0, room)))
    if skipped:
        order = others[skipped:]
    allowed = {sorted_by, *others[skipped:]}
    widths = {first: FIRST_WIDTH}
    free_columns = columns - FIRST_WIDTH
    for title, width in ((sorted_by, WIDTHS[sorted_by]), *((title, WIDTHS[title]) for title in order), *WIDER):
        name = title or first
        if name in widths:
            more = max(0, min(free_columns, width - widths[name]))
        elif name in allowed and width + len(GAP) <= free_columns:
            widths[name], more = 0, width
            free_columns -= len(GAP)
        else:
            if skipped:
                allowed = set()  # the first column that does not fit ends the row
            continue
        widths[name] += more
        free_columns -= more
    titles = [title for title in (first, *(title for title in COLUMNS if title != first)) if title in widths]
    headings = [Heading(title, left=title in LEFT) for title in titles]
    layout = Layout(headings, range(len(titles)), [widths[title] for title in titles], GAP, cell_width)
    return LaidOut(layout, len(others) + 2 - len(titles), skipped)


def coloured_titles(warned: Collection[str], by: Grouping, titles: Sequence[str]) -> set[str]:
    """The titles of the columns of a row that have the colour of a verdict, which is about the columns `warned`.

    If none of them is visible, the first column has it, so that no row with a verdict looks like one without.
    """
    first = {NAME_COLUMN, *(("OWNER",) if by in BY_PROCESS else ())}
    coloured = {titles[0] if title in first else title for title in warned}
    return {titles[0]} if coloured and not coloured.intersection(titles) else coloured


def under_cursor(line: Line, columns: int) -> Line:
    """The line with the cursor, `columns` wide; a warning keeps its colour."""
    pieces: list[Piece] = [(text, "cursor-warning" if role == "warning" else "cursor") for text, role in line]
    return (*pieces, (" " * max(0, columns - cell_width(text_of(line))), "cursor"))


def foot_lines(holders: Holders, columns: int, height: int, can_confirm: bool = False) -> list[Line]:
    """The verdicts, and below them the sums, in at most `height` lines.

    If there is no room for both, sums and remedies are left out first, the last one first, and the most urgent
    verdicts are kept. A text that does not fit ends in `…`. The first verdict may take several lines, but leaves at
    least one line for further verdicts.
    """
    remedies = len(holders.verdicts)
    verdicts = verdict_lines(holders, columns, can_confirm)
    while remedies and len(verdicts) >= height:
        remedies -= 1
        verdicts = verdict_lines(holders, columns, can_confirm, remedies)
    if len(verdicts) > height:
        verdicts = [shorten_line(line, columns - 1) for line in verdict_lines(holders, UNWRAPPED, remedies=0)]
        urgent = verdict_paragraph(holders.verdicts[0], columns, can_confirm, False) if holders.verdicts else []
        if 1 < len(urgent) < height:
            verdicts[:1] = urgent
    if len(verdicts) > height > 0:
        left = len(verdicts) - height + 1
        verdicts = [*verdicts[: height - 1], ((f"   … {left} more", "dim"),)] if height > 1 else verdicts[:1]
    return [*verdicts[:height], *sum_lines(holders, columns, max(0, height - len(verdicts)))]


def owner_variants(name: str, width: int) -> list[str]:
    """The name of an owner, and shorter variants: without `of`, and then cut.

    `…` replaces the end of the name of the process. The number of the process is kept, and the word `queue`: sockets
    in an accept queue are not those of the process.
    """
    is_queue = name.startswith(QUEUE_OF)
    process = name.removeprefix(QUEUE_OF)
    kind = "queue " if is_queue else ""
    names = list(dict.fromkeys((name, f"{kind}{process}")))
    start, bracket, number = process.rpartition("[")
    if not bracket:
        return [*names, "queue"] if is_queue else names
    free_columns = width - len(f"{kind}…[{number}")
    if free_columns > 0:
        names.append(f"{kind}{set_cell_size(start, free_columns).rstrip()}…[{number}")
    return [*names, f"queue[{number}"] if is_queue else names


VARIANTS: Mapping[str, Callable[[str, int], Sequence[str]]] = {
    "OWNER": owner_variants,
    "PROCESS": owner_variants,
    "CGROUP": lambda path, _: cgroup_variants(path),
    "SERVICE": lambda text, _: [text, text.replace("many ports", "many")],
}
"""For each column, a function that gives shorter variants of a cell's text, the longest first."""


def share_text(share: float | None, width: int, is_at_most: bool = False) -> str:
    """A share as a percentage, followed by a bar if the column is wide.

    If `is_at_most` is true, `≤` stands before the percentage, which is then rounded up.
    """
    percent = units.percent(share)
    if share is not None and is_at_most:
        percent = f"≤{units.percent_bound(share, True)}%"
    text = f"{percent:>{WIDTHS['SHARE']}}"
    cells = width - WIDTHS["SHARE"] - 1
    if cells < 4 or not share or not units.whole_percent(share):
        return text
    eighths = int(8 * cells * share + units.ROUNDING_ERROR) or 1
    return f"{text} {'█' * (eighths // 8)}{EIGHTHS[eighths % 8 - 1] if eighths % 8 else ''}"


def change_text(change: float | None, about: str) -> str:
    """The change of a number of sockets, in at most six characters."""
    if change is None:
        return units.UNKNOWN
    if not round(change):
        return "0"
    text = units.signed_count(change)
    if len(text) + len(about) > WIDTHS["Δ"]:
        text = f"{text[0]}{units.short_count(abs(round(change)), WIDTHS['Δ'] - 1 - len(about))}"
    return f"{about}{text}"
