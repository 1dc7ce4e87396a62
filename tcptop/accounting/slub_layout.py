"""How SLUB lays objects out: from a struct's size to the step between objects, and to the order of a slab.

For somebody who may not read slabinfo: with the size of a struct, the cache's flags and the number of CPUs, both follow
from the kernel's own rules, which give every row of every recorded kernel exactly.
"""

from __future__ import annotations

WORD_BYTES = 8
CACHE_LINE_BYTES = 64
MAX_ORDER = 3
"""PAGE_ALLOC_COSTLY_ORDER, unless the kernel was started with slab_max_order."""
MAX_OBJECTS_PER_SLAB = 32_767

CPU_PARTIAL = ((4096, 6), (1024, 24), (256, 52), (0, 120))
"""From each size of an object on, so many free objects on a CPU's partial slabs."""
SHEAVES_PER_CPU = 3
FULL_SHEAVES_PER_NODE = 10


def object_step_bytes(struct_bytes: int, hwcache_align: bool, outer_free_pointer: bool) -> int:
    """The step from one object to the next (mm/slub.c, calculate_sizes; mm/slab_common.c, calculate_alignment).

    The free pointer lies behind the object where the object must stay readable after it is freed (SLAB_TYPESAFE_BY_RCU)
    or keeps what its constructor made.
    """
    size = _rounded_up(struct_bytes, WORD_BYTES)
    if outer_free_pointer:
        size += WORD_BYTES
    alignment = WORD_BYTES
    if hwcache_align:
        alignment = CACHE_LINE_BYTES
        while struct_bytes <= alignment // 2:
            alignment //= 2
    return _rounded_up(size, max(alignment, WORD_BYTES))


def slab_order(step_bytes: int, page_bytes: int, cpus: int) -> int:
    """The order of a cache's slabs on a machine with so many CPUs present (mm/slub.c, calculate_order)."""
    most = max((page_bytes << MAX_ORDER) // step_bytes, 1)
    wanted = min(4 * (cpus.bit_length() + 1), most)
    least_order = _order_of(wanted * step_bytes, page_bytes)
    if (page_bytes << least_order) // step_bytes > MAX_OBJECTS_PER_SLAB:
        return max(0, _order_of(step_bytes * MAX_OBJECTS_PER_SLAB, page_bytes) - 1)
    fraction = 16
    while fraction > 1:
        for order in range(least_order, MAX_ORDER + 1):
            slab_bytes = page_bytes << order
            if slab_bytes % step_bytes <= slab_bytes // fraction:
                return order
        fraction //= 2
    return _order_of(step_bytes, page_bytes)


def _order_of(size_bytes: int, page_bytes: int) -> int:
    order = 0
    while page_bytes << order < size_bytes:
        order += 1
    return order


def _rounded_up(size: int, step: int) -> int:
    return (size + step - 1) // step * step


def cpu_partial_objects(step_bytes: float) -> int:
    """How many free objects a CPU may keep on partial slabs (mm/slub.c, set_cpu_partial)."""
    return next(objects for least, objects in CPU_PARTIAL if step_bytes >= least)


def max_idle_objects(
    step_bytes: int,
    objects_per_slab: int,
    cpus: int,
    nodes: int,
    partial: int | None,
    sheaf_capacity: int | None,
    counts_slabs: bool,
) -> int:
    """No more free objects than these lie on CPUs, and so count as active.

    With sheaves: three of them on a CPU, and full ones in each node's barn (mm/slub.c, struct slub_percpu_sheaves).
    Without: the slab that a CPU works on, and partial slabs that are thought to be half full (slub_set_cpu_partial).
    Kernels before 5.16 count the objects that are free when a slab is put there, which may be one of each
    (put_cpu_partial); all of them may be free later.
    """
    if sheaf_capacity:
        return sheaf_capacity * (cpus * SHEAVES_PER_CPU + nodes * FULL_SHEAVES_PER_NODE)
    kept = cpu_partial_objects(step_bytes) if partial is None else partial
    slabs = -(-2 * kept // objects_per_slab) if counts_slabs and objects_per_slab else kept + 1
    return cpus * objects_per_slab * (1 + slabs)
