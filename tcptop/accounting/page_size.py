"""The page size of the machine that the files came from, which may differ from that of the reader's machine."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.snapshot import SlabRow, Snapshot

PAGE_SIZES = tuple(1 << shift for shift in range(12, 19))
"""4 KiB to 256 KiB, the page sizes that Linux has been built with."""

TOLERANCE = 0.002
"""Relative; memory may be added between the reads of two files."""


def page_size_bytes(snapshot: Snapshot) -> int | None:
    """The page size in bytes: as the host reports it, or as its files imply it; None if they do not.

    Slabinfo is the best evidence: SLUB puts floor(page size × pages ÷ object size) objects into a slab (mm/slub.c,
    order_objects), which fits one page size only. Next comes the nodes' memory ÷ the managed pages of their zones, both
    from mm/show_mem.c, si_meminfo_node. MemTotal ÷ managed pages comes last: on a machine that initialises its memory
    late, the zones lag behind the total.
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
    """The only page size that fits all rows of a SLUB kernel; None if several fit, or with SLAB.

    SLAB slabs also hold an index of their objects, so the formula does not apply to them.
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
