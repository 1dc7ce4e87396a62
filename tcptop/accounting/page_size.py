"""The page size of the machine that the files came from, which may differ from the page size where tcptop runs."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.snapshot import SlabRow, Snapshot

PAGE_SIZES = tuple(1 << shift for shift in range(12, 19))
"""Page sizes that Linux has been built with: 4 KiB to 256 KiB."""

TOLERANCE = 0.002
"""Relative error allowed in memory ÷ managed pages.

Memory and managed pages are from two files, and memory may be added between the reads of the files.
"""


def page_size_bytes(snapshot: Snapshot) -> int | None:
    """The page size in bytes, as reported by the host or as derived from its files; None if unknown.

    Slabinfo is the best evidence. SLUB puts floor(page size × pages ÷ object size) objects into a slab (mm/slub.c,
    order_objects), and only one page size gives the right number of objects in all rows. The second-best evidence is
    the memory of all nodes ÷ the managed pages of all zones: the kernel adds up the managed pages of a node's zones to
    get the memory of the node (mm/show_mem.c, si_meminfo_node). MemTotal ÷ managed pages is tried last, because the
    managed pages lag behind MemTotal on a machine that initialises its memory late.
    """
    if snapshot.page_size_bytes is not None:
        return snapshot.page_size_bytes
    slabinfo, zoneinfo = snapshot.slabinfo.value, snapshot.zoneinfo.value
    if slabinfo is not None and (size := page_size_of_slabs(slabinfo.rows)) is not None:
        return size
    managed = sum(zone.managed_pages or 0 for zone in zoneinfo.zones) if zoneinfo else 0
    topology, meminfo = snapshot.topology.value, snapshot.meminfo.value
    of_nodes = sum(node.memory_bytes or 0 for node in topology.nodes) if topology else 0
    total = meminfo.total_bytes or 0 if meminfo else 0
    for memory_bytes in (of_nodes, total):
        if managed and (size := _nearest(memory_bytes / managed)) is not None:
            return size
    return None


def page_size_of_slabs(rows: Sequence[SlabRow]) -> int | None:
    """The only page size that fits all slabinfo rows of a SLUB kernel; None if several fit, or with the SLAB allocator.

    A slab of the SLAB allocator also holds an index of its objects, so SLUB's formula does not apply to it.
    """
    if not rows or any(row.tunables_limit for row in rows):
        return None
    fitting = [
        size
        for size in PAGE_SIZES
        if all(
            size * row.pages_per_slab // row.object_bytes == row.objects_per_slab for row in rows if row.object_bytes
        )
    ]
    return fitting[0] if len(fitting) == 1 else None


def _nearest(quotient: float) -> int | None:
    return next((size for size in PAGE_SIZES if abs(quotient / size - 1) < TOLERANCE), None)
