"""Buddy pane: the free blocks of each zone (free_area) by order and migrate type, and the watermarks of each zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from textual.binding import Binding, BindingType

from tcptop.ledger import Ledger, NodeMemory, ZoneMemory
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, WARNING, Line, Role, paragraph
from tcptop.text.table import Heading, fit_columns
from tcptop.view.choices import BlockUnit, Choices, node_title, selected_nodes
from tcptop.widgets.cell_width import cell_width, first_fitting
from tcptop.widgets.nodes_pane import node_lines
from tcptop.widgets.scroll_pane import Content, ScrollPane

MIN_LABEL_WIDTH = 12
"""Minimum width of the column for the zone and the migrate type."""
FREE_WIDTH = 6
MAX_DIGITS = 9
MIN_DIGITS = 3
"""Minimum number of characters in a cell; in a narrow pane, a longer count is shortened to thousands or millions."""
COMFORTABLE_WIDTH = 6
"""Minimum width of an order's column, provided that all columns fit at this width."""
FITS = ((0, COMFORTABLE_WIDTH), (0, 0), (1, 0))
"""Layouts to try, the best first.

A layout consists of the number of columns that may be dropped, and of the minimum width of an order's column.
"""
UNMOVABLE = "Unmovable"
"""The migrate type of TCP's slabs. The row of this type is shown even if the type has no free block."""
BAR_WIDTH = 24


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A row of counts: all free blocks of a zone, or only the zone's free blocks of one migrate type."""

    label: str
    blocks: tuple[int, ...] | None
    """Free blocks by order; None if unknown."""
    capped: tuple[int, ...] = ()
    """The orders whose count is a lower bound: pagetypeinfo stops counting at 100 000."""
    free_text: str = units.UNKNOWN
    """The free bytes as text; empty for a row without counts."""
    is_zone: bool = False
    texts: tuple[str, ...] = ()
    """Texts of the cells by order, in a row that has texts (such as the unusable index) instead of counts.

    Empty for a row that has counts.
    """


def wide_lines(columns: int, *variants: str, warning: bool = False) -> list[Line]:
    """Lines that show a text over the whole width.

    The first variant that fits is shown; if no variant fits, the last variant is wrapped.

    Args:
        columns: the width of the pane.
        variants: variants of the text, from the longest to the shortest.
        warning: puts the marker of a warning before the text.

    """
    text = first_fitting(variants, columns - (cell_width(WARNING[0]) if warning else 0))
    return paragraph(text, columns, "text" if warning else "dim", WARNING if warning else None)


class BuddyPane(ScrollPane):
    """Pane of the free_area of the chosen node; for all nodes, a table of the nodes, then the free_area of each node.

    Enter opens the explanation page on headroom.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "app.explain('headroom')", "explain", show=False)]

    def title(self, ledger: Ledger, choices: Choices) -> str:
        """The title: node, unit, headroom in sockets.

        If the counts by migrate type are stale, the title also has the age of the counts.
        """
        title = f"Buddy free_area ─ {node_title(ledger, choices)}"
        if choices.block_unit == "bytes":
            title += " in bytes"
        nodes = selected_nodes(ledger, choices)
        by_node = ledger.headroom[choices.mode].nodes
        headroom = [by_node[node.node].without_reclaim for node in nodes if node.node in by_node]
        if headroom:
            bound = "" if ledger.costs[choices.mode].by_family["mix"].outgoing.complete else "≤ "
            title += f" ─ headroom: {bound}{units.rough_count(sum(headroom))} sockets"
        stale = ledger.sources["pagetypeinfo"].staleness(choices.interval_s)
        types_shown = choices.node is not None and any(
            zone.migrate_types for node in ledger.nodes for zone in node.zones
        )
        if stale and types_shown:
            title += f" ─ types {stale.removesuffix(' old')}"
        return title

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:
        """Notes on sources that could not be read, and the counts and the watermarks of each zone.

        The titles show the block size of each order. For a single node, the titles stay in the head, which does not
        scroll. Several nodes are shown one below the other, after a table of the nodes.
        """
        body = body_lines(ledger, choices, columns)
        rows = [line for line in body if isinstance(line, BlockRow)]
        drawn = block_lines(rows, ledger, choices.block_unit, columns) if rows else []
        titles, drawn_rows = drawn[:1], iter(drawn[1:])
        lines = [next(drawn_rows) if isinstance(line, BlockRow) else line for line in body]
        notes = source_notes(ledger, columns)
        if choices.node is None and len(ledger.nodes) > 1:
            return notes, [*node_lines(ledger, columns, choices.mode), EMPTY_LINE, *titles, *lines]
        return [*notes, *titles], lines


def body_lines(ledger: Ledger, choices: Choices, columns: int) -> list[BlockRow | Line]:
    """The zones of the selected nodes, the largest zone of a node first, since most allocations come from that zone.

    The result mixes finished lines with BlockRows; `block_lines` later turns all BlockRows together into lines.
    """
    lines: list[BlockRow | Line] = []
    for node in selected_nodes(ledger, choices):
        zones = sorted(node.zones, key=lambda zone: -(zone.managed_pages or zone.free_pages or 0))
        for zone in zones:
            shown_node = node if choices.node is None else None
            lines += _zone_lines(zone, shown_node, ledger.host.page_size_bytes, columns)
        if not zones:
            lines += wide_lines(columns, f"node {node.node}: {_no_zone_reason(node)}")
    return lines


def source_notes(ledger: Ledger, columns: int) -> list[Line]:
    """Notes on why buddyinfo, zoneinfo or pagetypeinfo was not read.

    If a source is off, its note names the key to press.
    """
    lines: list[Line] = []
    for name in ("buddyinfo", "zoneinfo", "pagetypeinfo"):
        source = ledger.sources[name]
        if source.reason and source.state != "waiting":
            hint = "; f reads it all the same" if source.state == "off" else ""
            lines += wide_lines(columns, f"{source.reason}{hint}", warning=True)
    return lines


def _zone_lines(
    zone: ZoneMemory, node: NodeMemory | None, page_bytes: int | None, columns: int
) -> list[BlockRow | Line]:
    free_bytes = zone.free_pages * page_bytes if zone.free_pages is not None and page_bytes is not None else None
    label = zone.zone if node is None else f"{node.node} {zone.zone}"
    lines: list[BlockRow | Line] = []
    types, capped = zone.migrate_types or {}, zone.capped or {}
    if zone.free_area is not None:
        lines.append(BlockRow(label, zone.free_area, free_text=units.compact_size(free_bytes), is_zone=True))
    elif types:
        lines.append(BlockRow(label, None, is_zone=True))
    if node is not None:
        return lines
    empty_types = [name for name, blocks in types.items() if not any(blocks) and name != UNMOVABLE]
    for name, blocks in types.items():
        if name not in empty_types:
            type_pages = sum(count << order for order, count in enumerate(blocks))
            type_bytes = type_pages * page_bytes if page_bytes is not None and not capped.get(name) else None
            lines.append(BlockRow(f"  {name}", blocks, capped.get(name, ()), units.compact_size(type_bytes)))
    if zone.unusable_index is not None and zone.free_pages:
        texts = tuple(map(units.hundredths, zone.unusable_index))
        lines.append(BlockRow("  unusable", None, free_text="", texts=texts))
    lines += _watermark_lines(zone, empty_types, columns)
    marks = watermark_bar(zone)
    if marks:
        lines += wide_lines(columns, marks)
    if zone.pageblocks:
        counts = ", ".join(f"{name} {units.count(count)}" for name, count in zone.pageblocks.items() if count)
        lines += wide_lines(columns, f"  pageblocks: {counts}")
    return lines


def watermark_bar(zone: ZoneMemory) -> str:
    """A bar of the free pages, with a mark at each of the three watermarks.

    The full length of the bar stands for twice the high watermark.

    The text is empty if a watermark or the number of free pages is unknown, or if the high watermark is 0.
    """
    marks = (zone.min_pages, zone.low_pages, zone.high_pages)
    known = [mark for mark in marks if mark is not None]
    if zone.free_pages is None or len(known) < len(marks) or not known[-1]:
        return ""
    end = 2 * known[-1]
    filled = min(BAR_WIDTH, round(BAR_WIDTH * zone.free_pages / end))
    cells = ["█"] * filled + ["░"] * (BAR_WIDTH - filled)
    for mark in known:
        cells[min(BAR_WIDTH - 1, int(BAR_WIDTH * mark / end))] = "│"
    times = zone.free_pages / known[-1]
    return f"  {''.join(cells)} free is {times:.1f} × high; │ min, low, high"


def _watermark_lines(zone: ZoneMemory, empty_types: Sequence[str], columns: int) -> list[Line]:
    if zone.low_pages is None:
        return wide_lines(columns, f"  {zone.zone}: watermarks unknown")
    marks = f"min {units.count(zone.min_pages)} low {units.count(zone.low_pages)} high {units.count(zone.high_pages)}"
    free = units.count(zone.free_pages)
    if zone.free_pages is not None and zone.free_pages <= zone.low_pages:
        text = f"{zone.zone} is below its low watermark: pages free {free}, {marks}"
        return wide_lines(columns, text, warning=True)
    name = "pages" if zone.free_area is not None or zone.migrate_types else f"{zone.zone} pages"
    text = f"  {name}: free {free}, watermarks {marks}"
    others = f"; none free: {', '.join(empty_types)}" if empty_types else ""
    return wide_lines(columns, text + others, text, f"  {name}: free {free}, {marks}", f"  {name}: free {free} {marks}")


def _no_zone_reason(node: NodeMemory) -> str:
    cpus = f"CPUs {node.cpu_list}" if node.cpu_list else "no CPUs" if node.cpus == 0 else "CPUs unknown"
    return f"no memory, {cpus}; its sockets are on other nodes" if node.memory_bytes == 0 else "no zone is known"


def block_lines(rows: Sequence[BlockRow], ledger: Ledger, unit: BlockUnit, columns: int) -> list[Line]:
    """A line of titles, and a line for each row. Among the titles, `▸` marks the order of TCP's slabs.

    Figures have as many digits as fit.

    If not even MIN_DIGITS digits fit, columns are dropped: first the free bytes; then the orders below the order of
    TCP's slabs, from order 0 upwards; then the highest orders. Zeros are dim, so that free blocks stand out.
    """
    page_bytes, slab_order = ledger.host.page_size_bytes, ledger.tcp_slab_order
    orders = range(max((len(row.blocks or ()) for row in rows), default=0))
    block_page_bytes = page_bytes if unit == "bytes" else None
    for (most_dropped, min_width), digits in product(FITS, range(MAX_DIGITS, MIN_DIGITS - 1, -1)):
        headings = [Heading("ZONE  TYPE", left=True, min_width=MIN_LABEL_WIDTH)]
        for order in orders:
            title = ("▸" if order == slab_order else "") + units.page_order_size(order, page_bytes)
            importance = order if order < (slab_order or 0) else 2 * len(orders) - order
            headings.append(Heading(title, importance=importance, min_width=min_width))
        headings.append(Heading("FREE", importance=-1, min_width=FREE_WIDTH))
        texts = [
            (row.label, *(_cell_text(row, order, digits, block_page_bytes) for order in orders), row.free_text)
            for row in rows
        ]
        layout = fit_columns(headings, texts, columns, gap=" ", width_of=cell_width)
        if len(headings) - len(layout.visible) <= most_dropped:
            break
    head: list[Role] = ["head", *("accent" if order == slab_order else "head" for order in orders), "head"]
    lines = [layout.line(layout.titles, head)]
    for row, cells in zip(rows, texts, strict=True):
        roles: list[Role] = ["dim" if cell in ("0", "") else "text" for cell in cells]
        roles[0] = "strong" if row.is_zone else "text"
        roles[-1] = "text" if row.texts else "strong" if row.is_zone else "dim"
        lines.append(layout.line(cells, roles))
    return lines


def _cell_text(row: BlockRow, order: int, digits: int, page_bytes: int | None) -> str:
    """The text of a cell: free blocks in at most `digits` characters or, if `page_bytes` is given, free bytes."""
    if row.texts:
        return row.texts[order] if order < len(row.texts) else ""
    if row.blocks is None:
        return units.UNKNOWN
    if order >= len(row.blocks):
        return ""
    count, bound = row.blocks[order], "≥" if order in row.capped else ""
    text = units.short_count(count, digits) if page_bytes is None else units.compact_size(count * (page_bytes << order))
    return bound + text
