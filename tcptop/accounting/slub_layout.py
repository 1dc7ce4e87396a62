"""SLUB's layout rules: the step between objects, the order of a slab, and the free objects that each CPU caches.

Without slabinfo, step and order are computed from the size of a struct, the cache's flags and the number of CPUs. On
every kernel in the test data, the rules in this module reproduce each slabinfo row exactly.
"""

from __future__ import annotations

WORD_BYTES = 8
CACHE_LINE_BYTES = 64
"""Size of a cache line of most machines, where the architecture does not fix another."""
MAX_ORDER = 3
"""Maximum order of a slab with several objects: PAGE_ALLOC_COSTLY_ORDER, unless slab_max_order sets another maximum."""
MAX_OBJECTS_PER_SLAB = 32_767

CPU_PARTIAL = ((4096, 6), (1024, 24), (256, 52), (0, 120))
"""Pairs (minimum step in bytes, maximum number of free objects on a CPU's partial slabs).

The kernel uses the first pair whose minimum step does not exceed the cache's step (mm/slub.c, set_cpu_partial).
"""
SHEAVES_PER_CPU = 3
FULL_SHEAVES_PER_NODE = 10


def object_step_bytes(
    struct_bytes: int,
    hwcache_align: bool,
    outer_free_pointer: bool,
    word_bytes: int = WORD_BYTES,
    cache_line_bytes: int = CACHE_LINE_BYTES,
) -> int:
    """Step from one object to the next (mm/slub.c, calculate_sizes; mm/slab_common.c, calculate_alignment).

    With `outer_free_pointer`, the free pointer lies behind the object and does not overwrite the freed object. Two
    kinds of caches need the free pointer behind the object: those with SLAB_TYPESAFE_BY_RCU and those with a
    constructor. With SLAB_TYPESAFE_BY_RCU, a freed object must remain readable. With a constructor, a freed object must
    keep the data that the constructor set up.
    """
    size = _round_up(struct_bytes, word_bytes)
    if outer_free_pointer:
        size += word_bytes
    alignment = word_bytes
    if hwcache_align:
        alignment = cache_line_bytes
        while struct_bytes <= alignment // 2:
            alignment //= 2
    return _round_up(size, max(alignment, word_bytes))


def slab_order(step_bytes: int, page_bytes: int, cpus: int) -> int:
    """Order of a cache's slabs on a machine with a given number of CPUs (mm/slub.c, calculate_order)."""
    max_objects = max((page_bytes << MAX_ORDER) // step_bytes, 1)
    min_objects = min(4 * (cpus.bit_length() + 1), max_objects)
    min_order = _order_of(min_objects * step_bytes, page_bytes)
    if (page_bytes << min_order) // step_bytes > MAX_OBJECTS_PER_SLAB:
        return max(0, _order_of(step_bytes * MAX_OBJECTS_PER_SLAB, page_bytes) - 1)
    fraction = 16
    while fraction > 1:
        for order in range(min_order, MAX_ORDER + 1):
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


def _round_up(size: int, step: int) -> int:
    return (size + step - 1) // step * step


def cpu_partial_objects(step_bytes: float) -> int:
    """Maximum number of free objects on a CPU's partial slabs (mm/slub.c, set_cpu_partial)."""
    return next(objects for min_bytes, objects in CPU_PARTIAL if step_bytes >= min_bytes)


def max_idle_objects(
    step_bytes: int,
    objects_per_slab: int,
    cpus: int,
    nodes: int,
    partial: int | None,
    sheaf_capacity: int | None,
    counts_slabs: bool,
) -> int:
    """Upper bound on the free objects of a slab cache that CPUs keep to themselves; such objects count as active.

    With sheaves, each CPU has three sheaves, and the barn of each node holds further full sheaves (mm/slub.c, struct
    slub_percpu_sheaves). Without sheaves, each CPU has partial slabs and one slab for new objects. Since 5.16 the
    kernel limits the number of partial slabs, and computes this limit as if the slabs were half full
    (slub_set_cpu_partial). Before 5.16 (`counts_slabs` is False) the kernel limits the number of free objects on the
    partial slabs. The kernel counts the free objects of a slab when it puts the slab on the CPU's list
    (put_cpu_partial). A slab that joins the list with a single free object may later become entirely free. Before 5.16,
    the bound therefore supposes one partial slab for each free object that the limit allows, and one more partial slab.
    """
    if sheaf_capacity:
        return sheaf_capacity * (cpus * SHEAVES_PER_CPU + nodes * FULL_SHEAVES_PER_NODE)
    free_objects = cpu_partial_objects(step_bytes) if partial is None else partial
    slabs = -(-2 * free_objects // objects_per_slab) if counts_slabs and objects_per_slab else free_objects + 1
    return cpus * objects_per_slab * (1 + slabs)
