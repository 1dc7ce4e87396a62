"""The page size of the machine that the files came from.

tcptop itself may run on a machine with a different page size.
"""

from __future__ import annotations

from functools import lru_cache

from tcptop.accounting.slabinfo_rows import has_tunables
from tcptop.kernel.architecture import PAGE_SIZES, architecture_of
from tcptop.recall import Same
from tcptop.snapshot import SlabRow, Snapshot

MIN_SHARE = 2 / 3
"""Minimum share of slabinfo's rows that the page size must fit.

A page size need not fit all rows, because a row may be damaged.
"""

TOLERANCE = 0.002
"""Largest relative error of a page size that is computed as memory ÷ managed pages.

Memory and managed pages come from two files, and memory may be added between the reads of these files.
"""


def page_size_bytes(snapshot: Snapshot) -> int | None:
    """The page size in bytes, reported by the host or derived from the host's files; None if unknown.

    Slabinfo gives the best evidence of the page size. SLUB puts floor(page size × pages ÷ object size) objects into a
    slab (mm/slub.c, order_objects). Only one page size gives the right number of objects in all rows. The second-best
    evidence of the page size is the memory of all nodes ÷ the managed pages of all zones. The memory of a node is the
    sum of the managed pages of its zones (mm/show_mem.c, si_meminfo_node). The third-best evidence of the page size is
    MemTotal ÷ managed pages. MemTotal ÷ managed pages may be wrong on a machine that initialises memory late, because
    the managed pages then lag behind MemTotal. The weakest evidence of the page size is the architecture. The
    architecture gives the page size only if all its machines have the same page size.
    """
    if snapshot.page_size_bytes is not None:
        return snapshot.page_size_bytes
    slabinfo, zoneinfo = snapshot.slabinfo.value, snapshot.zoneinfo.value
    if slabinfo is not None and (size := page_size_of_slabs(Same(slabinfo.rows))) is not None:
        return size
    managed = sum(zone.managed_pages or 0 for zone in zoneinfo.zones) if zoneinfo else 0
    topology, meminfo = snapshot.topology.value, snapshot.meminfo.value
    of_nodes = sum(node.memory_bytes or 0 for node in topology.nodes) if topology else 0
    total = meminfo.total_bytes or 0 if meminfo else 0
    for memory_bytes in (of_nodes, total):
        if managed and (size := _nearest(memory_bytes / managed)) is not None:
            return size
    sysctls = snapshot.sysctls.value
    return architecture_of(sysctls.architecture if sysctls else None).page_bytes


@lru_cache(2)
def page_size_of_slabs(same: Same[tuple[SlabRow, ...]]) -> int | None:
    """The page size that fits the largest number of slabinfo rows, and at least `MIN_SHARE` of all rows.

    The result is None if no page size fits enough rows, or if several page sizes fit equally many rows.
    """
    rows, is_slub = same.value, not has_tunables(same)
    sized = [row for row in rows if row.object_bytes and row.pages_per_slab]
    counts = {size: sum([_fits(row, size, is_slub) for row in sized]) for size in PAGE_SIZES}
    best = max(counts, key=lambda size: counts[size])
    if not sized or counts[best] < MIN_SHARE * len(sized) or list(counts.values()).count(counts[best]) > 1:
        return None
    return best


def _fits(row: SlabRow, page_bytes: int, is_slub: bool) -> bool:
    """True if a row of slabinfo can come from a machine with the page size `page_bytes`.

    A slab of the SLAB allocator may also hold an index, which leaves room for fewer objects. The SLAB allocator takes
    the smallest order at which a slab has little waste (mm/slab.c, calculate_slab_order). If a slab of several pages
    holds a single object, the object therefore fills more than half of the slab.
    """
    slab, used = page_bytes * row.pages_per_slab, row.objects_per_slab * row.object_bytes
    if is_slub:
        return slab // row.object_bytes == row.objects_per_slab
    return used <= slab and (row.objects_per_slab > 1 or row.pages_per_slab == 1 or slab < 2 * used)


def _nearest(quotient: float) -> int | None:
    return next((size for size in PAGE_SIZES if abs(quotient / size - 1) < TOLERANCE), None)
