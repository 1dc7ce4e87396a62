"""The page of free blocks: free_area by order and migrate type, a socket's slabs, watermarks, and room for sockets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest

from tcptop.explanation.limit_texts import headroom_sentence
from tcptop.ledger import CacheLine, Ledger, ZoneMemory
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import TableRow, make_headings, table_lines

INTRO = (
    "The kernel hands out memory in blocks of 1, 2, 4, 8 … pages. The order of a block says how many: a block of order"
    " n has 2^n pages. free_area counts the free blocks of each order. A block that is too large is split in halves;"
    " two free halves become one block again."
)
UNMOVABLE, RECLAIMABLE = "Unmovable", "Reclaimable"
TYPE_MEANINGS: Mapping[str, str] = {
    UNMOVABLE: "memory of the kernel, which stays where it is: slabs of socks and files, page tables",
    "Movable": "memory of programs and the page cache; the kernel can move it away to make larger blocks",
    RECLAIMABLE: "caches that the kernel can empty: slabs of inodes and dentries, also those of sockets",
    "HighAtomic": "kept for allocations that cannot wait, such as those for received packets",
    "CMA": "kept for devices; until one needs it, programs' memory may be there",
    "Isolate": "being emptied: nothing is allocated from them",
}
"""The purpose of each migrate type's memory (include/linux/mmzone.h, enum migratetype)."""
RECLAIMABLE_CACHES = frozenset({"dentry", "sock_inode_cache"})
"""Caches with SLAB_RECLAIM_ACCOUNT that hold objects of sockets; their slabs come from Reclaimable blocks."""
STEALING = (
    "When a type has no free block left, the kernel takes one over from another type, the largest first. So memory that"
    " is free for one type is not lost to the others, but HighAtomic, CMA and Isolate are not for slabs."
)


def free_blocks_page(ledger: Ledger, columns: int) -> list[Line]:
    """The page: free blocks by order and migrate type, a socket's slabs, the watermarks, and how many sockets fit."""
    lines = [*paragraph(f" {INTRO}", columns - 1, "text"), EMPTY_LINE]
    for table in (order_lines, type_lines, slab_lines, watermark_lines):
        lines += [*table(ledger, columns), EMPTY_LINE]
    for sentence in room_sentences(ledger):
        lines += paragraph(f" {sentence}", columns - 1, "text")
    return lines


def order_lines(ledger: Ledger, columns: int) -> list[Line]:
    """A row for each order: its block size, the machine's free blocks, and the caches whose slabs prefer this order."""
    free_area, page_bytes = _added(zone.free_area for zone in ledger.zones), ledger.host.page_size_bytes
    if not free_area:
        reason = ledger.sources["buddyinfo"].reason or "the free blocks are not known"
        return paragraph(f" {reason}", columns - 1, "warning")
    total = sum(count << order for order, count in enumerate(free_area))
    slabs = [cache for cache in _socket_caches(ledger) if cache.order is not None]
    rows = [
        TableRow(
            (
                str(order),
                units.page_order_size(order, page_bytes),
                units.count(count),
                _size(count << order, page_bytes),
                units.percent((count << order) / total if total else None, " "),
            ),
            ", ".join(cache.name for cache in slabs if cache.order == order),
        )
        for order, count in enumerate(free_area)
    ]
    headings = make_headings("ORDER", "BLOCK", "FREE BLOCKS", "FREE", "OF FREE", "SLABS OF", least=("OF FREE",))
    return table_lines(headings, rows, columns)


def type_lines(ledger: Ledger, columns: int) -> list[Line]:
    """A row for each migrate type: its free memory, its blocks for TCP's slabs, its pageblocks, and its purpose."""
    types = dict.fromkeys(name for zone in ledger.zones for name in zone.migrate_types or {})
    if not types:
        reason = ledger.sources["pagetypeinfo"].reason or "the migrate types are not known"
        return paragraph(f" {reason}", columns - 1, "warning")
    page_bytes, slab_order = ledger.host.page_size_bytes, ledger.tcp_slab_order or 0
    rows = []
    for name in types:
        blocks = _added((zone.migrate_types or {}).get(name, ()) for zone in ledger.zones) or ()
        is_part = any((zone.capped or {}).get(name) or zone.migrate_types is None for zone in ledger.zones)
        bound = "≥ " if is_part else ""
        pageblocks = [zone.pageblocks.get(name, 0) for zone in ledger.zones if zone.pageblocks is not None]
        free_pages = sum(count << order for order, count in enumerate(blocks))
        cells = (
            name,
            f"{bound}{_size(free_pages, page_bytes)}",
            f"{bound}{units.count(sum(blocks[slab_order:]))}",
            units.count(sum(pageblocks)) if len(pageblocks) == len(ledger.zones) else units.UNKNOWN,
        )
        rows.append(TableRow(cells, TYPE_MEANINGS.get(name, "")))
    large = f"FROM {units.page_order_size(slab_order, page_bytes)} UP"
    headings = make_headings("<TYPE", "FREE", large, "PAGEBLOCKS", "", least=("PAGEBLOCKS", large))
    return [*table_lines(headings, rows, columns), *paragraph(f" {STEALING}", columns - 1, "dim")]


def slab_lines(ledger: Ledger, columns: int) -> list[Line]:
    """A row for each cache in which every socket has an object: the preferred and the smallest order of its slabs."""
    page_bytes = ledger.host.page_size_bytes
    rows = []
    for cache in _socket_caches(ledger):
        smallest = units.UNKNOWN
        if page_bytes is not None and cache.object_bytes is not None:
            least = next(order for order in range(64) if page_bytes << order >= cache.object_bytes)
            smallest = units.page_order_size(least, page_bytes)
        cells = (
            cache.name,
            units.UNKNOWN if cache.order is None else str(cache.order),
            units.UNKNOWN if cache.order is None else units.page_order_size(cache.order, page_bytes),
            units.count(cache.objects_per_slab),
            smallest,
        )
        rows.append(TableRow(cells, RECLAIMABLE if cache.name in RECLAIMABLE_CACHES else UNMOVABLE))
    if not rows:
        return paragraph(" The caches of a socket are not known.", columns - 1, "text")
    headings = make_headings(
        "<SLABS OF", "ORDER", "BLOCK", "OBJECTS EACH", "SMALLEST", "TYPE", least=("SMALLEST", "OBJECTS EACH")
    )
    note = (
        "If no block of its order is free, a slab is made of a smaller block, down to the smallest that holds an"
        " object; more of it is then lost at its end. TCP's memory grows, and no socket is refused."
    )
    return [*table_lines(headings, rows, columns), *paragraph(f" {note}", columns - 1, "dim")]


def watermark_lines(ledger: Ledger, columns: int) -> list[Line]:
    """A row for each zone of each node: its free memory, its watermarks, and whether the kernel now reclaims memory."""
    page_bytes, several = ledger.host.page_size_bytes, len(ledger.nodes) > 1
    rows = [
        TableRow(
            (
                f"{node.node} {zone.zone}" if several else zone.zone,
                *(_size(pages, page_bytes) for pages in (zone.free_pages, zone.min_pages, zone.low_pages)),
                _size(zone.high_pages, page_bytes),
            ),
            _reclaim_text(zone),
        )
        for node in ledger.nodes
        for zone in node.zones
        if zone.managed_pages != 0
    ]
    if not rows:
        return paragraph(" The watermarks are not known.", columns - 1, "text")
    name = "<NODE, ZONE" if several else "<ZONE"
    note = (
        "Watermarks: below low the kernel frees memory in the background until high is reached; below min a program"
        " that asks for memory frees some itself, and waits."
    )
    headings = make_headings(name, "FREE", "MIN", "LOW", "HIGH", "NOW", least=("HIGH", "MIN"))
    return [*table_lines(headings, rows, columns), *paragraph(f" {note}", columns - 1, "dim")]


def _reclaim_text(zone: ZoneMemory) -> str:
    if zone.free_pages is None or zone.min_pages is None or zone.low_pages is None:
        return "not known"
    if zone.free_pages <= zone.min_pages:
        return "below min: programs wait for reclaim"
    return "below low: reclaim in the background" if zone.free_pages <= zone.low_pages else "no reclaim"


def room_sentences(ledger: Ledger) -> list[str]:
    """Sentences: how many of TCP's slabs the free blocks have room for, and how many sockets fit into memory."""
    block = units.page_order_size(ledger.tcp_slab_order or 0, ledger.host.page_size_bytes)
    row = next((cache for cache in _socket_caches(ledger) if cache.order == ledger.tcp_slab_order), None)
    slabs, own = (
        [getattr(zone, name) for zone in ledger.zones if getattr(zone, name) is not None]
        for name in ("tcp_slabs_free", "tcp_slabs_free_without_stealing")
    )
    sentences = []
    if slabs and row is not None and row.objects_per_slab and ledger.tcp_slab_order is not None:
        without = f", {units.rough_count(sum(own))} of them of the type {UNMOVABLE}" if own else ""
        sentences.append(
            f"Room: the free blocks hold {units.rough_count(sum(slabs))} more slabs of {row.name} at {block}{without};"
            f" with {row.objects_per_slab} objects each that is room for"
            f" {units.rough_count(sum(slabs) * row.objects_per_slab)} socks alone. A socket takes other objects, too:"
        )
    return [*sentences, f"{headroom_sentence(ledger)}."]


def _socket_caches(ledger: Ledger) -> list[CacheLine]:
    """The caches that hold an object of one more socket, the cache of the largest object first."""
    names = dict.fromkeys(part.cache for part in ledger.costs["full"].by_family["mix"].outgoing.parts)
    caches = [cache for name in names if (cache := ledger.cache(name)) is not None]
    return sorted(caches, key=lambda cache: -(cache.object_bytes or 0))


def _added(lists: Iterable[tuple[int, ...] | None]) -> tuple[int, ...] | None:
    """The sum of the counts for each order; None if any count is unknown."""
    known = list(lists)
    if None in known:
        return None
    return tuple(map(sum, zip_longest(*(each for each in known if each is not None), fillvalue=0)))


def _size(pages: int | None, page_bytes: int | None) -> str:
    return units.size(pages * page_bytes) if pages is not None and page_bytes is not None else units.UNKNOWN
