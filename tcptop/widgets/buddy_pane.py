"""Buddy pane: the free blocks of each zone (free_area) by order and migrate type, and the watermarks of each zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product, zip_longest
from typing import ClassVar

from textual.binding import Binding, BindingType

from tcptop.explanation.limit_texts import SOCKETS, node_fits_text
from tcptop.explanation.numa_page import node_cpus_text
from tcptop.ledger import AccountingMode, Ledger, NodeMemory, ZoneMemory
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, WARNING, Line, Role, paragraph
from tcptop.text.table import Heading, fit_columns
from tcptop.view.choices import Choices, node_title, selected_nodes
from tcptop.widgets.cell_width import cell_width, first_fitting
from tcptop.widgets.nodes_pane import node_lines
from tcptop.widgets.pane import TITLE_GAP
from tcptop.widgets.scroll_pane import TITLE_SEPARATOR, Content, ScrollPane

MIN_LABEL_WIDTH = 12
"""Minimum width of the column for the zone and the migrate type."""
FREE_WIDTH = 6
MAX_DIGITS = 9
MIN_DIGITS = 3
"""Minimum number of characters in a cell; in a narrow pane, longer counts are shortened to thousands or millions."""
COMFORTABLE_WIDTH = 6
"""Minimum width of an order's column if all columns fit at this width."""
FITS = ((0, COMFORTABLE_WIDTH), (0, 4), (0, 0), (1, 0))
"""Layouts of the table, tried from the best to the worst.

Each layout gives two numbers: how many columns may be left out, and the minimum width of an order's column.
"""
UNMOVABLE = "Unmovable"
"""The migrate type of the blocks that TCP's slabs come from. The row of Unmovable is shown even if the type has no free
block."""
BAR_WIDTH = 16
WATERMARK_LETTERS = "mlh"
"""The letters of the watermarks min, low and high in the bar of a zone."""
WATERMARK_COLUMNS = 108
"""If the pane has at least this many columns, each zone's row shows a bar with the watermarks."""
SMALL_SHARE = 0.01
"""A zone with less than this share of the memory, such as DMA, has no rows of its own. All such small zones share one
line."""
ZERO = "·"
"""The text of a count of 0 is a dot, so that orders with free blocks stand out."""
MARK_MEANINGS: dict[AccountingMode, str] = {"full": "▸ slabs of sockets", "time_wait": "▸ slabs of mini-sockets"}
"""Texts that explain the mark `▸`. The mark stands at the order (block size) of the slabs that hold the counted sockets
or mini-sockets."""


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A row of counts: either all free blocks of a zone, or only those of one migrate type."""

    label: str
    blocks: tuple[int, ...] | None
    """Free blocks by order; None if unknown."""
    capped: tuple[int, ...] = ()
    """The orders whose count is a lower bound: pagetypeinfo stops counting at 100 000."""
    free_text: str = units.UNKNOWN
    """The free bytes as text; empty if the row has no counts."""
    is_zone: bool = False
    texts: tuple[str, ...] = ()
    """The text of each cell, by order, if the row shows the fragmentation instead of counts; empty if the row has
    counts.
    """
    watermarks: str = ""
    """The bar of the watermarks; empty if the row has no bar."""


def wide_lines(columns: int, *variants: str, warning: bool = False) -> list[Line]:
    """The lines of a text that takes the whole width.

    The first variant that fits is shown; if no variant fits, the last variant is wrapped.

    Args:
        columns: the width of the pane.
        variants: variants of the text, from the longest to the shortest.
        warning: puts the marker of a warning before the text.
    """
    text = first_fitting(variants, columns - (cell_width(WARNING[0]) if warning else 0))
    return paragraph(text, columns, "text" if warning else "dim", WARNING if warning else None)


def late_title(ledger: Ledger, choices: Choices) -> str:
    """A part of the title on memory that the kernel has not initialised yet, which is in no zone; empty if none."""
    late_bytes = ledger.headroom["full"].late_bytes
    return f"{units.size(late_bytes)} not initialised" if late_bytes and choices.node is None else ""


def free_title(ledger: Ledger, choices: Choices) -> str:
    """The free memory in all blocks of the shown nodes, for the title; empty if it is unknown."""
    nodes, page_bytes = selected_nodes(ledger, choices), ledger.host.page_size_bytes
    zones = nodes[0].zones if len(nodes) == 1 else ledger.zones
    pages = [zone.listed_pages for zone in zones]
    known = [each for each in pages if each is not None]
    return units.size(sum(known) * page_bytes) if known and len(known) == len(pages) and page_bytes else ""


def _fits_title(ledger: Ledger, choices: Choices) -> str:
    """A part of the title: how many sockets fit into the chosen node; empty if it is unknown, or if all are chosen."""
    headroom = ledger.headroom[choices.mode]
    if choices.node is None or len(ledger.nodes) < 2 or choices.node not in headroom.nodes:
        return ""
    fits = node_fits_text(headroom, headroom.nodes[choices.node].without_reclaim)
    return f" ─ {fits} {SOCKETS[choices.mode]} fit"


class BuddyPane(ScrollPane):
    """Pane of the free blocks (free_area) of the chosen node, or of the machine and then of each node.

    Enter opens the explanation page on free blocks.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "app.explain('free')", "explain", show=False)]
    KEEPS_HEADINGS = True

    def edge_titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:
        """The title, and a note that explains the mark `▸`. The mark stands in the title of a column."""
        title, mode = super().edge_titles(ledger, choices)[0], choices.mode
        note = "" if ledger.slab_order(mode) is None else MARK_MEANINGS[mode]
        # The rows of the first zone may fill the pane, so the title has the sum of all zones.
        free, late = free_title(ledger, choices), late_title(ledger, choices)
        if late:
            # Beside a number of sockets that fit, the free memory alone would look too small.
            ending = f"{free} free + {late}" if free else f"without {late}"
            short = title.replace("counts up to ", "≤ ").replace(f"{TITLE_SEPARATOR}the only node", "")
            bases = (title, short, short.removesuffix(f"{TITLE_SEPARATOR}{self.position}"), "Free blocks", "Free")
            titles = [f"{base}{TITLE_SEPARATOR}{ending}" for base in bases]
            if fitting := first_fitting((*titles, ""), self.max_title_width):
                return fitting, note
        if (fits := _fits_title(ledger, choices)) and cell_width(f"{title}{fits}") <= self.max_title_width:
            title += fits  # worth more than the note
        has_note = cell_width(f"{title}{note}") + TITLE_GAP <= self.max_title_width
        beside = cell_width(note) + TITLE_GAP if note and has_note else 0
        part = f" ─ {free} free" if free else ""
        title += part if cell_width(f"{title}{part}") + beside <= self.max_title_width else ""
        return title, note

    def title(self, ledger: Ledger, choices: Choices) -> str:
        """The title with the node, the unit, and the age of the counts by migrate type if these counts are stale.

        `with_one_age()` has made the counts of the zones as old as the counts by migrate type. Capped counts by migrate
        type have no exact sum, so the zones then keep their newer counts.
        """
        title = f"Free blocks ─ {node_title(ledger, choices)}"
        if choices.block_unit == "bytes":
            title += " in bytes"
        stale = ledger.sources["pagetypeinfo"].staleness(choices.interval_s)
        if stale and any(zone.migrate_types for zone in ledger.zones):
            what = "migrate types" if any(zone.capped for zone in ledger.zones) else "counts"
            title += f" ─ {what} {stale.removesuffix(' old').replace('≤', 'up to')} old"
        return title

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:
        """Notes on sources that could not be read, the titles of the columns, and the rows of each zone.

        The titles show the block size of each order. The notes and the titles do not scroll.
        """
        age = ledger.sources["pagetypeinfo"].staleness(choices.interval_s)
        ledger = with_one_age(ledger, bool(age))
        panes = self._view.panes
        body = body_lines(
            ledger,
            choices,
            columns,
            nodes_first="nodes" in panes and "caches" not in panes,
            with_nodes="nodes" not in panes,
            age=age,
        )
        rows = [line for line in body if isinstance(line, BlockRow)]
        drawn = block_lines(rows, ledger, choices, columns) if rows else []
        titles, drawn_rows = drawn[:1], iter(drawn[1:])
        lines = [next(drawn_rows) if isinstance(line, BlockRow) else line for line in body]
        # If the caches pane already says why slabinfo was refused, and what to do, this pane does not repeat the
        # advice.
        is_repeated = "caches" in self._view.panes and ledger.sources["slabinfo"].state == "refused"
        return [*source_notes(ledger, columns, is_repeated), *titles], lines


def with_one_age(ledger: Ledger, is_stale: bool) -> Ledger:
    """The ledger, changed so that the free blocks of a zone and of its migrate types are from the same moment.

    If the counts by migrate type are stale, the sum of these counts replaces the newer count of the zone.

    If the counts by migrate type are capped, their sum would be too small, so the zone keeps its newer count.
    """

    def summed(zone: ZoneMemory) -> ZoneMemory:
        types = zone.migrate_types
        if not types or zone.capped or zone.free_area is None:
            return zone
        return zone._replace(free_area=tuple(map(sum, zip_longest(*types.values(), fillvalue=0))))

    if not is_stale:
        return ledger
    nodes = tuple(node._replace(zones=tuple(map(summed, node.zones))) for node in ledger.nodes)
    return ledger._replace(zones=tuple(map(summed, ledger.zones)), nodes=nodes)


def body_lines(
    ledger: Ledger, choices: Choices, columns: int, *, with_nodes: bool, nodes_first: bool = False, age: str = ""
) -> list[BlockRow | Line]:
    """The zones of the chosen node; if all nodes are chosen, those of the machine, and those of each node.

    The largest zone comes first, since most allocations come from that zone. The result contains lines and BlockRows.
    `block_lines` later turns the BlockRows into lines, all at once, so that their columns align.

    Args:
        ledger: the sample.
        choices: the chosen node.
        columns: the width of the pane.
        with_nodes: whether a table of the nodes follows the zones of the machine.
        nodes_first: whether the zones of the nodes come before those of the machine, without such a table.
        age: the age of the counts by migrate type. The rows of the migrate types show the age if these counts are
            older than the count of the zone.
    """
    nodes, page_bytes = selected_nodes(ledger, choices), ledger.host.page_size_bytes
    if len(nodes) == 1:
        return _zones_lines(nodes[0].zones, page_bytes, columns, age) or _no_zone_lines(nodes[0], columns)
    of_machine = _zones_lines(ledger.zones, page_bytes, columns, age)
    of_nodes: list[BlockRow | Line] = []
    for node in nodes:
        with_word = columns >= WATERMARK_COLUMNS
        of_nodes += [_zone_row(zone, page_bytes, node, with_word) for zone in _largest_first(node.zones)]
        of_nodes += [] if node.zones else _no_zone_lines(node, columns)
    if nodes_first:
        return [*of_nodes, *of_machine]
    table = [EMPTY_LINE, *node_lines(ledger, columns, choices.mode), EMPTY_LINE] if nodes and with_nodes else []
    return [*of_machine, *table, *of_nodes]


def _largest_first(zones: Sequence[ZoneMemory]) -> list[ZoneMemory]:
    return sorted(zones, key=lambda zone: -(zone.managed_pages or zone.free_pages or 0))


def _no_zone_lines(node: NodeMemory, columns: int) -> list[BlockRow | Line]:
    return [*wide_lines(columns, f"node {node.node}: {_no_zone_reason(node)}")]


def _zones_lines(zones: Sequence[ZoneMemory], page_bytes: int | None, columns: int, age: str) -> list[BlockRow | Line]:
    """The lines of all zones. The zones with less than SMALL_SHARE of the memory share one line."""
    pages = {zone.zone: zone.managed_pages or zone.free_pages or 0 for zone in zones}
    total = sum(pages.values())
    small = [zone for zone in zones if pages[zone.zone] < SMALL_SHARE * total and not is_below_low(zone)]
    lines = [
        line
        for zone in _largest_first(zones)
        if zone not in small
        for line in _zone_lines(zone, page_bytes, columns, age)
    ]
    if small:
        free_pages = [zone.free_pages for zone in small if zone.free_pages is not None]
        known = len(free_pages) == len(small) and page_bytes is not None
        free = units.compact_size(sum(free_pages) * page_bytes) if known and page_bytes else units.UNKNOWN
        share = units.fine_percent(sum(pages[zone.zone] for zone in small) / total)
        names = ", ".join(zone.zone for zone in small)
        lines += wide_lines(columns, f"{names}: {share} of the memory, {free} free")
    return lines


def source_notes(ledger: Ledger, columns: int, is_repeated: bool = False) -> list[Line]:
    """Notes on why buddyinfo, zoneinfo or pagetypeinfo was not read.

    If `is_repeated` is true, the note on a refused source is short, because the screen already says why slabinfo was
    refused. If a source is off, the note on the source names the key that makes tcptop read the source.
    """
    lines: list[Line] = []
    for name in ("buddyinfo", "zoneinfo", "pagetypeinfo"):
        source = ledger.sources[name]
        if source.reason and source.state != "waiting":
            hint = "; f reads it all the same" if source.state == "off" else ""
            reason = f"/proc/{name} is refused, too" if is_repeated and source.state == "refused" else source.reason
            lines += wide_lines(columns, f"{reason}{hint}", warning=True)
    return lines


def _zone_row(
    zone: ZoneMemory, page_bytes: int | None, node: NodeMemory | None = None, with_word: bool = False
) -> BlockRow:
    """The row of all free blocks of a zone; the label begins with the node's number if `node` is given.

    `with_word`: says `node` before the number, so that it does not look like a count.
    """
    free_pages = zone.listed_pages
    free_bytes = free_pages * page_bytes if free_pages is not None and page_bytes is not None else None
    label = zone.zone if node is None else f"{'node ' if with_word else ''}{node.node} {zone.zone}"
    return BlockRow(
        label, zone.free_area, (), units.compact_size(free_bytes), is_zone=True, watermarks=watermark_bar(zone)
    )


def _zone_lines(zone: ZoneMemory, page_bytes: int | None, columns: int, age: str) -> list[BlockRow | Line]:
    """The row of a zone, a row for each migrate type with free blocks, the fragmentation, and the watermarks."""
    lines: list[BlockRow | Line] = []
    types, capped = zone.migrate_types or {}, zone.capped or {}
    if zone.free_area is not None or types:
        lines.append(_zone_row(zone, page_bytes))
    empty_types = [name for name, blocks in types.items() if not any(blocks) and name != UNMOVABLE]
    for name, blocks in types.items():
        if name not in empty_types:
            type_pages = sum(count << order for order, count in enumerate(blocks))
            type_bytes = type_pages * page_bytes if page_bytes is not None and not capped.get(name) else None
            label = f"  {name}, {age}" if age and capped else f"  {name}"
            lines.append(BlockRow(label, blocks, capped.get(name, ()), units.compact_size(type_bytes)))
    if zone.unusable_index is not None and zone.free_pages:
        texts = tuple("" if share < 0.01 else units.hundredths(share) for share in zone.unusable_index)
        if any(texts):
            lines.append(BlockRow("  fragmentation:", None, free_text="", texts=texts))
    lines += _watermark_lines(zone, empty_types, columns)
    if zone.pageblocks:
        counts = ", ".join(f"{name} {units.count(count)}" for name, count in zone.pageblocks.items() if count)
        lines += wide_lines(columns, f"  pageblocks: {counts}")
    return lines


def is_below_low(zone: ZoneMemory) -> bool:
    """True if the free pages of a zone are down to its low watermark, at which kswapd begins to reclaim pages."""
    return zone.free_pages is not None and zone.low_pages is not None and zone.free_pages <= zone.low_pages


def watermark_bar(zone: ZoneMemory) -> str:
    """A bar of the free pages, with the first letter of each of the three watermarks at its place.

    The full length of the bar stands for two times the high watermark.

    The bar is empty if a watermark or the number of free pages is unknown, or if the high watermark is 0.
    """
    marks = (zone.min_pages, zone.low_pages, zone.high_pages)
    known = [mark for mark in marks if mark is not None]
    if zone.free_pages is None or len(known) < len(marks) or not known[-1]:
        return ""
    end = 2 * known[-1]
    filled = min(BAR_WIDTH, round(BAR_WIDTH * zone.free_pages / end))
    cells = ["█"] * filled + ["░"] * (BAR_WIDTH - filled)
    for letter, mark in zip(WATERMARK_LETTERS, known, strict=True):
        cells[min(BAR_WIDTH - 1, int(BAR_WIDTH * mark / end))] = letter
    return "".join(cells)


def _watermark_lines(zone: ZoneMemory, empty_types: Sequence[str], columns: int) -> list[Line]:
    if zone.low_pages is None:
        return wide_lines(columns, f"  {zone.zone}: watermarks unknown")
    marks = f"min {units.count(zone.min_pages)} low {units.count(zone.low_pages)} high {units.count(zone.high_pages)}"
    free = units.count(zone.free_pages)
    if is_below_low(zone):
        text = f"{zone.zone} is below its low watermark: pages free {free}, {marks}"
        return wide_lines(columns, text, warning=True)
    name = "pages" if zone.free_area is not None or zone.migrate_types else f"{zone.zone} pages"
    text = f"  {name}: free {free}, watermarks {marks}"
    types = ", ".join(empty_types)
    others = [f"{text}; no free block of type {types}", f"{text}; none free: {types}"] if empty_types else []
    return wide_lines(columns, *others, text, f"  {name}: free {free}, {marks}", f"  {name}: free {free} {marks}")


def _no_zone_reason(node: NodeMemory) -> str:
    return (
        f"no memory, {node_cpus_text(node)}; its sockets are on other nodes"
        if node.memory_bytes == 0
        else "no zone is known"
    )


def block_lines(rows: Sequence[BlockRow], ledger: Ledger, choices: Choices, columns: int) -> list[Line]:
    """A line of titles, and a line for each row.

    Among the titles, `▸` marks the order (block size) of the slabs that hold the counted sockets or mini-sockets.

    Figures have as many digits as fit into the width.

    If not even MIN_DIGITS digits fit, columns are left out. The free bytes are left out first. The orders below the
    marked order are left out next, from order 0 upwards. The orders above the marked order are left out last, from the
    highest order downwards.
    """
    page_bytes, slab_order = ledger.host.page_size_bytes, ledger.slab_order(choices.mode)
    orders = range(max((len(row.blocks or ()) for row in rows), default=0))
    block_page_bytes = page_bytes if choices.block_unit == "bytes" else None
    longest = max((len(str(count)) for row in rows for count in row.blocks or ()), default=0)
    most_digits = MIN_DIGITS if block_page_bytes else max(MIN_DIGITS, min(MAX_DIGITS, longest))
    for (most_dropped, min_width), digits in product(FITS, range(most_digits, MIN_DIGITS - 1, -1)):
        if not most_dropped and MIN_LABEL_WIDTH + len(orders) * (min_width + 1) + FREE_WIDTH > columns:
            continue  # the columns do not fit with any number of digits
        headings = [Heading("ZONE  TYPE", left=True, min_width=MIN_LABEL_WIDTH)]
        for order in orders:
            title = ("▸" if order == slab_order else "") + units.page_order_size(order, page_bytes)
            importance = order if order < (slab_order or 0) else 2 * len(orders) - order
            headings.append(Heading(title, importance=importance, min_width=min_width))
        headings.append(Heading("FREE", importance=-1, min_width=FREE_WIDTH))
        with_watermarks = columns >= WATERMARK_COLUMNS
        if with_watermarks:
            headings.append(Heading(f"WATERMARKS {' '.join(WATERMARK_LETTERS)}", left=True, min_width=BAR_WIDTH))
        texts = [
            (
                row.label,
                *(_cell_text(row, order, digits, block_page_bytes) for order in orders),
                row.free_text,
                *([row.watermarks] if with_watermarks else []),
            )
            for row in rows
        ]
        layout = fit_columns(headings, texts, columns, gap=" ", width_of=cell_width)
        if len(headings) - len(layout.visible) <= most_dropped:
            break
    head: list[Role] = ["head", *("accent" if order == slab_order else "head" for order in orders), "head", "head"]
    free_column = len(orders) + 1
    lines = [layout.line(layout.titles, head)]
    for row, cells in zip(rows, texts, strict=True):
        roles: list[Role] = ["dim" if cell in (ZERO, "") else "text" for cell in cells]
        roles[0] = "strong" if row.is_zone else "text"
        roles[free_column] = "text" if row.texts else "strong" if row.is_zone else "dim"
        roles[free_column + 1 :] = ["slice-2"] * (len(cells) - free_column - 1)
        lines.append(layout.line(cells, roles))
    return lines


def _cell_text(row: BlockRow, order: int, digits: int, page_bytes: int | None) -> str:
    """The text of a cell: the number of free blocks in at most `digits` characters.

    If `page_bytes` is given, the text is the number of free bytes instead.
    """
    if row.texts:
        return row.texts[order] if order < len(row.texts) else ""
    if row.blocks is None:
        return units.UNKNOWN
    if order >= len(row.blocks):
        return ""
    count, bound = row.blocks[order], "≥" if order in row.capped else ""
    if not count and not bound:
        return ZERO
    text = units.short_count(count, digits) if page_bytes is None else units.compact_size(count * (page_bytes << order))
    return bound + text
