"""Nodes pane: for each NUMA node, the memory of TCP's slabs, and the free blocks for more TCP slabs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message

from tcptop.explanation.limit_texts import node_fits_text
from tcptop.ledger import AccountingMode, Ledger
from tcptop.text import units
from tcptop.text.line import Line, Role
from tcptop.text.table import Heading, fit_columns
from tcptop.view.choices import Choices
from tcptop.view.node_shares import node_shares
from tcptop.widgets.cell_width import cell_width, first_fitting, line_width
from tcptop.widgets.pane import TITLE_GAP
from tcptop.widgets.scroll_pane import Content, ScrollPane

BAR_WIDTH = 10
TCP, TRACE, OTHER, FREE = "█", "▏", "▒", "░"
"""Characters for the cells of the bar. TCP stands for memory of TCP's slabs. TRACE stands for memory of TCP's slabs
that would fill less than half a cell. OTHER stands for used memory apart from TCP's slabs, and FREE for free memory."""
CHOSEN = "›"
"""Sign before the number of the node that all panes show."""
FITS: dict[AccountingMode, str] = {"full": "SOCKETS FIT", "time_wait": "MINIS FIT"}
"""Titles of the column of what fits, by what is counted."""
SLABS = "SLABS FIT"
SLABS_COLUMNS = 100
"""From this width on, the slabs that fit stand beside the sockets that fit."""
BAR_ROLES: dict[str, Role] = {TCP: "accent", TRACE: "accent", OTHER: "slice-2", FREE: "dim"}
CURSOR_ROLES: dict[Role, Role] = {"accent": "cursor-accent", "slice-2": "cursor-slice-2", "dim": "cursor-dim"}
"""The roles of the bar in the line of the cursor."""


def node_headings(ledger: Ledger, mode: AccountingMode) -> tuple[Heading, ...]:
    """The columns of the node table; if the width is too small, those of low importance are left out.

    One heading names the size of the slabs of the sockets that `mode` counts.
    """
    page_bytes, order = ledger.host.page_size_bytes, ledger.slab_order(mode)
    block = "" if order is None else f"{units.page_order_size(order, page_bytes)} "
    return (
        Heading("NODE", min_width=4),
        Heading("CPUS", importance=1, min_width=4),
        Heading("MEMORY", importance=3, min_width=6),
        Heading("", left=True, importance=5, min_width=BAR_WIDTH),
        Heading("TCP", min_width=5),
        Heading("OF TCP", importance=6, min_width=6),
        Heading("FREE", importance=4, min_width=5),
        Heading(f"{block}{SLABS}", importance=2),
        Heading(FITS[mode], min_width=11),
        *([Heading("DISTANCES", importance=0)] if any(node.distances for node in ledger.nodes) else []),
    )


def node_lines(ledger: Ledger, columns: int, mode: AccountingMode = "full", chosen: int | None = None) -> list[Line]:
    """The titles of the columns, and a line for each node. The sign CHOSEN marks the chosen node.

    With page cache nearly every node looks full, so a node is called full only if no socket fits, and the free pages
    are below a watermark: `0 below low`.

    Each bar stands for the memory of its own node.
    """
    tcp = [ledger.tcp_bytes_on(node.node) for node in ledger.nodes]
    shares = node_shares(ledger)
    headroom = ledger.headroom[mode].nodes
    headings = node_headings(ledger, mode)
    rows: list[tuple[str, ...]] = []
    for node, tcp_bytes in zip(ledger.nodes, tcp, strict=True):
        fits = headroom[node.node].without_reclaim if node.node in headroom else None
        below = f" below {node.low_watermark}" if fits == 0 and node.low_watermark else ""
        rows.append(
            (
                f"{CHOSEN if node.node == chosen else ''}{node.node}",
                units.count(node.cpus),
                units.compact_size(node.memory_bytes),
                node_bar(tcp_bytes, node.free_bytes, node.memory_bytes),
                units.compact_size(tcp_bytes),
                shares.get(node.node, units.UNKNOWN),
                units.compact_size(node.free_bytes),
                units.rough_count(node.slabs_free(mode)),
                f"{node_fits_text(ledger.headroom[mode], fits)}{below}",
                " ".join(map(str, (node.distances or {}).values())),
            )[: len(headings)]
        )
    if columns < SLABS_COLUMNS:
        at = next(index for index, heading in enumerate(headings) if heading.title.endswith(SLABS))
        headings, rows = (*headings[:at], *headings[at + 1 :]), [(*row[:at], *row[at + 1 :]) for row in rows]
    layout = fit_columns(headings, rows, columns)
    roles: list[Role] = ["text"] * len(layout.headings)
    lines = [layout.line(layout.titles, ["head"] * len(layout.headings))]
    full_roles: list[Role] = ["warning" if title == FITS[mode] else "text" for title in layout.titles]
    at = layout.titles.index(FITS[mode])
    return lines + [
        _with_bar_roles(layout.line(cells, full_roles if " below " in cells[at] else roles)) for cells in rows
    ]


def _with_bar_roles(line: Line) -> Line:
    """The line, in which each part of the bar has its own role (style)."""
    cells = [(cell, BAR_ROLES.get(cell, role)) for text, role in line for cell in text]
    return tuple(("".join(cell for cell, _ in group), role) for role, group in groupby(cells, lambda each: each[1]))


def _marked(line: Line, role: Role) -> Line:
    """The line in the given role (style), in which the bar keeps its colours, on the background of that role."""
    bar = {each: CURSOR_ROLES[each] if role == "cursor" else each for each in BAR_ROLES.values()}
    return tuple((text, bar.get(each, role)) for text, each in line)


def node_bar(tcp_bytes: float | None, free_bytes: float | None, memory_bytes: float | None) -> str:
    """A bar of a node's memory: TCP's slabs, other used memory, and free memory.

    Memory that would fill at least half a cell has a cell. TCP's slabs always have one; it is taken from the kind with
    the most cells. The bar is empty if an amount is unknown, or if the node has no memory.
    """
    if tcp_bytes is None or free_bytes is None or not memory_bytes:
        return ""
    tcp = min(1.0, tcp_bytes / memory_bytes)
    free = min(1.0 - tcp, free_bytes / memory_bytes)
    exact = [BAR_WIDTH * share for share in (tcp, 1.0 - tcp - free, free)]
    cells = [int(part + 0.5) for part in exact]
    is_trace = bool(tcp_bytes) and not cells[0]
    cells[0] += is_trace
    while sum(cells) != BAR_WIDTH:
        step = 1 if sum(cells) < BAR_WIDTH else -1
        # Of free and other memory, the one whose cells differ most from its memory gives or takes a cell.
        kinds = [kind for kind in (2, 1) if cells[kind] + step > 0] or [0]
        cells[max(kinds, key=lambda kind: step * (exact[kind] - cells[kind]))] += step
    signs = (TRACE if is_trace else TCP, OTHER, FREE)
    return "".join(sign * number for sign, number in zip(signs, cells, strict=True))


class NodesPane(ScrollPane):
    """Table of the NUMA nodes. The arrow keys move a cursor, and Enter shows the node of the cursor in all panes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "show this node", show=False)]

    class NodeSelected(Message):
        """Sent when Enter is pressed on a node."""

        def __init__(self, node: int) -> None:
            super().__init__()
            self.node = node

    LEGEND_ROLES: ClassVar[Mapping[str, Role]] = BAR_ROLES

    _cursor_index = 0
    _chosen: int | None = None
    """The node that the other panes show; when the user chooses a node, the cursor moves to the line of this node."""

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The title, which explains the characters of the bars."""
        return f"Nodes ─ TCP slab {TCP} other {OTHER} free {FREE}"

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title and a note.

        If the table fills the screen, the note names the table's keys. If some nodes are not visible, the note names
        the key for scrolling.
        """
        title, _ = super().edge_titles(ledger, choices)
        notes: tuple[str, ...] = ()
        if "caches" not in self._view.panes:
            notes = ("ENTER shows a node, ESC closes", "ENTER, ESC")
        elif self.position and not self.has_focus:
            notes = ("Tab scrolls", "Tab")
        return title, first_fitting((*notes, ""), self.max_title_width - cell_width(title) - TITLE_GAP)

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:
        """The titles of the columns, and a line for each node; the chosen node and the cursor's node are marked."""
        titles, *lines = node_lines(ledger, columns, choices.mode, choices.node)
        numbers = [node.node for node in ledger.nodes]
        chosen = numbers.index(choices.node) if choices.node in numbers else None
        if chosen is not None:
            lines[chosen] = _marked(lines[chosen], "strong")
            if choices.node != self._chosen:
                self._cursor_index = chosen
        self._chosen = choices.node
        self._kept_line = chosen
        if self.has_focus and lines:
            self._kept_line = self._cursor_index = min(self._cursor_index, len(lines) - 1)
            line = lines[self._cursor_index]
            lines[self._cursor_index] = _marked((*line, (" " * (columns - line_width(line)), "text")), "cursor")
        return [titles], lines

    def action_scroll_by(self, lines: int) -> None:
        """Moves the cursor up or down."""
        last = len(self._ledger.nodes) - 1 if self._ledger is not None else 0
        self._cursor_index = max(0, min(last, self._cursor_index + lines))
        self.redraw_after_key()

    def on_click(self, event: Click) -> None:
        """Moves the cursor to the clicked node."""
        offset = event.get_content_offset(self)
        row = -1 if offset is None else offset.y - (self.size.height - self._body_height)
        if 0 <= row < self._body_height and event.button == 1:
            self.action_scroll_by(self._first + row - self._cursor_index)

    def action_choose(self) -> None:
        """Sends `NodeSelected` for the node with the cursor."""
        if self._ledger is not None and self._ledger.nodes:
            nodes = [node.node for node in self._ledger.nodes]
            self.post_message(self.NodeSelected(nodes[min(self._cursor_index, len(nodes) - 1)]))
