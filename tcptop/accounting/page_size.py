"""The page size of the machine that the files came from, which need not be that of the machine that reads them."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.snapshot import SlabRow, Snapshot

PAGE_SIZES = tuple(1 << shift for shift in range(12, 19))
"""From 4 KiB to 256 KiB, all that Linux has been built with."""

TOLERANCE = 0.002
"""Memory may be plugged in between the reads of two files."""


def page_size_bytes(snapshot: Snapshot) -> int | None:
    """The size that the host knows, else the one that its files agree with, else None.

    The slab rows tell best: SLUB puts floor(page size × pages ÷ object size) objects into a slab (mm/slub.c,
    order_objects), which holds for one page size only. Next, what the nodes have in memory ÷ the managed pages of their
    zones, both from mm/show_mem.c, si_meminfo_node. MemTotal ÷ managed comes last: on a machine that sets up its memory
    late the zones are behind the total.
    """
    if snapshot.page_size_bytes is not None:
        return snapshot.page_size_bytes
    slabinfo, zoneinfo = snapshot.slabinfo.value, snapshot.zoneinfo.value
    if slabinfo is not None and (size := of_slabs(slabinfo.rows)) is not None:
        return size
    managed = sum(zone.managed_pages or 0 for zone in zoneinfo.zones) if zoneinfo else 0
    topology, meminfo = snapshot.topology.value, snapshot.meminfo.value
    of_nodes = sum(node.memory_bytes or 0 for node in topology.nodes) if topology else 0
    total = meminfo.total_bytes or 0 if meminfo else 0
    for memory_bytes in (of_nodes, total):
        if managed and (size := _nearest(memory_bytes / managed)) is not None:
            return size
    return None


def of_slabs(rows: Sequence[SlabRow]) -> int | None:
    """The one page size that every slab of a SLUB kernel fits; None on SLAB, whose slabs also hold their own index."""
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
